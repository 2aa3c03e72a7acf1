"""The only place where pixels are read and converted.

Every conversion repeats the arithmetic of the library that the organisers' checker went through in 2024
(PIL, the PIL processors of transformers 4.44, torchvision's ToTensor, OpenCV's 8-bit HSV), so that figures
do not move with the versions installed here. Arrays are H,W,3 uint8 in RGB unless a docstring says
otherwise.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

MAX_BYTES = 1 << 26  # of one file: 64 MiB
MAX_PIXELS = 1 << 26  # of one picture: 8192 x 8192, below the size at which Pillow itself warns

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha (RGBA)"}


class BadPicture(Exception):
    """One picture cannot be used. `code` is stable, the message completes the sentence "<file> ..."."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Processor:
    """What a Hugging Face `preprocessor_config.json` asks for, in pixels; mean and std are 3 float32."""

    shortest_edge: int
    crop: tuple[int, int]  # height, width
    mean: np.ndarray
    std: np.ndarray
    rescale: float = 1 / 255


def inspect_png(data: bytes) -> tuple[int, int]:
    """(height, width) of an 8-bit RGB PNG, after checking its structure and every CRC without decoding.

    Raises BadPicture: "unreadable" (not a PNG, truncated, damaged), "not-rgb8", "too-large".
    Source: PNG specification, third edition, chapters 5 and 11.
    """
    if not data.startswith(_SIGNATURE):
        raise BadPicture("unreadable", "is not a PNG file" if data else "is empty")
    size = None
    kind, position, has_pixels = b"", len(_SIGNATURE), False
    while kind != b"IEND":
        if position + 12 > len(data):
            raise BadPicture("unreadable", "is truncated")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise BadPicture("unreadable", "is truncated")
        if zlib.crc32(data[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise BadPicture("unreadable", "is damaged (a checksum does not match)")
        if size is None:
            size = _read_header(kind, data[position + 8 : end - 4])
        has_pixels = has_pixels or kind == b"IDAT"
        position = end
    if size is None or not has_pixels:
        raise BadPicture("unreadable", "holds no pixels")
    return size


def _read_header(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind != b"IHDR" or len(body) != 13:
        raise BadPicture("unreadable", "has no PNG header")
    width, height, depth, colour = struct.unpack_from(">IIBB", body)
    if (depth, colour) != (8, 2):
        kind_of = _COLOUR_TYPES.get(colour, "of an unknown kind")
        raise BadPicture("not-rgb8", f"is {depth}-bit {kind_of}; it must be an 8-bit RGB PNG")
    if width == 0 or height == 0:
        raise BadPicture("unreadable", "holds no pixels")
    if width * height > MAX_PIXELS:
        raise BadPicture("too-large", f"is {width}x{height}; at most {MAX_PIXELS} pixels are read")
    return height, width


def decode(data: bytes) -> np.ndarray:
    """Pixels of a PNG that `inspect_png` accepted: H,W,3 uint8. Raises BadPicture("unreadable")."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise BadPicture("unreadable", f"cannot be decoded ({error})") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise BadPicture("not-rgb8", "is not an 8-bit RGB PNG")
    return pixels


def to_processed(pixels: np.ndarray, processor: Processor) -> np.ndarray:
    """Resize the shortest edge (PIL bicubic on bytes), crop the centre, rescale, normalise: 3,H,W float32.

    Source: transformers 4.44 `image_transforms.py`, as called by BitImageProcessor and CLIPImageProcessor.
    """
    height, width = pixels.shape[:2]
    short, long = (height, width) if height <= width else (width, height)
    edge = processor.shortest_edge
    other = int(edge * long / short)
    target = (edge, other) if height <= width else (other, edge)
    resized = np.asarray(Image.fromarray(pixels).resize((target[1], target[0]), Image.Resampling.BICUBIC))
    crop_height, crop_width = processor.crop
    top, left = (target[0] - crop_height) // 2, (target[1] - crop_width) // 2
    cropped = resized[top : top + crop_height, left : left + crop_width]
    scaled = (cropped.astype(np.float64) * processor.rescale).astype(np.float32)
    normalised = (scaled - processor.mean) / processor.std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def to_square(pixels: np.ndarray, side: int) -> np.ndarray:
    """PIL bilinear resize that does not keep the aspect, then 0..1 to -1..1: 3,side,side float32."""
    resized = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))
    return to_unit(resized) * np.float32(2) - np.float32(1)


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """torchvision's ToTensor: 3,H,W float32 in 0..1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def to_bytes_as_float(pixels: np.ndarray) -> np.ndarray:
    """ToTensor times 255 in float32, unrounded, as the checker feeds CLIP-IQA: 3,H,W float32 in 0..255."""
    return to_unit(pixels) * np.float32(255)


def to_hsv(pixels: np.ndarray) -> np.ndarray:
    """OpenCV's 8-bit HSV (H 0..179): ...,3 uint8 from ...,3 uint8 RGB, bit for bit.

    Fixed-point division through tables of 12 fractional bits; source: OpenCV `color_hsv.simd.hpp`, RGB2HSV_b.
    """
    saturation_scale, hue_scale = _hsv_tables()
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    half = 1 << 11
    saturation = (spread * saturation_scale[value] + half) >> 12
    sector = np.where(
        value == red,
        green - blue,
        np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = (sector * hue_scale[spread] + half) >> 12
    hue += np.where(hue < 0, 180, 0)
    return np.stack((hue, saturation, value), axis=-1).astype(np.uint8)


@lru_cache(maxsize=1)
def _hsv_tables() -> tuple[np.ndarray, np.ndarray]:
    divisor = np.arange(1, 256, dtype=np.float64)
    saturation = np.rint((255 << 12) / divisor)
    hue = np.rint((180 << 12) / (6 * divisor))
    return tuple(np.concatenate(([0], table)).astype(np.int32) for table in (saturation, hue))  # type: ignore[return-value]


def to_thumbnail(pixels: np.ndarray, side: int = 160) -> bytes:
    """A WebP file of at most side x side pixels; the same bytes for the same pixels and Pillow version."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80, method=4)
    return stream.getvalue()
