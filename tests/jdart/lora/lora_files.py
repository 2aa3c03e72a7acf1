"""LoRA files of each format, and a comparison that forgives nothing."""

import torch

from jdart.lora.formats.file import LoraFile
from jdart.lora.formats.writing import save_lora

PLACES = {"diffusers": "d.safetensors", "peft": "adapter", "kohya": "k.safetensors", "bin": "b.bin"}


def written(folder, pairs, format, **options):
    path = folder / PLACES[format]
    save_lora(path, LoraFile(pairs, {"style": "07"}), format, **options)
    return path


def assert_same(found, expected):
    for network, pairs in expected.items():
        assert set(found[network]) == set(pairs)
        for name, pair in pairs.items():
            again = found[network][name]
            assert (again.a == pair.a).all(), name
            assert (again.b == pair.b).all(), name
            assert (again.alpha, again.rslora) == (pair.alpha, pair.rslora)


def bare(folder, alpha=None):
    """A .bin of one layer of rank 2, with or without its alpha."""
    layer = "unet.mid_block.attentions.0.proj_in"
    state = {f"{layer}.lora.down.weight": torch.ones(2, 64), f"{layer}.lora.up.weight": torch.ones(64, 2)}
    if alpha is not None:
        state[f"{layer}.alpha"] = torch.tensor(alpha)
    torch.save(state, folder / "x.bin")
    return folder / "x.bin"
