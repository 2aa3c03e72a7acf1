"""Writing a weights folder: the five networks in the real file formats, at any size and with any numbers.

The networks themselves (backbones/) say which tensors there are: their parameter names are the files'.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluator.backbones.colours import CLIP_COLOURS, DINO_COLOURS
from evaluator.weights import folder as files
from evaluator.weights.tokenizer import VOCABULARY, write_settings, write_tokenizer

if TYPE_CHECKING:
    from torch import Tensor, nn


# a network, a tensor's name and the tensor without numbers -> its numbers, float32 or int64
Numbers = Callable[[str, str, "Tensor"], np.ndarray]


@dataclass(frozen=True)
class Sizes:
    """Settings of the Hugging Face networks, `shared` the width of CLIP's common space, and RN50's own sizes.

    Edges are pixels: what a picture's shorter side becomes, and then the crop. `half` writes float16.
    """

    dino: Mapping[str, int]
    text: Mapping[str, int]
    vision: Mapping[str, int]
    shared: int
    rn50: Mapping[str, Any]
    dino_edges: tuple[int, int] = (256, 224)
    clip_edges: tuple[int, int] = (224, 224)
    half: bool = False


def tower(width: int, layers: int, heads: int) -> dict[str, int]:
    """One of CLIP's transformers."""
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


def write_pack(folder: Path, sizes: Sizes, numbers: Numbers, name: str | None = None) -> None:
    """Write the five networks to `folder`. CLIP's settings note `name`, where the pack has one."""
    make = networks(sizes)
    write_settings(folder / files.DINO / "config.json", _dino_settings(sizes))
    colours = _processor("BitImageProcessor", sizes.dino_edges, *DINO_COLOURS)
    write_settings(folder / files.DINO / "preprocessor_config.json", colours)
    _write_safetensors(folder / files.DINO / "model.safetensors", make["dino"], "dino", sizes, numbers)
    named = {} if name is None else {"_name_or_path": name}
    write_settings(folder / files.CLIP / "config.json", {**_clip_settings(sizes), **named})
    colours = _processor("CLIPImageProcessor", sizes.clip_edges, *CLIP_COLOURS)
    write_settings(folder / files.CLIP / "preprocessor_config.json", colours)
    _write_safetensors(folder / files.CLIP / "model.safetensors", make["clip"], "clip", sizes, numbers)
    write_tokenizer(folder / files.CLIP)
    _write_rest(folder, sizes, make, numbers)


def _write_rest(folder: Path, sizes: Sizes, make: Mapping[str, Callable[[], nn.Module]], numbers: Numbers) -> None:
    """PyTorch's own formats."""
    import torch

    for network, name in (("squeeze", files.SQUEEZENET), ("inception", files.INCEPTION)):
        state = _fill(make[network], network, numbers)
        torch.save(_halved(state) if sizes.half else state, folder / name)
    _save_archive(_halved(_fill(make["rn50"], "rn50", numbers)), folder / files.RN50)


def networks(sizes: Sizes) -> dict[str, Callable[[], nn.Module]]:
    """dino, clip, rn50, squeeze, inception: what makes each, whole, with the parameter names of its file."""
    import torch

    from evaluator.backbones import clip, dinov2, inception, rn50, squeezenet

    def whole_clip() -> nn.Module:
        config = clip.parse_clip_config(_clip_settings(sizes), Path("config.json"))
        both, images = clip.TextTower(config), clip.ImageTower(config)
        both.vision_model, both.visual_projection = images.vision_model, images.visual_projection
        both.logit_scale = torch.nn.Parameter(torch.empty(()))
        return both

    def whole_rn50() -> nn.Module:
        config = rn50.Rn50Config(**sizes.rn50, places=50, vocabulary=VOCABULARY)
        both = rn50.TextTower(config)
        both.visual = rn50.Visual(config)
        return both

    def whole_squeezenet() -> nn.Module:
        network = squeezenet.SqueezeNetwork()
        # torchvision's file ends with a classifier, which LPIPS does not use
        network.classifier = torch.nn.ModuleDict({"1": torch.nn.Conv2d(512, 1000, 1)})
        return network

    return {
        "dino": lambda: dinov2.DinoNetwork(dinov2.parse_dino_config(_dino_settings(sizes), Path("config.json"))),
        "clip": whole_clip,
        "rn50": whole_rn50,
        "squeeze": whole_squeezenet,
        "inception": inception.InceptionNetwork,
    }


def shapes_of(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """The state of the network of `make` without its numbers."""
    import torch

    with torch.device("meta"):
        return make().state_dict()


def _fill(make: Callable[[], nn.Module], network: str, numbers: Numbers) -> dict[str, Tensor]:
    import torch

    return {name: torch.from_numpy(numbers(network, name, tensor)) for name, tensor in shapes_of(make).items()}


def _halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def _dino_settings(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "dinov2",
        "architectures": ["Dinov2Model"],
        "patch_size": 14,
        "image_size": 518,
        "mlp_ratio": 4,
        **sizes.dino,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "layerscale_value": 1.0,
        "qkv_bias": True,
        "use_swiglu_ffn": False,
    }


def _clip_settings(sizes: Sizes) -> dict[str, Any]:
    shared = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": sizes.shared}
    tokens = {"vocab_size": VOCABULARY, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    text = {"model_type": "clip_text_model", **sizes.text, **shared, **tokens, "max_position_embeddings": 77}
    picture = {"image_size": sizes.clip_edges[1], "patch_size": 14, **sizes.vision}
    vision = {"model_type": "clip_vision_model", **picture, **shared}
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": sizes.shared}
    return {**config, "text_config": text, "vision_config": vision}


def _processor(kind: str, edges: tuple[int, int], mean: Iterable[float], std: Iterable[float]) -> dict[str, Any]:
    switches = ("do_convert_rgb", "do_resize", "do_center_crop", "do_rescale", "do_normalize")
    return {
        "image_processor_type": kind,
        **dict.fromkeys(switches, True),
        "size": {"shortest_edge": edges[0]},
        "crop_size": {"height": edges[1], "width": edges[1]},
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": list(mean),
        "image_std": list(std),
    }


def _write_safetensors(path: Path, make: Callable[[], nn.Module], network: str, sizes: Sizes, numbers: Numbers) -> None:
    """Tensor by tensor, so that the full sizes need the memory of one; the bytes are those of safetensors' `save_file`.

    The format: the header's length in 8 bytes, a JSON header filled up with spaces to a multiple of 8, the numbers.
    """
    wanted = shapes_of(make)
    floats, width_of_floats = ("F16", 2) if sizes.half else ("F32", 4)
    # wider numbers first, so that all lie at a multiple of their width
    names = sorted(wanted, key=lambda name: (wanted[name].is_floating_point(), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        kind, width = (floats, width_of_floats) if wanted[name].is_floating_point() else ("I64", 8)
        start, end = end, end + width * wanted[name].numel()
        header[name] = {"dtype": kind, "shape": list(wanted[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            values = numbers(network, name, wanted[name])
            stream.write((values.astype(np.float16) if sizes.half and values.dtype == np.float32 else values).tobytes())


def _save_archive(state: dict[str, Tensor], path: Path) -> None:
    """A TorchScript archive whose state has exactly the names of `state`, as OpenAI published RN50."""
    import torch

    root = torch.nn.Module()
    for name, tensor in state.items():
        *parents, leaf = name.split(".")
        node = root
        for part in parents:
            if part not in node._modules:
                node.add_module(part, torch.nn.Module())
            node = node._modules[part]
        node.register_buffer(leaf, tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated; the file's format is not ours to choose
        torch.jit.script(root).save(str(path))
