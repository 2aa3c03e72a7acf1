"""A small contest and ways to make entries for it that are wrong in one thing."""

import io
import zlib

import numpy as np
from PIL import Image

from submission import Contest

CONTEST = Contest("tiny", {"00": ("Dolphin", "Ice cream"), "01": ("Sun",)}, 3)
NAMES = ("00/Dolphin.png", "00/Ice cream.png", "01/Sun.png")


def png(size=(6, 4), mode="RGB", seed=0, **options):
    """A PNG's bytes, noisy so that its compressed part is not trivial."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    image = Image.fromarray(noise)
    if mode == "I;16":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(stream, "PNG", **options)
    else:
        image.convert(mode).save(stream, "PNG", **options)
    return stream.getvalue()


def chunk(kind, content):
    """One PNG chunk with its CRC."""
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def good_files():
    return {name: png(seed=i) for i, name in enumerate(NAMES)}


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
