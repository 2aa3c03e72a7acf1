"""A Hugging Face `preprocessor_config.json` -> what images.py does with a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.files import read_json
from contest.errors import UserError
from evaluator.inputs.images import Processor

_BICUBIC = 3
_LARGEST = 1 << 14  # pixels of a side


def read_processor(path: Path) -> Processor:
    """Reads sizes as numbers or objects, as folders of different ages have them. Raises UserError."""
    config = read_json(path)
    try:
        edge = _side(config["size"], "shortest_edge")
        crop = (_side(config["crop_size"], "height"), _side(config["crop_size"], "width"))
        mean, std = (np.array(config[key], dtype=np.float32) for key in ("image_mean", "image_std"))
        rescale = float(config.get("rescale_factor", 1 / 255))
        resample = config.get("resample", _BICUBIC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: not an image processor's settings ({error!r})") from error
    switches = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
    if resample != _BICUBIC or not all(config.get(key, True) for key in switches):
        raise UserError(f"{path}: only bicubic resize, centre crop, rescale and normalise together are known")
    if mean.shape != (3,) or std.shape != (3,) or not 0 < min(crop) <= max(crop) <= edge <= _LARGEST:
        raise UserError(f"{path}: mean and std need three values, and the crop must fit the shortest edge")
    return Processor(edge, crop, mean, std, rescale)


def _side(value: Any, key: str) -> int:
    return int(value[key] if isinstance(value, dict) else value)
