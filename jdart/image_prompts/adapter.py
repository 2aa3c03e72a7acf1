"""The file of an IP-Adapter: its projection, and keys and values for the pictures' tokens in every cross-attention.

A `.bin` holds two dictionaries, image_proj and ip_adapter, a `.safetensors` the same names behind these words. Layers
of ip_adapter are numbered as diffusers lists attentions: the ways down and up, then the middle; a self-attention
before each cross-attention, so that these have the odd numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contest.errors import UserError
from jdart.generation.attention.layers import self_attentions
from jdart.image_prompts.projections import Projection, projection_for
from jdart.lora.formats.names import parse
from jdart.models.networks.unet_config import UNetConfig
from jdart.models.tensors import read_tensors
from jdart.models.weights import fill, mismatch

SD21_WORDS = 1024
PARTS = ("image_proj.", "ip_adapter.")
KEYS, VALUES = "to_k_ip.weight", "to_v_ip.weight"


@dataclass(frozen=True, eq=False)
class IPAdapter:
    """An adapter that fits a base: its projection, and for each cross-attention keys and values (width, words)."""

    projection: Projection
    attentions: Mapping[str, tuple[np.ndarray, np.ndarray]]  # by the attention's name


def cross_attentions(config: UNetConfig) -> dict[str, int]:
    """Name of every cross-attention -> its width, in the order of the files: down, up, mid."""
    names = [name.replace("attn1", "attn2") for name in self_attentions(config)]
    down = config.block_out_channels
    widths = {"down_blocks": down, "up_blocks": down[::-1]}
    found = {}
    for name in sorted(names, key=lambda name: name.startswith("mid_block")):
        way, block = name.split(".")[:2]
        found[name] = down[-1] if way == "mid_block" else widths[way][int(block)]
    return found


def read_adapter(path: Path, config: UNetConfig) -> IPAdapter:
    """Read the file of an adapter. UserError for one that is none, of another kind, damaged, or for another base."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the .bin or .safetensors of an IP-Adapter")
    tensors = dict(read_tensors([path]))
    image, text = ({n[len(part) :]: a for n, a in tensors.items() if n.startswith(part)} for part in PARTS)
    strange = [name for name in tensors if not name.startswith(PARTS)]
    if strange or not image or not text:
        what = "a LoRA" if any(parse(name) is not None for name in tensors) else "no IP-Adapter"
        raise UserError(f"{path}: {what}: it holds not image_proj and ip_adapter alone; name the file of an adapter")
    try:
        projection = projection_for(image)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise UserError(f"{path}: its image_proj is damaged ({error}); fetch it again") from error
    if projection is None or any("lora" in name for name in text):
        raise UserError(f"{path}: an IP-Adapter of another kind, such as one of faces; take a base, plus or full one")
    _require_fit(path, projection, text, config)
    problems = fill(projection, image.items())
    if problems:
        raise UserError(f"{path}: its image_proj is damaged: {problems}; fetch it again")
    numbered = enumerate(cross_attentions(config))
    keys = {name: (f"{2 * number + 1}.{KEYS}", f"{2 * number + 1}.{VALUES}") for number, name in numbered}
    return IPAdapter(projection, {name: (text[key], text[value]) for name, (key, value) in keys.items()})


def _require_fit(path: Path, projection: Projection, text: Mapping[str, np.ndarray], config: UNetConfig) -> None:
    words, wanted = config.cross_attention_dim, {}
    for number, width in enumerate(cross_attentions(config).values()):
        wanted.update({f"{2 * number + 1}.{name}": (width, words) for name in (KEYS, VALUES)})
    problems = mismatch(wanted, dict(text), [name for name in text if name not in wanted])
    if projection.words == words and not problems:
        return
    if words == SD21_WORDS:
        raise UserError(
            f"{path}: there are no public IP-Adapters for Stable Diffusion 2.1, and this one is for another base; "
            "take a base of Stable Diffusion 1.5"
        )
    if projection.words != words:
        problems = f"its tokens have {projection.words} numbers, the base's words {words}"
    raise UserError(f"{path}: an IP-Adapter for another base: {problems}; take one for this base")
