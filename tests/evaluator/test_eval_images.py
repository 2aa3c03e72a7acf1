from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from evaluator.inputs.images import (
    BadPicture,
    Processor,
    decode,
    inspect_png,
    to_bytes_as_float,
    to_hsv,
    to_processed,
    to_square,
    to_thumbnail,
    to_unit,
)


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def with_ihdr(data: bytes, body: bytes) -> bytes:
    chunk = b"IHDR" + body
    return data[:8] + struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


RGB = png(Image.fromarray(noise(40, 50)))


@pytest.mark.parametrize("red", range(0, 256, 32))
def test_hsv_equals_opencv_for_all_colours(red):
    green, blue = np.mgrid[0:256, 0:256].astype(np.uint8)
    for value in range(red, red + 32):
        colours = np.stack((np.full_like(green, value), green, blue), axis=-1)
        np.testing.assert_array_equal(to_hsv(colours), cv2.cvtColor(colours, cv2.COLOR_RGB2HSV))


@pytest.mark.parametrize("shape", [(320, 320), (301, 517), (640, 233), (256, 300), (100, 90)])
@pytest.mark.parametrize("edge", [224, 256])
def test_processor_equals_transformers_pil_functions(shape, edge):
    from transformers import image_transforms as reference
    from transformers.image_utils import ChannelDimension

    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    pixels = noise(*shape)
    size = reference.get_resize_output_image_size(pixels, edge, default_to_square=False)
    expected = reference.resize(pixels, size, resample=3, input_data_format=ChannelDimension.LAST)
    expected = reference.center_crop(expected, (224, 224), input_data_format=ChannelDimension.LAST)
    expected = reference.rescale(expected, 1 / 255, input_data_format=ChannelDimension.LAST)
    expected = reference.normalize(expected, mean, std, input_data_format=ChannelDimension.LAST)
    ours = to_processed(pixels, Processor(edge, (224, 224), mean, std))
    np.testing.assert_array_equal(ours, np.float32(expected).transpose(2, 0, 1))


def test_tensors_equal_torchvision():
    from torchvision.transforms import Compose, Resize, ToTensor

    pixels = noise(300, 200)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(to_unit(pixels), ToTensor()(image).numpy())
    np.testing.assert_array_equal(to_bytes_as_float(pixels), (ToTensor()(image) * 255).numpy())
    square = Compose([Resize((256, 256)), ToTensor()])(image) * 2 - 1
    np.testing.assert_array_equal(to_square(pixels, 256), square.numpy())


def test_png_round_trip():
    assert inspect_png(RGB) == (40, 50)
    np.testing.assert_array_equal(decode(RGB), noise(40, 50))


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "unreadable", "empty"),
        (b"hello", "unreadable", "is a text file"),
        (RGB[:-4], "unreadable", "truncated"),
        (RGB[: len(RGB) // 2], "unreadable", "truncated"),
        (RGB[:8], "unreadable", "truncated"),
        (RGB[:60] + b"\0\0\0" + RGB[63:], "unreadable", "damaged"),
        (RGB[:33] + RGB[-12:], "unreadable", "no pixels"),
        (png(Image.new("RGBA", (4, 4))), "not-rgb8", "RGBA"),
        (png(Image.new("L", (4, 4))), "not-rgb8", "grey"),
        (png(Image.new("P", (4, 4))), "not-rgb8", "palette"),
        (png(Image.new("I;16", (4, 4))), "not-rgb8", "16-bit"),
        (with_ihdr(RGB, struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)), "not-rgb8", "16-bit"),
        (with_ihdr(RGB, struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)), "too-large", "60000x60000"),
        (with_ihdr(RGB, struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)), "too-large", "20000x20000"),
        (png(Image.new("RGB", (1, 1))), "too-small", "1x1"),
        (png(Image.new("RGB", (400, 31))), "too-small", "400x31"),
        (jpeg(Image.new("CMYK", (40, 40))), "unreadable", "is a JPEG"),
        (with_ihdr(RGB, struct.pack(">IIBBBBB", 0, 4, 8, 2, 0, 0, 0)), "unreadable", "no pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_pictures(data, code, words):
    with pytest.raises(BadPicture, match=words) as caught:
        inspect_png(data)
    assert caught.value.code == code


def test_pixels_that_cannot_be_inflated_are_unreadable():
    body = b"IDAT" + b"no zlib stream"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = RGB[:33] + chunk + RGB[-12:]
    assert inspect_png(data) == (40, 50)  # its structure is sound
    with pytest.raises(BadPicture, match="cannot be decoded"):
        decode(data)


def test_thumbnails_are_small_and_repeatable():
    data = to_thumbnail(noise(400, 200))
    assert data == to_thumbnail(noise(400, 200))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("WEBP", (80, 160))
