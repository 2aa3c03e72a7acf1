"""CLIP RN50 without its positional embedding, at any picture size.

Names are those of OpenAI's TorchScript archive. Dropping the embedding is what CLIP-IQA does
(Wang et al., 2023; piq's `clip_iqa`), so that pictures need no resizing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from contest.errors import UserError
from evaluator.backbones.attention import attend, quick_gelu_
from evaluator.backbones.colours import CLIP_COLOURS
from evaluator.backbones.loading import State, build, read_archive, table
from evaluator.backbones.tokenizer import CONTEXT, Tokenizer

HEAD = 64  # channels per attention head, in both towers
_CONSTANTS = ("input_resolution", "context_length", "vocab_size")  # in OpenAI's archive, not parameters


@dataclass(frozen=True)
class Rn50Config:
    """Bottlenecks per stage, channels of the stem, places of the unused positional embedding, and widths."""

    blocks: tuple[int, int, int, int]
    stem: int
    places: int
    text: int
    text_layers: int
    vocabulary: int
    shared: int


class Rn50Images:
    """OpenAI's archive -> features of pictures of any size."""

    def __init__(self, archive: Path, device: str) -> None:
        state = read_archive(archive)
        config = read_rn50_config(state, archive)
        self._network = build(lambda: Visual(config), _part(state, visual=True), archive, device)
        self._device = device
        self._mean, self._std = (torch.tensor(part, device=device)[:, None, None] for part in CLIP_COLOURS)

    def features(self, batch: np.ndarray) -> np.ndarray:
        """N,3,H,W float32 -> N,shared float32, not normalised."""
        with torch.inference_mode():
            pixels = torch.from_numpy(batch).to(self._device)
            return self._network((pixels - self._mean) / self._std).float().cpu().numpy()


class Rn50Texts:
    """OpenAI's archive and CLIP's tokenizer folder -> features of texts."""

    def __init__(self, archive: Path, tokenizer: Path, device: str) -> None:
        state = read_archive(archive)
        config = read_rn50_config(state, archive)
        self._tokenizer = Tokenizer(tokenizer)
        if self._tokenizer.end >= config.vocabulary:
            raise UserError(f"{archive}: the tokenizer has more tokens than the network's {config.vocabulary}")
        self._network = build(lambda: TextTower(config), _part(state, visual=False), archive, device)
        self._device = device

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """N texts -> N,shared float32, not normalised; rows are filled up with token 0."""
        ids = torch.tensor(self._tokenizer.ids(list(texts), padding=0), device=self._device)
        with torch.inference_mode():
            return self._network(ids, self._tokenizer.end).float().cpu().numpy()


def _part(state: State, visual: bool) -> State:
    """The tensors of one of the two networks, under its own names."""
    tower = {name: tensor for name, tensor in state.items() if name.startswith("visual.") == visual}
    return {name.removeprefix("visual."): tensor for name, tensor in tower.items() if name not in _CONSTANTS}


class TextTower(nn.Module):
    """A causal transformer (Radford et al., 2021)."""

    def __init__(self, config: Rn50Config) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(CONTEXT, config.text))
        self.text_projection = nn.Parameter(torch.empty(config.text, config.shared))
        self.logit_scale = nn.Parameter(torch.empty(()))
        layers = nn.ModuleList(_TextLayer(config.text) for _ in range(config.text_layers))
        self.transformer = nn.ModuleDict({"resblocks": layers})
        self.token_embedding = table(config.vocabulary, config.text)
        self.ln_final = nn.LayerNorm(config.text)

    def forward(self, ids: Tensor, end: int) -> Tensor:
        """B,77 -> B,shared, read at each row's end token."""
        x = self.token_embedding(ids) + self.positional_embedding
        for layer in self.transformer["resblocks"]:
            x = layer(x)
        ends = (ids == end).int().argmax(1)
        return self.ln_final(x[torch.arange(len(x), device=x.device), ends]) @ self.text_projection


