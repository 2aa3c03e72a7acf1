"""Seconds of a LoRA training step: jdart against diffusers and peft on PyTorch, with and without what is computed once.

    python benchmarks/training.py --case small --json out.json

Both train the same weights on the same pictures, in turns; README.md beside this file describes the cases.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from turns import Program, compared, new_base, run_cases, surroundings, take_turns
from workload import paint

from contest.cores import cores

SEED = 11
PICTURES = 4
OURS, THEIRS = "jdart", "diffusers + peft"
OURS_ANEW, THEIRS_ANEW = f"{OURS}, encoding at every step", f"{THEIRS}, encoding at every step"
RATIOS = {"time against diffusers": (OURS, THEIRS, 1.0, False), "gain by encoding once": (OURS_ANEW, OURS, 1.5, True)}


@dataclass(frozen=True)
class Case:
    """A base model's preset, the side of a picture in pixels, the rank of the adapters, and gradient checkpointing."""

    preset: str
    size: int
    rank: int
    recompute: bool = False
    storage_dtype: str = "float32"  # what jdart keeps the weights of the base in


CASES = {"tiny": Case("tiny", 64, 4), "small": Case("small", 256, 4), "rank-32": Case("small", 256, 32)}


def paint_pictures(folder: Path, size: int) -> list[Path]:
    """What is learnt from: the same pictures for the same size."""
    images = [folder / f"{number}.png" for number in range(PICTURES)]
    for number, path in enumerate(images):
        paint(np.random.default_rng([SEED, number]), size).save(path)
    return images


def caption(number: int) -> str:
    return f"an image of thing {number} in style_00"


def ours(folder: Path, images: list[Path], case: Case, once: bool, device: str = "cpu") -> Iterator[None]:
    """A step of jdart for every item; with `once` false the step's picture and caption are encoded before it."""
    from jdart.runtime import start

    start(device)
    from jdart.config import Config, DataConfig, LoraConfig, MemoryConfig, TrainConfig
    from jdart.data.captions import Picture
    from jdart.models.build import Base
    from jdart.training.examples import encode
    from jdart.training.learner import Learner
    from jdart.training.loop import train

    config = Config(
        seed=SEED,
        data=DataConfig(size=case.size),
        lora=LoraConfig(r=case.rank),
        train=TrainConfig(steps=10**6),
        memory=MemoryConfig(gradient_checkpointing=case.recompute, storage_dtype=case.storage_dtype),
    )
    base = Base(folder, config.memory)
    pictures = [Picture(path, path.stem, caption(number)) for number, path in enumerate(images)]
    examples = encode(base, pictures, config.data, config.seed, True)
    steps = train(Learner(base, config, "00", examples, None), config.train)
    for number in range(config.train.steps):
        if not once:
            encode(base, [pictures[number % len(pictures)]], config.data, config.seed, True)
        next(steps)
        yield


def theirs(folder: Path, images: list[Path], case: Case, once: bool, device: str = "cpu") -> Iterator[None]:
    """The same step by diffusers' DreamBooth recipe."""
    import torch
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from peft import LoraConfig
    from PIL import Image
    from transformers import CLIPTextModel, CLIPTokenizer

    torch.set_num_threads(cores())
    torch.manual_seed(SEED)
    schedule = DDPMScheduler.from_pretrained(folder / "scheduler")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    text = CLIPTextModel.from_pretrained(folder / "text_encoder").requires_grad_(False).to(device)
    vae = AutoencoderKL.from_pretrained(folder / "vae").requires_grad_(False).to(device)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").requires_grad_(False).to(device)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(
        LoraConfig(r=case.rank, lora_alpha=case.rank, init_lora_weights="gaussian", target_modules=targets)
    )
    unet.train()
    if case.recompute:
        unet.enable_gradient_checkpointing()
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-2)

    def encode(number: int) -> tuple[Any, torch.Tensor]:
        """The distribution of a picture's latents, and its caption's embedding."""
        with Image.open(images[number]) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
        ids = tokenizer(caption(number), padding="max_length", truncation=True, return_tensors="pt").input_ids.to(
            device
        )
        with torch.no_grad():
            seen = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device)
            return vae.encode(seen).latent_dist, text(ids)[0]

    kept = [encode(number) for number in range(len(images))]
    number = 0
    while True:
        distribution, context = kept[number % len(images)] if once else encode(number % len(images))
        latents = distribution.sample() * vae.config.scaling_factor
        noise, t = torch.randn_like(latents), torch.randint(schedule.config.num_train_timesteps, (1,), device=device)
        velocity = schedule.config.prediction_type == "v_prediction"
        target = schedule.get_velocity(latents, noise, t) if velocity else noise
        output = unet(schedule.add_noise(latents, noise, t), t, context).sample
        loss = torch.nn.functional.mse_loss(output, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()
        number += 1
        yield


def run(case: Case, turns: int) -> dict[str, Any]:
    """One case: four programs in turns."""
    around = surroundings()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        folder = Path(temporary)
        new_base(folder / "base", case.preset, SEED)
        images = paint_pictures(folder, case.size)
        given = (folder / "base", images, case)
        programs = {
            OURS: Program(ours, (*given, True)),
            THEIRS: Program(theirs, (*given, True)),
            OURS_ANEW: Program(ours, (*given, False)),
            THEIRS_ANEW: Program(theirs, (*given, False)),
        }
        measured = take_turns(programs, turns)
    return {**vars(case), **around, "programs": measured, **compared(measured, RATIOS)}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which [default: all].")
@click.option("--turns", type=click.IntRange(min=1), default=15, show_default=True, help="Steps that are counted.")
@click.option("--quick", is_flag=True, help="For trials: a miniature at 32 px, two steps, targets not judged.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(cases: tuple[str, ...], turns: int, quick: bool, place: Path | None) -> None:
    """Measure the cases and print them. Exit code 1: a target is missed; 2: misuse, or a program failed."""
    chosen = {"quick": Case("tiny", 32, 2)} if quick else {name: CASES[name] for name in (cases or CASES)}

    def title(name: str, case: Case) -> str:
        return f"{name}: a step at {case.size} px, rank {case.rank}, batch 1"

    run_cases(chosen, lambda case: run(case, 2 if quick else turns), title, "step", place, judged=not quick)


if __name__ == "__main__":
    main()
