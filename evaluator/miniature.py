"""A miniature weights folder in the real file formats: random, small, the same anywhere for the same seed.

Every tensor is drawn by a generator seeded with (seed, CRC-32 of its network's prefix and its name), so
nothing depends on a framework's initialisation or on an order. The networks themselves say which tensors
there are: their parameter names are the files'. The text towers' last bias is large, which gives all texts
a common direction as trained ones have.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluator import weights as files
from submission.errors import UserError, needs

if TYPE_CHECKING:
    from torch import Tensor, nn

_START, _END = "<|startoftext|>", "<|endoftext|>"
_DINO = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "patch_size": 14,
    "image_size": 518,
}
_TEXT = {"hidden_size": 24, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3}
_VISION = {"hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 3}
_SHARED = 32
_VOCABULARY = 49408


def write_miniature(folder: Path, seed: int) -> None:
    """Write the five networks to `folder`, which must be empty or not there yet. Raises UserError.

    Everything is written beside `folder` first and then renamed, so that a folder of that name is whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and not empty; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name[:40]}.", dir=folder.parent) as temporary:
        draft = Path(temporary) / "pack"
        with needs("eval"):
            _write_dino(draft / files.DINO, seed)
            _write_clip(draft / files.CLIP, seed)
            _write_rn50(draft / files.RN50, seed)
            _write_squeezenet(draft / files.SQUEEZENET, seed)
            _write_inception(draft / files.INCEPTION, seed)
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


def _fill(make: Callable[[], nn.Module], seed: int, prefix: str, loud_bias: str = "") -> dict[str, Tensor]:
    """A float32 state for the network of `make`; the bias that `loud_bias` ends is 60 times as large."""
    import torch

    with torch.device("meta"):
        wanted = make().state_dict()
    state = {}
    for name, tensor in wanted.items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            state[name] = torch.zeros(shape, dtype=tensor.dtype)
            continue
        if name == "logit_scale":
            values = np.log(100.0)
        elif "embedding" in name:
            values = draw(seed, prefix + name, shape, "bias") * 4
        else:
            values = draw(seed, prefix + name, shape, _kind(name, shape))
            if loud_bias and name.endswith(loud_bias):
                values = values * 60
        state[name] = torch.tensor(values, dtype=torch.float32)
    return state


def _kind(name: str, shape: tuple[int, ...]) -> str:
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return "variance"
    if leaf in ("bias", "in_proj_bias", "running_mean"):
        return "bias"
    return "gain" if len(shape) == 1 else "weight"


def _write_dino(folder: Path, seed: int) -> None:
    from evaluator.backbones.dinov2 import DinoNetwork, read_dino_config

    config = {
        "model_type": "dinov2",
        "architectures": ["Dinov2Model"],
        **_DINO,
        "mlp_ratio": 4,
        "hidden_act": "gelu",
    }
    config |= {"layer_norm_eps": 1e-6, "layerscale_value": 1.0, "qkv_bias": True, "use_swiglu_ffn": False}
    _write_json(folder / "config.json", config)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    _write_json(folder / "preprocessor_config.json", _processor("BitImageProcessor", 256, mean, std))
    sizes = read_dino_config(folder / "config.json")
    _write_safetensors(folder, _fill(lambda: DinoNetwork(sizes), seed, "dino."))


def _write_clip(folder: Path, seed: int) -> None:
    from evaluator.backbones.clip import ClipNetwork, read_clip_config

    shared = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": _SHARED}
    tokens = {"vocab_size": _VOCABULARY, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    text = {"model_type": "clip_text_model", **_TEXT, **shared, **tokens, "max_position_embeddings": 77}
    vision = {"model_type": "clip_vision_model", **_VISION, **shared, "image_size": 224, "patch_size": 14}
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": _SHARED}
    _write_json(folder / "config.json", {**config, "text_config": text, "vision_config": vision})
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    _write_json(folder / "preprocessor_config.json", _processor("CLIPImageProcessor", 224, mean, std))
    _write_tokenizer(folder)
    sizes = read_clip_config(folder / "config.json")
    _write_safetensors(folder, _fill(lambda: ClipNetwork(sizes), seed, "clip.", "final_layer_norm.bias"))


def _write_rn50(path: Path, seed: int) -> None:
    from evaluator.backbones.rn50 import Rn50Config, Rn50Network

    sizes = Rn50Config(
        blocks=(1, 1, 1, 1),
        stem=8,
        places=50,
        text=64,
        text_layers=2,
        vocabulary=_VOCABULARY,
        shared=_SHARED,
    )
    state = _fill(lambda: Rn50Network(sizes), seed, "rn50.", "ln_final.bias")
    _save_archive({name: x.half() if x.is_floating_point() else x for name, x in state.items()}, path)


def _write_squeezenet(path: Path, seed: int) -> None:
    import torch

    from evaluator.backbones.squeezenet import SqueezeNetwork

    def whole() -> nn.Module:
        network = SqueezeNetwork()
        # torchvision's file ends with a classifier, which LPIPS does not use
        network.classifier = torch.nn.ModuleDict({"1": torch.nn.Conv2d(512, 1000, 1)})
        return network

    torch.save(_fill(whole, seed, "squeeze."), path)


def _write_inception(path: Path, seed: int) -> None:
    import torch

    from evaluator.backbones.inception import InceptionNetwork

    torch.save(_fill(InceptionNetwork, seed, "inception."), path)


def _write_tokenizer(folder: Path) -> None:
    """vocab.json and merges.txt of CLIP's real tokenizer, from the list of merges that open_clip ships."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'open_clip'", name="open-clip-torch")
    with gzip.open(Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as stream:
        merges = stream.read().split("\n")[1 : _VOCABULARY - 2 * 256 - 2 + 1]
    # GPT-2's bytes as printable characters: 188 stand for themselves, the others follow from 256 on
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(code) for code in [*printable, *range(256, 512 - len(printable))]]
    tokens = [
        *characters,
        *(f"{c}</w>" for c in characters),
        *("".join(m.split()) for m in merges),
        _START,
        _END,
    ]
    _write_json(folder / "vocab.json", {token: place for place, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    _write_json(folder / "tokenizer_config.json", settings)


def _processor(kind: str, edge: int, mean: Iterable[float], std: Iterable[float]) -> dict[str, Any]:
    switches = ("do_convert_rgb", "do_resize", "do_center_crop", "do_rescale", "do_normalize")
    return {
        "image_processor_type": kind,
        **dict.fromkeys(switches, True),
        "size": {"shortest_edge": edge},
        "crop_size": {"height": 224, "width": 224},
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": list(mean),
        "image_std": list(std),
    }


def _write_safetensors(folder: Path, state: dict[str, Tensor]) -> None:
    from safetensors.torch import save_file

    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


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


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
