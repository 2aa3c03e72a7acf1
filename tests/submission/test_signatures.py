"""What is no PNG is named, and each cause has its own cure."""

import base64
import gzip
import io

import pytest
from PIL import Image
from tiny_entry import png

from contest.entry.signatures import LFS_CURE, identify

PNG = png()


def saved(kind):
    stream = io.BytesIO()
    Image.open(io.BytesIO(PNG)).save(stream, kind)
    return stream.getvalue()


def media(brand, *others):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + b"".join(others) + bytes(40)


CASES = {
    "empty": (b"", "empty", "copy it again"),
    "zeros": (bytes(5000), "all zeros", "copy it again"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:7\n", "a Git LFS pointer", LFS_CURE),
    "LF": (PNG.replace(b"\r\n", b"\n"), "line ends were converted", "*.png binary"),
    "CR": (PNG.replace(b"\r\n", b"\r").replace(b"\n", b"\r"), "line ends were converted", "*.png binary"),
    "CR LF": (PNG.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "line ends were converted", "*.png binary"),
    "CR LF after LF": (PNG.replace(b"\n", b"\r\n"), "line ends were converted", "*.png binary"),
    "seven bits": (bytes(b & 127 for b in PNG), "written as text", "as bytes"),
    "UTF-8": (PNG.decode("utf-8", "replace").encode(), "written as text", "as bytes"),
    "UTF-16": (PNG.decode("latin-1").encode("utf-16"), "text in UTF-16", "PowerShell"),
    "damaged": (b"\x89PNG\r\n\x1b\n", "damaged signature", "copy it again"),
    "cut": (PNG[:3], "damaged signature", "copy it again"),
    "behind": (b"x" * 9 + PNG, "a PNG behind 9 other bytes", "[9:]"),
    "JPEG": (saved("JPEG"), "a JPEG", "save it as PNG"),
    "GIF": (saved("GIF"), "a GIF", "save it as PNG"),
    "BMP": (saved("BMP"), "a BMP", "save it as PNG"),
    "WebP": (saved("WEBP"), "a WebP", "save it as PNG"),
    "TIFF": (saved("TIFF"), "a TIFF", "export it as PNG"),
    "ICO": (saved("ICO"), "an icon", "export it as PNG"),
    "PNM": (saved("PPM"), "a PNM", "export it as PNG"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000", "export it as PNG"),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL", "export it as PNG"),
    "JPEG XL, bare": (b"\xff\x0a" + bytes(9), "a JPEG XL", "export it as PNG"),
    "PSD": (b"8BPS\0\1", "a Photoshop file", "export it as PNG"),
    "HEIC": (media(b"heic"), "a HEIC", "export it as PNG"),
    "HEIC of any kind": (media(b"mif1", b"heic"), "a HEIC", "export it as PNG"),
    "AVIF": (media(b"avif", b"mif1"), "an AVIF", "export it as PNG"),
    "video": (media(b"isom"), "a video", "one frame"),
    "PDF": (b"%PDF-1.7\n", "a PDF", "export its page"),
    "NumPy": (b"\x93NUMPY\1\0", "an array of NumPy", "Image.fromarray"),
    "zip": (b"PK\3\4" + bytes(9), "a zip archive", "unpack it"),
    "gzip": (gzip.compress(PNG), "packed with gzip", "unpack it"),
    "web page": (b"\xef\xbb\xbf\r\n <!DOCTYPE html>\n<html>", "a web page", "download the picture itself"),
    "web page, later": (b"<!-- x -->\n<HTML><body>", "a web page", "download the picture itself"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="x">', "a drawing in SVG", "export it as PNG"),
    "XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML file", "download"),
    "JSON": (b' {"error": "not found"}', "a JSON file", "download"),
    "base64": (base64.b64encode(PNG), "base64 text", "b64decode"),
    "data URI": (b"data:image/png;base64," + base64.b64encode(PNG), "base64 text", "b64decode"),
    "text": ("a caption, 小狗".encode(), "a text file", "put the picture itself there"),
    "text cut in a letter": ("小".encode() * 1000, "a text file", "put the picture itself there"),
    "anything": (b"\1\2\3\xff\xfe", "no picture format known here", "save it as PNG"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_has_its_name_and_cure(name):
    data, what, cure = CASES[name]
    said = identify(data)
    assert what in said[0]
    assert cure in said[1]


def test_every_short_file_is_something():
    for data, *_ in CASES.values():
        for end in range(min(len(data), 40)):
            what, cure = identify(data[:end])
            assert what and cure
