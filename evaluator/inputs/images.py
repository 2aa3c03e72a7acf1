"""The only place where pixels are read and converted.

Every conversion repeats the arithmetic of the library that the organisers' checker went through in 2024
(PIL, the PIL processors of transformers 4.44, torchvision's ToTensor, OpenCV's 8-bit HSV), so that figures
do not move with the versions installed here; the profile official-2025 has torchvision's resize instead.
Arrays are H,W,3 uint8 in RGB unless a docstring says otherwise.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from contest.entry.pixels import unreadable
from contest.entry.png import COLOURS, RGBA, SIGNATURE, BrokenPng, Chunk, ShortPng, has_large_notes, walk_chunks
from contest.entry.signatures import identify
from contest.entry.webp import require_webp

MAX_BYTES = 1 << 26  # of one file: 64 MiB
MIN_SIDE = 32  # CLIP-IQA's network halves a picture five times
MAX_PIXELS = 1 << 26  # of one picture: 8192 x 8192, below the size at which Pillow itself warns

_COLOUR_TYPES = {**COLOURS, RGBA: "RGB with alpha (RGBA)"}


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

    Raises BadPicture: "unreadable" (not a PNG, truncated, damaged), "not-rgb8", "too-small", "too-large".
    Source: PNG specification, third edition, chapters 5 and 11.
    """
    if not data.startswith(SIGNATURE):
        what, cure = identify(data)
        raise BadPicture("unreadable", f"is {what}; {cure}")
    walk = walk_chunks(data)
    try:
        size = _read_header(next(walk))  # before what follows it is looked at
        chunks = list(walk)
    except ShortPng as error:
        raise BadPicture("unreadable", "is truncated") from error
    except BrokenPng as error:
        raise BadPicture("unreadable", "is damaged (a checksum does not match)") from error
    if all(chunk.kind != b"IDAT" for chunk in chunks):
        raise BadPicture("unreadable", "holds no pixels")
    if has_large_notes(chunks):
        raise BadPicture("unreadable", "holds a text or profile of more than 1 MiB; save it without metadata")
    return size


def _read_header(first: Chunk) -> tuple[int, int]:
    if first.kind != b"IHDR" or len(first.content) != 13:
        raise BadPicture("unreadable", "has no PNG header")
    width, height, depth, colour = struct.unpack_from(">IIBB", first.content)
    if (depth, colour) != (8, 2):
        kind_of = _COLOUR_TYPES.get(colour, "of an unknown kind")
        raise BadPicture("not-rgb8", f"is {depth}-bit {kind_of}; it must be an 8-bit RGB PNG")
    if width == 0 or height == 0:
        raise BadPicture("unreadable", "holds no pixels")
    if min(width, height) < MIN_SIDE:
        raise BadPicture("too-small", f"is {width}x{height}; a side needs at least {MIN_SIDE} pixels")
    if width * height > MAX_PIXELS:
        raise BadPicture("too-large", f"is {width}x{height}; at most {MAX_PIXELS} pixels are read")
    return height, width


def decode(data: bytes) -> np.ndarray:
    """Pixels of a PNG that `inspect_png` accepted: H,W,3 uint8. Raises BadPicture("unreadable")."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            pixels = np.asarray(image)
    except unreadable() as error:
        raise BadPicture("unreadable", f"cannot be decoded ({error})") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise BadPicture("not-rgb8", "is not an 8-bit RGB PNG")
    return pixels


def to_processed(pixels: np.ndarray, processor: Processor) -> np.ndarray:
    """Resize the shortest edge (PIL bicubic on bytes), crop the centre, rescale, normalise: 3,H,W float32.

    Source: transformers 4.44 `image_transforms.py`, as called by BitImageProcessor and CLIPImageProcessor.
    """
    height, width = _resized(pixels, processor.shortest_edge)
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    scaled = (np.arange(256, dtype=np.float64) * processor.rescale).astype(np.float32)[:, None]
    return _look_up(_crop_centre(resized, processor.crop), (scaled - processor.mean) / processor.std)


def to_tensor_processed(pixels: np.ndarray, processor: Processor) -> np.ndarray:
    """The same by torchvision's antialiased bicubic resize of bytes, rescale and normalisation fused: 3,H,W float32.

    Source: transformers 5 `image_processing_backends.py` (TorchvisionBackend).
    """
    import torch

    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # a copy: Pillow's arrays are read-only
    size = _resized(pixels, processor.shortest_edge)
    if size != pixels.shape[:2]:
        tensor = torch.nn.functional.interpolate(tensor, size, mode="bicubic", align_corners=False, antialias=True)
    cropped = _crop_centre(tensor[0].permute(1, 2, 0).numpy(), processor.crop)
    scale, levels = np.float32(1 / processor.rescale), np.arange(256, dtype=np.float32)[:, None]
    return _look_up(cropped, (levels - processor.mean * scale) / (processor.std * scale))


def _look_up(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """H,W,3 bytes and 256,3 float32, what each byte becomes in each channel -> 3,H,W."""
    return np.stack([values[:, channel][pixels[..., channel]] for channel in range(3)])


def _resized(pixels: np.ndarray, edge: int) -> tuple[int, int]:
    """(height, width) with the shorter one `edge`."""
    height, width = pixels.shape[:2]
    return (edge, int(edge * width / height)) if height <= width else (int(edge * height / width), edge)


def _crop_centre(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = ((there - wanted) // 2 for there, wanted in zip(pixels.shape, size))
    return pixels[top : top + size[0], left : left + size[1]]


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
    require_webp()
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80, method=4)
    return stream.getvalue()
