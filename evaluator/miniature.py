"""A random weights folder in the real file formats, small or full-size, the same anywhere for the same seed.

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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluator import weights as files
from submission.errors import UserError, needs

if TYPE_CHECKING:
    from torch import Tensor, nn

_START, _END = "<|startoftext|>", "<|endoftext|>"
_VOCABULARY = 49408
_TEXT_BIAS = "final_layer_norm.bias"


@dataclass(frozen=True)
class _Sizes:
    """Settings of the Hugging Face networks, `shared` the width of CLIP's common space, and RN50's own sizes.

    `common` is the bias of CLIP's file that is made large; none in the full sizes.
    """

    dino: Mapping[str, int]
    text: Mapping[str, int]
    vision: Mapping[str, int]
    shared: int
    rn50: Mapping[str, Any]
    common: str


def _tower(width: int, layers: int, heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


_PRESETS = {
    "tiny": _Sizes(
        dino={"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3},
        text=_tower(24, 2, 3),
        vision=_tower(48, 2, 3),
        shared=32,
        rn50={"blocks": (1, 1, 1, 1), "stem": 8, "text": 64, "text_layers": 2, "shared": 32},
        common=_TEXT_BIAS,
    ),
    "full": _Sizes(
        dino={"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
        text=_tower(768, 12, 12),
        vision=_tower(1024, 24, 16),
        shared=768,
        rn50={"blocks": (3, 4, 6, 3), "stem": 64, "text": 512, "text_layers": 12, "shared": 1024},
        common="",
    ),
}


def write_miniature(folder: Path, seed: int, preset: str = "tiny") -> None:
    """Write the five networks and the aesthetic head to `folder`, which must be empty or not there yet.

    `preset` is "tiny", or "full" for the sizes of the contest's networks (2.3 GB, for timing). Everything is written
    beside `folder` first and then renamed, so that a folder of that name is whole. Raises UserError.
    """
    sizes = _PRESETS[preset]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already and not empty; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name[:40]}.", dir=folder.parent) as temporary:
        draft = Path(temporary) / "pack"
        with needs("eval"):
            _write_dino(draft / files.DINO, seed, sizes)
            _write_clip(draft / files.CLIP, seed, sizes)
            _write_rn50(draft / files.RN50, seed, sizes)
            _write_squeezenet(draft / files.SQUEEZENET, seed)
            _write_inception(draft / files.INCEPTION, seed)
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


def _shapes(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """The state of the network of `make` without its numbers."""
    import torch

    with torch.device("meta"):
        return make().state_dict()


def _values(wanted: Tensor, seed: int, prefix: str, name: str, common: str = "") -> np.ndarray:
    """The numbers of one tensor of a state, float32 or int64; the bias that `common` ends is 60 times as large."""
    shape = tuple(wanted.shape)
    if not wanted.is_floating_point():
        return np.zeros(shape, np.int64)
    if name == "logit_scale":
        return np.array(np.log(100.0), np.float32)
    if "embedding" in name:
        return (draw(seed, prefix + name, shape, "bias") * 4).astype(np.float32)
    values = draw(seed, prefix + name, shape, _kind(name, shape))
    if common and name.endswith(common):
        values = values * 60
    return values.astype(np.float32)


def _fill(make: Callable[[], nn.Module], seed: int, prefix: str, common: str = "") -> dict[str, Tensor]:
    """A whole state for the network of `make`."""
    import torch

    wanted = _shapes(make).items()
    return {name: torch.from_numpy(_values(tensor, seed, prefix, name, common)) for name, tensor in wanted}


def _kind(name: str, shape: tuple[int, ...]) -> str:
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return "variance"
    if leaf in ("bias", "in_proj_bias", "running_mean"):
        return "bias"
    return "gain" if len(shape) == 1 else "weight"


def _write_dino(folder: Path, seed: int, sizes: _Sizes) -> None:
    from evaluator.backbones.dinov2 import DinoNetwork, read_dino_config

    config = {
        "model_type": "dinov2",
        "architectures": ["Dinov2Model"],
        **sizes.dino,
        "patch_size": 14,
        "image_size": 518,
        "mlp_ratio": 4,
        "hidden_act": "gelu",
    }
    config |= {"layer_norm_eps": 1e-6, "layerscale_value": 1.0, "qkv_bias": True, "use_swiglu_ffn": False}
    _write_json(folder / "config.json", config)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    _write_json(folder / "preprocessor_config.json", _processor("BitImageProcessor", 256, mean, std))
    network = read_dino_config(folder / "config.json")
    _write_safetensors(folder / "model.safetensors", lambda: DinoNetwork(network), seed, "dino.")


def _write_clip(folder: Path, seed: int, sizes: _Sizes) -> None:
    import torch

    from evaluator.backbones.clip import ImageTower, TextTower, read_clip_config

    shared = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": sizes.shared}
    tokens = {"vocab_size": _VOCABULARY, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
    text = {"model_type": "clip_text_model", **sizes.text, **shared, **tokens, "max_position_embeddings": 77}
    vision = {"model_type": "clip_vision_model", **sizes.vision, **shared, "image_size": 224, "patch_size": 14}
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": sizes.shared}
    _write_json(folder / "config.json", {**config, "text_config": text, "vision_config": vision})
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    _write_json(folder / "preprocessor_config.json", _processor("CLIPImageProcessor", 224, mean, std))
    _write_tokenizer(folder)
    network = read_clip_config(folder / "config.json")

    def whole() -> nn.Module:
        both, images = TextTower(network), ImageTower(network)
        both.vision_model, both.visual_projection = images.vision_model, images.visual_projection
        both.logit_scale = torch.nn.Parameter(torch.empty(()))
        return both

    _write_safetensors(folder / "model.safetensors", whole, seed, "clip.", sizes.common)


def _write_rn50(path: Path, seed: int, sizes: _Sizes) -> None:
    from evaluator.backbones.rn50 import Rn50Config, TextTower, Visual

    network = Rn50Config(**sizes.rn50, places=50, vocabulary=_VOCABULARY)

    def whole() -> nn.Module:
        both = TextTower(network)
        both.visual = Visual(network)
        return both

    state = _fill(whole, seed, "rn50.", "ln_final.bias")
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


def _write_aesthetic(path: Path, seed: int, sizes: _Sizes) -> None:
    import torch

    weight = draw(seed, "aesthetic.weight", (1, sizes.shared), "weight")
    path.parent.mkdir()
    # unit features give less than 1 of either sign: scores in the middle of the scale of 1 to 10
    torch.save({"weight": torch.tensor(weight, dtype=torch.float32), "bias": torch.tensor([5.0])}, path)


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


def _write_safetensors(path: Path, make: Callable[[], nn.Module], seed: int, prefix: str, common: str = "") -> None:
    """Tensor by tensor, so that the full sizes need the memory of one; the bytes are those of safetensors' `save_file`.

    The format: the header's length in 8 bytes, a JSON header filled up with spaces to a multiple of 8, the numbers.
    """
    wanted = _shapes(make)
    # wider numbers first, so that all lie at a multiple of their width
    names = sorted(wanted, key=lambda name: (wanted[name].is_floating_point(), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        kind, width = ("F32", 4) if wanted[name].is_floating_point() else ("I64", 8)
        start, end = end, end + width * wanted[name].numel()
        header[name] = {"dtype": kind, "shape": list(wanted[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            stream.write(_values(wanted[name], seed, prefix, name, common).tobytes())


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
