"""SD 2.1's own size at 512 px on the CPU: a UNet call under guidance, a LoRA step, the first picture; time and memory.

    python benchmarks/full_size.py --json full.json

Each rival takes turns with jdart alone, since all at once would not fit into 24 GB. A rival that will not run is named
with its error. OpenVINO is no dependency: pip install openvino==2025.2.0
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import training
from rich.console import Console
from turns import Program, compared, new_base, show, surroundings, take_turns
from workload import measure

from contest.console import FINDINGS
from contest.cores import cores
from contest.disk.files import write_json
from contest.errors import UserError
from jdart.config.sections.memory import STORAGE

SEED = 11
OURS = "jdart"
GUIDED = 2  # the batch of a UNet call under classifier-free guidance
FORWARD, STEP, FIRST = 0.75, 0.8, 1.2  # of the rival's time, at most
DRAWING_GB, TRAINING_GB = 5.0, 8.0  # at the peak, at most
Make = Callable[..., Iterator[None]]


@dataclass(frozen=True)
class Size:
    """A base model's preset, the side of a picture in pixels and the width of its text."""

    preset: str = "sd21"
    size: int = 512
    text: int = 1024
    storage_dtype: str = "float32"  # what jdart keeps the weights in


def inputs(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Latents (2, 4, H, W) and text (2, 77, D), float32."""
    rng, side = np.random.default_rng(SEED), size.size // (8 if size.preset != "tiny" else 2)
    shapes = (GUIDED, 4, side, side), (GUIDED, 77, size.text)
    latents, text = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return latents, text


def ours(folder: Path, size: Size, device: str = "cpu") -> Iterator[None]:
    """A call of jdart's UNet for every item."""
    from jdart.runtime import start

    jt = start(device)
    from jdart.config import MemoryConfig
    from jdart.models.build import Base

    unet = Base(folder, MemoryConfig(storage_dtype=size.storage_dtype)).unet
    latents, text = inputs(size)
    with jt.no_grad():
        while True:
            unet(jt.array(latents), np.full(GUIDED, 500), jt.array(text)).numpy()
            yield


def _torch_unet(folder: Path, size: Size, last: bool, device: str = "cpu") -> tuple[Any, tuple[Any, Any, Any]]:
    import torch
    from diffusers import UNet2DConditionModel

    torch.set_num_threads(cores())
    unet = UNet2DConditionModel.from_pretrained(folder / "unet").eval().requires_grad_(False).to(device)
    latents, text = (torch.from_numpy(array).to(device) for array in inputs(size))
    if last:
        unet, latents = unet.to(memory_format=torch.channels_last), latents.to(memory_format=torch.channels_last)
    return unet, (latents, torch.full((GUIDED,), 500, device=device), text)


def eager(folder: Path, size: Size, device: str = "cpu") -> Iterator[None]:
    """A call of diffusers' UNet on PyTorch for every item."""
    import torch

    unet, given = _torch_unet(folder, size, last=False, device=device)
    with torch.inference_mode():
        while True:
            unet(*given, return_dict=False)[0].cpu()
            yield


def compiled(folder: Path, size: Size) -> Iterator[None]:
    """The same by torch.compile, with frozen weights and channels last."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    unet, given = _torch_unet(folder, size, last=True)
    call = torch.compile(unet)
    with torch.no_grad():
        while True:
            call(*given, return_dict=False)
            yield


def openvino(folder: Path, size: Size) -> Iterator[None]:
    """The same by OpenVINO, in float32."""
    import openvino as ov
    import torch

    unet, given = _torch_unet(folder, size, last=False)

    class Called(torch.nn.Module):
        def forward(self, latents: Any, t: Any, text: Any) -> Any:
            return unet(latents, t, text, return_dict=False)[0]

    with torch.no_grad():
        model = ov.convert_model(Called(), example_input=given)
    precise = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
    call = ov.Core().compile_model(model, "CPU", precise)
    arrays = [each.numpy() for each in given]
    while True:
        call(arrays)
        yield


RIVALS: Mapping[str, Make] = {"diffusers": eager, "diffusers, compiled": compiled, "OpenVINO": openvino}


def against(programs: Mapping[str, Program], limit: float, memory: float, turns: int) -> dict[str, Any]:
    """jdart and one rival in turns; the ratio of times, and jdart's peak, against their targets."""
    around = surroundings()
    measured = take_turns(programs, turns)
    rival = next(name for name in programs if name != OURS)
    found = {
        **around,
        "programs": measured,
        **compared(measured, {f"time against {rival}": (OURS, rival, limit, False)}),
    }
    found["ratios"]["peak, GB"], found["targets"]["peak, GB"] = measured[OURS]["peak_gb"], memory
    if measured[OURS]["peak_gb"] > memory:
        found["missed"].append("peak, GB")
    return found


def forward(rival: str, base: Path, size: Size, turns: int) -> dict[str, Any]:
    """A UNet call with a batch of two."""
    programs = {OURS: Program(ours, (base, size)), rival: Program(RIVALS[rival], (base, size))}
    return against(programs, FORWARD, DRAWING_GB, turns)


def step(rank: int, base: Path, size: Size, turns: int) -> dict[str, Any]:
    """A training step of batch 1 with gradient checkpointing."""
    case = training.Case(size.preset, size.size, rank, recompute=True, storage_dtype=size.storage_dtype)
    images = training.paint_pictures(base.parent, size.size)
    programs = {
        OURS: Program(training.ours, (base, images, case, True)),
        training.THEIRS: Program(training.theirs, (base, images, case, True)),
    }
    return against(programs, STEP, TRAINING_GB, turns)


DRAWN = """
from pathlib import Path
from jdart.runtime import start
start("cpu")
from jdart.config import GenerateConfig, MemoryConfig
from jdart.generation.draw import Request, draw
from jdart.models.build import Base
settings = GenerateConfig(sampler="ddim", steps=2, guidance_scale=7.5)
base = Base(Path({base!r}), MemoryConfig(storage_dtype={kept!r}))
next(draw(base, [Request("0", "a cat", 0)], settings, {size}, None))
"""
PIPED = """
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
torch.set_num_threads({cores})
pipe = StableDiffusionPipeline.from_pretrained({base!r}, safety_checker=None, requires_safety_checker=False)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
pipe("a cat", num_inference_steps=2, height={size}, width={size}, output_type="np")
"""


def first(base: Path, size: Size) -> dict[str, Any]:
    """From the start of the process to a picture of two steps, in a shape that was not drawn before."""
    around, log, other = surroundings(), base.parent, size.size - 64 if size.size > 64 else size.size
    codes = {OURS: DRAWN, "diffusers": PIPED}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    peaks: dict[str, float] = {}
    for side in (other, size.size, size.size):  # the first time for Jittor's kernels alone
        for name, code in codes.items():
            filled = code.format(base=str(base), size=side, cores=cores(), kept=size.storage_dtype)
            cost = measure([sys.executable, "-c", filled], log / f"{name}.log", {})
            seconds[name].append(cost.seconds)
            peaks[name] = cost.peak / 1e9
    programs = {
        name: {"first": each[0], "median": each[1], "best": each[1], "turns": each[1:], "peak_gb": peaks[name]}
        for name, each in seconds.items()
    }
    return {**around, "programs": programs, **compared(programs, {"first picture": (OURS, "diffusers", FIRST, False)})}


CASES: dict[str, Callable[[Path, Size, int], dict[str, Any]]] = {
    "call, diffusers": lambda base, size, turns: forward("diffusers", base, size, turns),
    "call, compiled": lambda base, size, turns: forward("diffusers, compiled", base, size, turns),
    "call, OpenVINO": lambda base, size, turns: forward("OpenVINO", base, size, turns),
    "step, rank 4": lambda base, size, turns: step(4, base, size, turns),
    "step, rank 32": lambda base, size, turns: step(32, base, size, turns),
    "first picture": lambda base, size, turns: first(base, size),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which [default: all].")
@click.option("--turns", type=click.IntRange(min=1), default=3, show_default=True, help="Calls that are counted.")
@click.option("--storage-dtype", type=click.Choice(STORAGE), default=STORAGE[0], help="Of jdart's weights in memory.")
@click.option("--quick", is_flag=True, help="For trials: a miniature at 64 px, two calls, targets not judged.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(cases: tuple[str, ...], turns: int, storage_dtype: str, quick: bool, place: Path | None) -> None:
    """Measure the cases and print them. Exit code 1: a target is missed."""
    size = replace(Size("tiny", 64, 32) if quick else Size(), storage_dtype=storage_dtype)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        base = Path(temporary) / "base"
        new_base(base, size.preset, SEED)
        for name in cases or CASES:
            try:
                results[name] = CASES[name](base, size, 2 if quick else turns)
                show(f"{name}: {size.size} px, weights kept in {storage_dtype}", "call", results[name])
            except UserError as error:
                results[name] = {"error": str(error)}
                Console().print(f"[yellow]{name} could not be measured[/yellow]: {error}", highlight=False)
    if place is not None:
        write_json(place, results)
    if not quick and any(result.get("missed") for result in results.values()):
        raise SystemExit(FINDINGS)


if __name__ == "__main__":
    main()
