"""Pictures as arrays: read, resized, cut, averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from contest.entry.pixels import unreadable
from contest.entry.png import SIGNATURE
from contest.entry.signatures import LFS_CURE, identify
from contest.errors import UserError


def read_rgb(path: Path) -> np.ndarray:
    """Read a picture as it is meant to be seen: H,W,3 uint8.

    Turned upright by its EXIF orientation; transparency over white; grey, palette and CMYK as colours.
    UserError naming the file if it is missing, truncated or no picture.
    """
    from PIL import Image, ImageOps

    with readable(path), Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        upright.load()
        if upright.mode == "F":
            raise UserError(f"{path}: its pixels are fractions, and nothing says which is white; save it with 8 bits")
        if upright.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip them
            values = np.asarray(upright).astype(np.float64)
            upright = Image.fromarray((values.clip(0, 65535) / 257).round().astype(np.uint8))
        if upright.mode[-1] in "Aa" or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        return np.array(upright.convert("RGB"))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what Pillow raises inside the block into a UserError that names `path`."""
    from PIL import Image

    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; put the picture there, or remove the broken link") from error
    except Image.UnidentifiedImageError as error:
        what, cure = _what(path)
        raise UserError(f"{path}: not a readable picture ({what}); {cure}") from error
    except unreadable() as error:
        raise UserError(f"{path}: not a readable picture ({error}); replace or remove it") from error


def _what(path: Path) -> tuple[str, str]:
    """What a file is that Pillow does not know, and what helps."""
    with open(path, "rb") as stream:
        head = stream.read(4096)
    if head.startswith(SIGNATURE):
        return "a damaged PNG", "replace or remove it"
    what, cure = identify(head)
    return what, cure if "export" in cure or cure == LFS_CURE else "replace or remove it"


def resize_short_side(image: np.ndarray, size: int) -> np.ndarray:
    """Scale H,W,3 uint8 so that its shorter side is `size` pixels; the aspect ratio stays (Lanczos)."""
    height, width = image.shape[:2]
    scale = size / min(height, width)
    return _resize(image, max(size, round(width * scale)), max(size, round(height * scale)), "LANCZOS")


def _resize(image: np.ndarray, width: int, height: int, filter_name: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling[filter_name]))


def crop(image: np.ndarray, size: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Cut size,size,3 out of H,W,3: anywhere if `rng` is given, else from the centre."""
    top, left = image.shape[0] - size, image.shape[1] - size
    if min(top, left) < 0:
        raise ValueError(f"cannot cut {size} x {size} from {image.shape[1]} x {image.shape[0]} pixels")
    if rng is None:
        top, left = top // 2, left // 2
    else:
        top, left = int(rng.integers(top + 1)), int(rng.integers(left + 1))
    return image[top : top + size, left : left + size]


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn H,W,3 uint8 about its centre, anticlockwise (bicubic); corners from outside come out black."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC))


def to_model_range(image: np.ndarray) -> np.ndarray:
    """H,W,3 uint8 -> 3,H,W float32 in -1..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 127.5 - 1


def to_pixels(values: np.ndarray) -> np.ndarray:
    """3,H,W float in -1..1 -> H,W,3 uint8, clipped and rounded. UserError if a value is NaN."""
    if np.isnan(values).any():
        raise UserError("the picture came out as NaN: the LoRA has diverged; train with a lower learning rate")
    pixels = ((values + 1) * 127.5).clip(0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def stretched(path: Path, size: int) -> np.ndarray:
    """A picture file as (size, size, 3) uint8, whole: stretched to a square (bicubic)."""
    return _resize(read_rgb(path), size, size, "BICUBIC")


def average_image(paths: Iterable[Path], size: int) -> np.ndarray:
    """floor(mean) of the pictures, each stretched to size x size (bicubic): size,size,3 uint8.

    The picture that average-image initialisation starts from, as published with JDiffArtFlow.
    """
    return average([stretched(path, size) for path in paths])


def average(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """floor(mean) of pictures of one size (H, W, 3) uint8."""
    if not pictures:
        raise ValueError("no pictures to average")
    total = np.sum(pictures, axis=0, dtype=np.int64)
    return (total // len(pictures)).astype(np.uint8)


def place_of(reference: str | None, names: Sequence[str], key: str, where: str = "the style") -> int | None:
    """Which of the pictures `names` a setting `key` means: None is the first; "average" is none, but their mean.

    UserError, which says `where` the pictures are, for one that is not there.
    """
    if reference == "average":
        return None
    if reference is not None and reference not in names:
        raise UserError(f"{key}: {reference!r} is no picture of {where}; there are {', '.join(names)}, and average")
    return 0 if reference is None else names.index(reference)
