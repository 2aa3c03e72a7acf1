"""Pictures drawn by another engine, as `jdart.generation.draw` yields those of jdart's own."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdart.config import EngineConfig, GenerateConfig
from jdart.data.pictures import read_rgb
from jdart.engines.base_folder import bin_folder
from jdart.engines.process import run_task
from jdart.engines.training import bin_lora
from jdart.exporting.scheduler import scheduler_config

if TYPE_CHECKING:
    from jdart.generation.adapters import Adapter
    from jdart.generation.draw import Request
    from jdart.models.build import Base


def draw_elsewhere(
    engine: EngineConfig,
    base: Base,
    batches: Sequence[Sequence[Request]],
    settings: GenerateConfig,
    size: int,
    adapters: Sequence[Adapter],
    log: Path,
) -> Generator[tuple[Request, np.ndarray], None, None]:
    """Yield (request, picture) with pictures of (size, size, 3) uint8, in order; `adapters` is one LoRA at most.

    UserError when the engine fails, with what it said; its words are in `log`.
    """
    from jdart.generation.start import noise

    requests = [request for batch in batches for request in batch]
    if not requests:
        return
    with tempfile.TemporaryDirectory(prefix=f"jdart-{engine.name}-") as name:
        folder = Path(name)
        latents = None
        if engine.noise == "jdart":
            side = size // base.configs["vae"].factor
            shape = (base.configs["unet"].in_channels, side, side)
            latents = folder / "latents.npy"
            np.save(latents, np.stack([noise(request.seed, shape) for request in requests]))
        else:  # Jittor draws late: in a batch all noise would come from the seed that was set last
            batches = [[request] for request in requests]
        lora = bin_lora(adapters[0].path, folder) if adapters else None
        task = {
            "do": "draw",
            "base": str(bin_folder(base, engine)),
            "folder": name,
            "scheduler": scheduler_config(base.scheduler_config, settings.sampler),
            "lora": None if lora is None else str(lora),
            "weight": adapters[0].weight if adapters else None,
            "latents": None if latents is None else str(latents),
            "batches": [[{"prompt": r.prompt, "seed": r.seed} for r in batch] for batch in batches],
            "negative_prompt": settings.negative_prompt,
            "settings": {
                "height": size,
                "width": size,
                "num_inference_steps": settings.steps,
                "guidance_scale": settings.guidance_scale,
                "guidance_rescale": settings.guidance_rescale,
            },
        }
        with closing(run_task(engine, task, log, "drawing")) as told:
            for request, said in zip(requests, told):
                yield request, read_rgb(folder / f"{said['done'] - 1}.png")
            for _ in told:  # to its end, where it may yet fail
                pass