class Visual(nn.Module):
    """A ResNet with attention pooling (Radford et al., 2021)."""

    def __init__(self, config: Rn50Config) -> None:
        super().__init__()
        stem = config.stem
        for place, (inputs, outputs, stride) in enumerate(
            ((3, stem // 2, 2), (stem // 2,) * 2 + (1,), (stem // 2, stem, 1)), 1
        ):
            setattr(self, f"conv{place}", nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))
            setattr(self, f"bn{place}", nn.BatchNorm2d(outputs))
        inputs = stem
        for stage, blocks in enumerate(config.blocks):
            planes = stem << stage
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            layers = [_Bottleneck(inputs if block == 0 else 4 * planes, planes, s) for block, s in enumerate(strides)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
            inputs = 4 * planes
        self.attnpool = _AttentionPool(inputs, config.shared, config.places)

    def forward(self, x: Tensor) -> Tensor:
        """B,3,H,W -> B,shared."""
        for place in (1, 2, 3):
            x = functional.relu_(getattr(self, f"bn{place}")(getattr(self, f"conv{place}")(x)))
        x = functional.avg_pool2d(x, 2)
        for stage in (1, 2, 3, 4):
            x = getattr(self, f"layer{stage}")(x)
        return self.attnpool(x)


class _Bottleneck(nn.Module):
    """Strides are average pools before a convolution of stride 1, against aliasing."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.downsample = None
        if stride > 1 or inputs != 4 * planes:
            convolution = nn.Conv2d(inputs, 4 * planes, 1, bias=False)
            self.downsample = nn.ModuleDict({"0": convolution, "1": nn.BatchNorm2d(4 * planes)})

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu_(self.bn1(self.conv1(x)))
        out = functional.relu_(self.bn2(self.conv2(out)))
        if self.stride > 1:
            out, x = functional.avg_pool2d(out, self.stride), functional.avg_pool2d(x, self.stride)
        if self.downsample is not None:
            x = self.downsample["1"](self.downsample["0"](x))
        return functional.relu_(self.bn3(self.conv3(out)).add_(x))


class _AttentionPool(nn.Module):
    """The mean place asks, all places and the mean answer."""

    def __init__(self, width: int, shared: int, places: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(places, width))  # read, never added
        for name in ("k_proj", "q_proj", "v_proj"):
            setattr(self, name, nn.Linear(width, width))
        self.c_proj = nn.Linear(width, shared)
        self.heads = width // HEAD

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)  # B,places,C
        mean = x.mean(1, keepdim=True)
        x = torch.cat((mean, x), 1)
        return self.c_proj(attend(self.q_proj(mean), self.k_proj(x), self.v_proj(x), self.heads))[:, 0]


class _TextLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.ln_1 = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.attn = _FusedAttention(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x), self.heads)
        return x + self.mlp["c_proj"](quick_gelu_(self.mlp["c_fc"](self.ln_2(x))))


class _FusedAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, heads: int) -> Tensor:
        query, key, value = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return self.out_proj(attend(query, key, value, heads, causal=True))


def read_rn50_config(state: State, path: Path) -> Rn50Config:
    """The sizes follow from the tensors' shapes and names, as in OpenAI's own loader."""

    def count(prefix: str) -> int:
        return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})

    try:
        blocks = tuple(count(f"visual.layer{stage}.") for stage in (1, 2, 3, 4))
        text, shared = state["text_projection"].shape
        config = Rn50Config(
            blocks=blocks,  # type: ignore[arg-type]
            stem=state["visual.conv3.weight"].shape[0],
            places=state["visual.attnpool.positional_embedding"].shape[0],
            text=text,
            text_layers=count("transformer.resblocks."),
            vocabulary=state["token_embedding.weight"].shape[0],
            shared=shared,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{path}: not CLIP RN50 (trouble with {error}); fetch it again") from error
    if 0 in blocks or config.stem % 2 or text % HEAD:
        raise UserError(f"{path}: not CLIP RN50 (its sizes do not fit together); fetch it again")
    return config
