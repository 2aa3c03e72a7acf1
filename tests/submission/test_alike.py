"""What the tolerance lies between: copies that a person would call the same, and other drawings of one style."""

import io
import itertools
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from submission.rules.alike import TOLERANCE, copied_from, difference_hash, distance


def drawing(seed):
    """A few shapes on a shaded ground."""
    draw = random.Random(seed)
    image = Image.linear_gradient("L").rotate(90 * (seed % 4)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = draw.randrange(-20, 230), draw.randrange(-20, 230)
        box = (x, y, x + draw.randrange(30, 120), y + draw.randrange(30, 120))
        colour = tuple(draw.randrange(256) for _ in range(3))
        getattr(pen, draw.choice(("ellipse", "rectangle")))(box, fill=colour)
    return image


def jpeg(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 20, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


DRAWINGS = [drawing(seed) for seed in range(40)]
COPIES = {
    "the same": lambda image: image,
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 30": lambda image: jpeg(image, 30),
    "half": lambda image: image.resize((128, 128), Image.Resampling.LANCZOS),
    "twice": lambda image: image.resize((512, 512), Image.Resampling.BICUBIC),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "sharpened": lambda image: image.filter(ImageFilter.SHARPEN),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "grey": lambda image: image.convert("L"),
    "noisy": noisy,
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_near(name):
    assert max(distance(difference_hash(one), difference_hash(COPIES[name](one))) for one in DRAWINGS) <= TOLERANCE


def test_other_drawings_are_far():
    hashes = [difference_hash(one) for one in DRAWINGS]
    assert min(distance(one, other) for one, other in itertools.combinations(hashes, 2)) > TOLERANCE


def test_hash_is_of_neighbours():
    step = Image.new("L", (9, 8))
    assert difference_hash(step) == 0
    step.putpixel((8, 7), 2)
    assert difference_hash(step) == 1
    step.putpixel((1, 0), 9)
    assert difference_hash(step) == 1 | 1 << 63
    assert distance(1 | 1 << 63, 1) == 1


def test_nearest_reference_is_named():
    references = {"far": 2**64 - 1, "near": 0b11, "nearer": 0b1}
    assert copied_from(0, references) == "nearer"
    assert copied_from(0, {"far": 2 ** (TOLERANCE + 1) - 1}) is None
    assert copied_from(0, {}) is None
