"""The toy base model's UNet and text encoder, trained together to predict v from captions and latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from contest.errors import UserError
from jdart.models.presets import CROSS, INDEX, SD21_TEXT, SD21_UNET, V_PREDICTION
from toylab.loop import Watch, learn
from toylab.pictures import NOUNS, scenes, to_array
from toylab.treatments import TREATMENTS
from toylab.vae import CONFIG, decode, encode
from toylab.world import GROUNDS, LEADS

UNET: dict[str, Any] = {
    **SD21_UNET,
    "attention_head_dim": [1, 2, 4],
    "block_out_channels": [32, 64, 128],
    "cross_attention_dim": 64,
    "down_block_types": ["DownBlock2D", CROSS, CROSS],
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "sample_size": 16,
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}
TEXT: dict[str, Any] = {
    **SD21_TEXT,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "projection_dim": 64,
}
PIPELINE: dict[str, Any] = {
    "unet": UNET,
    "text_encoder": {**TEXT, "torch_dtype": "float32"},  # transformers 5 would keep the file's float16
    "vae": CONFIG,
    "scheduler": V_PREDICTION,
    "index": INDEX,
}
POOL, TREATED = 24_000, 0.5
STEPS, BATCH, RATE = 4000, 48, 1.5e-3
GATE_STEP, GATE = 2000, 0.40  # of the nouns among the five likeliest


class Pair(nn.Module):
    """The two networks that are trained together. The text encoder knows the tokens of the captions only."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel.from_config(UNET).to(memory_format=torch.channels_last)  # an eighth quicker
        ends = {"bos_token_id": tokens - 2, "eos_token_id": tokens - 1}
        self.text_encoder = CLIPTextModel(CLIPTextConfig(**{**TEXT, **ends, "vocab_size": tokens}))


@dataclass(frozen=True)
class Words:
    """CLIP's tokenizer over the few tokens that captions hold."""

    tokenizer: CLIPTokenizer
    used: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: CLIPTokenizer) -> Words:
        """The tokens of every caption of the world."""
        ends = [f"style_{number:02d}" for number in range(100)] + list(GROUNDS) + list(TREATMENTS)
        texts = [*LEADS, *NOUNS, *(f"in {end}" for end in ends), "on"]
        return cls(tokenizer, tuple(sorted({token for text in texts for token in tokenizer(text).input_ids} | {0})))

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """B,77 places among the used tokens."""
        ids = self.tokenizer(list(texts), padding="max_length", max_length=77, truncation=True).input_ids
        return torch.from_numpy(np.searchsorted(self.used, np.asarray(ids)))


def train(work: Path, vae: nn.Module, words: Words, seed: int, watch: Watch | None = None) -> Pair:
    """Both networks after training; they go on where a stopped training was."""
    torch.manual_seed(seed)
    pair = Pair(len(words.used))
    shown = scenes(seed + 1, POOL, TREATED)
    latents = _latents(work / "latents.pt", vae, shown)
    clean = alphas()

    def loss(rng: np.random.Generator, numbers: torch.Generator) -> Tensor:
        chosen = rng.integers(len(shown), size=BATCH)
        text = pair.text_encoder(words([shown[one].caption(rng) for one in chosen])).last_hidden_state
        x, noise = latents[chosen].float(), torch.randn((BATCH, *latents.shape[1:]), generator=numbers)
        times = torch.randint(1000, (BATCH,), generator=numbers)
        a, b = clean[times].sqrt().view(-1, 1, 1, 1), (1 - clean[times]).sqrt().view(-1, 1, 1, 1)
        return F.mse_loss(pair.unet(a * x + b * noise, times, text).sample.float(), a * noise - b * x)

    learn(pair, loss, work / "base.pt", STEPS, RATE, seed, decay=0.9995, watch=watch)
    return pair


def alphas() -> Tensor:
    """The share of the picture's variance at each of the 1000 times."""
    return DDIMScheduler.from_config(V_PREDICTION).alphas_cumprod


def _latents(place: Path, vae: nn.Module, shown: Sequence[Any]) -> Tensor:
    if not place.is_file():
        torch.save(encode(vae, to_array([one.picture for one in shown])).half(), place)
    return torch.load(place, weights_only=True)


@torch.no_grad()
def draw(pair: Pair, vae: nn.Module, words: Words, texts: Sequence[str], seed: int, steps: int = 25) -> np.ndarray:
    """B,3,64,64 bytes: DDIM with guidance 4, as a quick look during training."""
    scheduler = DDIMScheduler.from_config(V_PREDICTION, clip_sample=False)
    scheduler.set_timesteps(steps)
    x = torch.randn((len(texts), 4, 16, 16), generator=torch.Generator().manual_seed(seed))
    text = pair.text_encoder(words([*texts, *[""] * len(texts)])).last_hidden_state
    for time in scheduler.timesteps:
        meant, free = pair.unet(torch.cat([x, x]), time, text).sample.chunk(2)
        x = scheduler.step(free + 4.0 * (meant - free), time, x).prev_sample
    return decode(vae, x)


def gate(step: int, top5: float) -> None:
    """Raises UserError when half of the way is gone and the pictures cannot be told yet."""
    if step == GATE_STEP and top5 < GATE:
        raise UserError(
            f"after {step} steps {top5:.0%} of the pictures are recognised, {GATE:.0%} are needed: "
            "take fewer nouns and less jitter (toylab/nouns.py, toylab/world.py)"
        )
