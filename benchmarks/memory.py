"""Peak memory and time of what saves memory, each beside the plain way, each in a process of its own.

    python benchmarks/memory.py --json out.json

A UNet of SD 2.1's shape at a tenth of its width, LoRA rank 4, and SD 2.1's own autoencoder, random weights, on the CPU.
Drawing is two guided steps of the UNet without the autoencoder. `--whole` takes the UNet in its whole width.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contest.cores import processor

if TYPE_CHECKING:
    import numpy as np

CHANNELS = [32, 64, 128, 128]
CASES: dict[str, dict[str, Any]] = {
    "training, 512 px, batch 1": {"what": "train", "batch": 1},
    "training, 512 px, batch 1, gradient checkpointing": {"what": "train", "batch": 1, "recompute": True},
    "training, 512 px, batch 4": {"what": "train", "batch": 4},
    "training, 512 px, batch 4, gradient checkpointing": {"what": "train", "batch": 4, "recompute": True},
    "training, 512 px, 4 x batch 1 accumulated": {"what": "train", "batch": 1, "passes": 4},
    "drawing, 512 px, batch 1": {"what": "draw"},
    "drawing, 512 px, batch 1, StyleAligned": {"what": "draw", "method": "style_aligned"},
    "drawing, 512 px, batch 1, visual style prompting": {"what": "draw", "method": "style_prompting"},
    "decoding 768 px": {"what": "decode"},
    "decoding 768 px, tiles of 384 px": {"what": "decode", "tile": 384},
}


def work(
    what: str,
    batch: int = 1,
    passes: int = 1,
    recompute: bool = False,
    tile: int | None = None,
    method: str | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """One case in this process: bytes above what it held before, seconds of the second time."""
    import contextlib

    import numpy as np

    from jdart.runtime import start

    jt = start("cpu")
    from jdart.config import LoraConfig
    from jdart.lora.layers import inject
    from jdart.models.presets import PRESETS, build_network
    from jdart.models.recompute import recomputed

    preset, rng = PRESETS["sd21"], np.random.default_rng(0)
    if what == "decode":
        vae = build_network("vae", preset["vae"])
        vae.tile = tile
        latents = rng.standard_normal((1, 4, 96, 96)).astype(np.float32)

        def once() -> None:
            with jt.no_grad():
                vae.decode(jt.array(latents)).numpy()
    else:
        shape = {"block_out_channels": CHANNELS, "attention_head_dim": [1, 2, 4, 4], "cross_attention_dim": 64}
        unet = build_network("unet", {**preset["unet"], **({} if whole else shape)})
        for weight in unet.parameters():
            weight.stop_grad()  # as those of a base model that was read
    if what == "draw":
        once = drawing(unet, method, rng)
    elif what == "train":
        adapters = inject(unet, LoraConfig(), rng)
        trained = [part for adapter in adapters.values() for part in (adapter.lora_A, adapter.lora_B)]
        x = rng.standard_normal((batch, 4, 64, 64)).astype(np.float32)
        text = rng.standard_normal((batch, 77, unet.config.cross_attention_dim)).astype(np.float32)

        def once() -> None:
            with recomputed(unet) if recompute else contextlib.nullcontext():
                for _ in range(passes):
                    loss = (unet(jt.array(x), np.full(batch, 500), jt.array(text)) ** 2).mean()
                    gradients = [gradient.stop_grad() for gradient in jt.grad(loss, trained)]
                    jt.sync([loss.stop_grad(), *gradients])

    before, seconds = held("VmRSS"), 0.0
    for _ in range(2):
        begun = time.perf_counter()
        once()
        seconds = time.perf_counter() - begun
    return {"bytes": held("VmHWM") - before, "seconds": seconds}


def drawing(unet: Any, method: str | None, rng: np.random.Generator) -> Callable[[], None]:
    """Two guided steps of one picture of 512 px, with the attention that a method shares."""
    import jittor as jt
    import numpy as np

    from jdart.config import StyleAlignedConfig, StylePromptingConfig
    from jdart.generation.attention.inversion import inverted
    from jdart.generation.attention.layers import numbered
    from jdart.generation.attention.sharing import Sharing
    from jdart.generation.samplers import Model, sampling_plan
    from jdart.models.presets import PRESETS
    from jdart.models.schedule import NoiseSchedule

    width = unet.config.cross_attention_dim
    noise, picture = (rng.standard_normal((1, 4, 64, 64)).astype(np.float32) for _ in range(2))
    text = rng.standard_normal((2, 77, width)).astype(np.float32)
    plan = sampling_plan(NoiseSchedule.from_config(PRESETS["sd21"]["scheduler"]), "ddim", 2)

    def guided(x: Any, t: float) -> Any:
        both = unet(jt.concat([x, x]), np.full(2, t), jt.array(text))
        return both[:1] + (both[1:] - both[:1]) * 7.5

    def once() -> None:
        with jt.no_grad():
            model: Model = guided
            if method is not None:
                settings = StyleAlignedConfig() if method == "style_aligned" else StylePromptingConfig(first=0.0)
                latents = inverted(lambda x, t: unet(x, np.full(1, t), jt.array(text[:1])), jt.array(picture), plan)
                names = numbered(unet.config, settings.layers, "layers")
                # the parts of a batch have one text here: the reference's empty one
                model = Sharing(unet, plan, settings, names, latents, text[:1]).around(guided)
            for x in plan.run(model, jt.array(noise)):
                x.sync()

    return once


def held(key: str) -> int:
    """Bytes, from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


@click.command()
@click.option("--json", "out", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures there too.")
@click.option("--only", metavar="TEXT", default="", help="Cases whose name holds this.")
@click.option("--whole", is_flag=True, help="The UNet in SD 2.1's whole width: 4 GB of weights.")
@click.option("--case", hidden=True)
def main(out: Path | None, only: str, whole: bool, case: str | None) -> None:
    """Measure every case, or those chosen."""
    from rich.console import Console
    from rich.table import Table

    if case is not None:
        print(json.dumps(work(**json.loads(case))))
        return
    figures = {}
    for name, settings in CASES.items():
        if only in name:
            command = [sys.executable, __file__, "--case", json.dumps({**settings, "whole": whole})]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            figures[name] = json.loads(said.splitlines()[-1])
    table = Table(title=f"Memory above what the process held before; {processor()}")
    for column in ("", "MiB", "seconds"):
        table.add_column(column, justify="right" if column else "left")
    for name, figure in figures.items():
        table.add_row(name, f"{figure['bytes'] / 2**20:.0f}", f"{figure['seconds']:.2f}")
    Console().print(table)
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
