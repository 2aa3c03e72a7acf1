"""What a file that is no PNG is instead, told by its first bytes, and what helps.

Sources: the formats' own specifications; for PNG, https://www.w3.org/TR/png-3/ section 5.2: its signature was made to
show what a transfer as text does to a file.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from contest.disk.files import LFS_START
from contest.entry.cures import CLOSED
from contest.entry.png import SIGNATURE

LOST_LINK = "a link that leads nowhere"
LINK_CURE = "fetch what it links to (such as git annex get, dvc pull), or put the picture itself there"
HEAD = 4096  # bytes from the start of a file by which `identify` tells what it is
LFS_CURE = "fetch the pictures with: git lfs pull (under GitHub Actions: lfs: true for actions/checkout)"
_REDRAW = (
    "save it as PNG, renaming it does not make it one: "
    f"ImageOps.exif_transpose({CLOSED}).convert('RGBA').convert('RGB').save(path, 'PNG')"
)
_EXPORT = "open it in a picture program and export it as PNG; renaming it does not make it one"
_AGAIN = "copy it again from where it was drawn, or draw it again"
_BINARY = (
    "write the line *.png binary into .gitattributes, and add the pictures again from where they were drawn; "
    "let other programs copy them in binary mode"
)
_PAGE = "a log-in or error page was saved in its place; download the picture itself"
_ANSWER = "a service's answer was saved in its place; download the picture itself"
_UNPACK = "unpack it, and put the picture itself there"
_LOOKED_AT = 1024  # bytes in which text is told from other bytes, and a late signature is looked for

_STARTS: Sequence[tuple[bytes, str, str]] = (
    (b"\xff\xd8\xff", "a JPEG", _REDRAW),
    (b"GIF8", "a GIF", _REDRAW),
    (b"BM", "a BMP", _REDRAW),
    (b"II*\0", "a TIFF", _EXPORT),  # may have 16 or 32 bits a channel, which one line cannot bring down
    (b"MM\0*", "a TIFF", _EXPORT),
    (b"\0\0\1\0", "an icon (ICO)", _EXPORT),
    (b"8BPS", "a Photoshop file", _EXPORT),
    (b"gimp xcf", "a GIMP file", _EXPORT),
    (b"\xff\x0a", "a JPEG XL", _EXPORT),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL", _EXPORT),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000", _EXPORT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000", _EXPORT),
    (b"qoif", "a QOI", _EXPORT),
    (b"v/1\1", "an OpenEXR", _EXPORT),
    (b"DDS ", "a DDS", _EXPORT),
    *((b"P%d" % kind + end, "a PNM", _EXPORT) for kind in range(1, 8) for end in (b"\n", b"\r", b" ", b"\t")),
    (b"%PDF-", "a PDF", "export its page as PNG"),
    (b"\x93NUMPY", "an array of NumPy", "save the array as a picture, with Image.fromarray"),
    (b"\x1a\x45\xdf\xa3", "a video", "save one frame of it as PNG"),
    (b"PK\3\4", "a zip archive", _UNPACK),
    (b"\x1f\x8b\x08", "packed with gzip", _UNPACK),
    (b"BZh", "packed with bzip2", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
)
_LINE_ENDS = (  # what the signature, 89 "PNG" 0D 0A 1A 0A, becomes
    b"\x89PNG\n\x1a\n",
    b"\x89PNG\r\r\n",
    b"\x89PNG\r\n\x1a\r\n",
    b"\x89PNG\r\x1a\r",
    b"\x89PNG\n\n\x1a\n",
)
_BRANDS = (  # of ISO base media files, at byte 8
    ((b"avif", b"avis"), "an AVIF", _EXPORT),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC (a phone's photo)", _EXPORT),
)


def identify(data: bytes) -> tuple[str, str]:
    """What the bytes of a file that is no PNG are, to be read behind "is", and what to do about it."""
    if not data:
        return "empty", f"it was never written to its end (a full disk, a download that failed); {_AGAIN}"
    if not data.strip(b"\0"):
        return "all zeros", f"its bytes never reached the disk; {_AGAIN}"
    if data.startswith(LFS_START.encode()):
        return "a Git LFS pointer, not the picture", LFS_CURE
    if data.startswith(_LINE_ENDS):
        return "a PNG whose line ends were converted, as is done to text", _BINARY
    if data.startswith((b"\tPNG", b"?PNG", b"\xef\xbf\xbdPNG")):
        return "a PNG that was written as text, which has lost bytes", f"{_AGAIN}, as bytes"
    if data.startswith(SIGNATURE[:4]) or SIGNATURE.startswith(data):
        return "a PNG with a damaged signature", _AGAIN
    for start, what, cure in _STARTS:
        if data.startswith(start):
            return what, cure
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP", _REDRAW
    if data[4:8] == b"ftyp":
        return _identify_media(data)
    if SIGNATURE in data[:_LOOKED_AT]:
        before = data.index(SIGNATURE)
        return (
            f"a PNG behind {before} other bytes",
            f"cut them off: Path(path).write_bytes(Path(path).read_bytes()[{before}:])",
        )
    return _identify_text(data)


def _identify_media(data: bytes) -> tuple[str, str]:
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(len(data), 64), 4))]
    for known, what, cure in _BRANDS:
        if brands[0] in known:
            return what, cure
    for known, what, cure in _BRANDS:
        if any(brand in known for brand in brands):
            return what, cure
    return "a video", "save one frame of it as PNG"


def _identify_text(data: bytes) -> tuple[str, str]:
    head = data[:_LOOKED_AT]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "text in UTF-16", f"a shell such as PowerShell wrote the picture as text; {_AGAIN}, as bytes"
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head).strip().lower()
    except UnicodeDecodeError:
        return "no picture format known here", "save it as PNG; renaming a file does not make it one"
    if any(not (c.isprintable() or c.isspace()) for c in text):
        return "no picture format known here", "save it as PNG; renaming a file does not make it one"
    if text.startswith(("<!doctype html", "<html")) or "<html" in text:
        return "a web page (HTML)", _PAGE
    if "<svg" in text:
        return "a drawing in SVG", "export it as PNG; renaming it does not make it one"
    if text.startswith("<?xml") or (text.startswith("<") and text.endswith(">")):
        return "an XML file", _ANSWER
    if text.startswith(("{", "[")):
        return "a JSON file", _ANSWER
    if text.startswith(("ivborw0kggo", "data:image/")):
        return (
            "a picture as base64 text",
            "decode it: Path(path).write_bytes(base64.b64decode(Path(path).read_text().split(',')[-1]))",
        )
    return "a text file", f"put the picture itself there; {_AGAIN}"
