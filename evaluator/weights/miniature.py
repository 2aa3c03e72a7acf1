"""A random weights folder in the real file formats, small or full-size, the same anywhere for the same seed.

Every tensor is drawn by a generator seeded with (seed, CRC-32 of its network's prefix and its name), so
nothing depends on a framework's initialisation or on an order. The text towers' last bias is large, which gives all
texts a common direction as trained ones have.
"""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contest.disk.drafts import draft_folder
from contest.disk.writable import require_folder
from contest.errors import UserError, needs
from evaluator.weights import folder as files
from evaluator.weights.pack import Sizes, tower, write_pack

if TYPE_CHECKING:
    from torch import Tensor

PRESETS = {
    "tiny": Sizes(
        dino={"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3},
        text=tower(24, 2, 3),
        vision=tower(48, 2, 3),
        shared=32,
        rn50={"blocks": (1, 1, 1, 1), "stem": 8, "text": 64, "text_layers": 2, "shared": 32},
    ),
    "full": Sizes(
        dino={"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
        text=tower(768, 12, 12),
        vision=tower(1024, 24, 16),
        shared=768,
        rn50={"blocks": (3, 4, 6, 3), "stem": 64, "text": 512, "text_layers": 12, "shared": 1024},
    ),
}
# by preset, the biases that are made large; none in CLIP's full size
_COMMON = {
    "tiny": {"clip": "final_layer_norm.bias", "rn50": "ln_final.bias"},
    "full": {"rn50": "ln_final.bias"},
}


def write_miniature(folder: Path, seed: int, preset: str = "tiny") -> None:
    """Write the five networks and the aesthetic head to `folder`, which must be empty or not there yet.

    `preset` is "tiny", or "full" for the sizes of the contest's networks (2.3 GB, for timing). Everything is written
    beside `folder` first and then renamed, so that a folder of that name is whole. Raises UserError.
    """
    sizes = PRESETS[preset]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and not empty; choose another folder")
    require_folder(folder.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(folder) as work:
        draft = work / "pack"
        with needs("eval"):
            write_pack(draft, sizes, partial(_values, seed, _COMMON[preset]))
            _write_aesthetic(draft / files.AESTHETIC, seed, sizes)
        draft.rename(folder)


def draw(seed: int, name: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The float64 numbers of one tensor; `kind` is "variance", "gain", "bias" or "weight"."""
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if kind == "variance":
        return generator.uniform(0.6, 1.4, shape)
    values = generator.standard_normal(shape)
    if kind == "gain":
        return 1 + 0.1 * values
    if kind == "bias":
        return 0.05 * values
    fan_in = max(1, int(np.prod(shape[1:]))) if len(shape) > 1 else 1
    return values * (1.6 / fan_in) ** 0.5


def _values(seed: int, common: dict[str, str], network: str, name: str, wanted: Tensor) -> np.ndarray:
    """The numbers of one tensor of a network, float32 or int64; the bias that `common` ends is 60 times as large."""
    shape, full_name = tuple(wanted.shape), f"{network}.{name}"
    if not wanted.is_floating_point():
        return np.zeros(shape, np.int64)
    if name == "logit_scale":
        return np.array(np.log(100.0), np.float32)
    if "embedding" in name:
        return (draw(seed, full_name, shape, "bias") * 4).astype(np.float32)
    values = draw(seed, full_name, shape, _kind(name, shape))
    if network in common and name.endswith(common[network]):
        values = values * 60
    return values.astype(np.float32)


def _kind(name: str, shape: tuple[int, ...]) -> str:
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return "variance"
    if leaf in ("bias", "in_proj_bias", "running_mean"):
        return "bias"
    return "gain" if len(shape) == 1 else "weight"


def _write_aesthetic(path: Path, seed: int, sizes: Sizes) -> None:
    import torch

    weight = draw(seed, "aesthetic.weight", (1, sizes.shared), "weight")
    path.parent.mkdir()
    # unit features give less than 1 of either sign: scores in the middle of the scale of 1 to 10
    torch.save({"weight": torch.tensor(weight, dtype=torch.float32), "bias": torch.tensor([5.0])}, path)
