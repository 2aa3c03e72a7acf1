"""Everything that Jittor compiles for the recipes, compiled ahead: for images and CI, whose runs then start at once.

The recipes' own stages run on the toy contest and the toy base, a few steps of each. A kernel is made for the
operations and the number types that meet, not for sizes, so that a large base model finds most of its kernels there.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from contest.disk.files import read_json, write_json
from contest.errors import UserError
from jdart.compiling.progress import kernels
from jdart.config import Config, load_config
from jdart.config.reading import recipes as shipped_recipes
from jdart.jittor_cache import CACHE, jittor_home
from jdart.planning.methods import in_every_step, smallest

STAMP = "jdart-warm.json"
STEPS = 3  # of training and of the sampler
ROOMS = ("models", "lora", "training", "generation")  # of jdart: what its kernels come from


@dataclass(frozen=True)
class Warmed:
    """A recipe is compiled: how many kernels were `made` for it now, and whether the stamp said that all are there."""

    recipe: str
    made: int
    there: bool = False


def warm(recipes: Sequence[str] | None = None, device: str = "auto") -> Iterator[Warmed]:
    """Compile the kernels that recipes (None: all) need, and note it beside them; what is noted is not done again."""
    from jdart.runtime import start

    cache = Path(start(device).flags.cache_path)
    done = _noted(cache)
    for recipe in shipped_recipes() if recipes is None else recipes:
        if recipe in done:
            yield Warmed(recipe, 0, there=True)
            continue
        before = kernels(cache)[0]
        with tempfile.TemporaryDirectory() as folder:
            for settings in small(recipe, Path(folder)):
                _run(settings)
        done.append(recipe)
        write_json(cache / STAMP, {**_key(), "recipes": done})
        yield Warmed(recipe, kernels(cache)[0] - before)


def small(recipe: str, folder: Path) -> tuple[Config, ...]:
    """The recipe as a few steps of one style of the toy contest, from noise, and from the average image if set."""
    toy = ("contest=toy", "story=null", "references=toy", "base.model=toy", "score.weights=null")
    pictures = ("data.layout=contest", "data.share=1.0", "data.size=64", "data.min_size=0")
    config = few_steps(load_config(recipe, (*toy, *pictures), styles=["00"], output=str(folder / "average")))
    noise = replace(config, output=str(folder / "noise"), generate=replace(config.generate, strength=None))
    return (noise,) if config.generate.strength is None else (noise, config)


def few_steps(config: Config) -> Config:
    """All that a configuration does, in so few steps, and once: no more than one candidate a prompt."""
    drawing = replace(in_every_step(config.generate), steps=STEPS, num_images_per_prompt=1)
    if drawing.styleid is not None:
        drawing = replace(drawing, styleid=replace(drawing.styleid, steps=STEPS))
    composition = smallest(config.train.composition, STEPS)
    train = replace(config.train, steps=STEPS, lr_warmup_steps=0, composition=composition)
    prior = replace(config.prior, steps=STEPS, images_per_prompt=1) if config.prior.used else config.prior
    return replace(config, train=train, prior=prior, generate=drawing, search=None)


def _run(config: Config) -> None:
    from jdart.runs.job import open_job
    from jdart.stages.composition import learn_styles
    from jdart.stages.drawing import generate_styles
    from jdart.stages.prior import make_prior

    job = open_job(config)
    job.note()
    for stage in (make_prior, learn_styles, generate_styles):
        for _ in stage(job):
            pass


def found() -> tuple[bool, list[str], int]:
    """What is compiled here, without Jittor: whether its core is, for which recipes `warm` was, and how many kernels.

    Of the caches below Jittor's home that this version of Jittor and of Python wrote, the one with the most.
    """
    cores = (jittor_home() / CACHE).glob(f"*/*/py{platform.python_version()}/**/jittor_core*.so")
    caches = [(_noted(core.parent), kernels(core.parent)[0]) for core in cores]
    if not caches:
        return False, [], 0
    return True, *max(caches, key=lambda cache: (len(cache[0]), cache[1]))


def _noted(cache: Path) -> list[str]:
    """The recipes that the stamp names, where it was written by this very jdart, and Jittor's core is still there."""
    with suppress(UserError, TypeError, KeyError):
        stamp = read_json(cache / STAMP)
        if {name: stamp[name] for name in _key()} == _key() and any(cache.glob("jittor_core*.so")):
            return [str(recipe) for recipe in stamp["recipes"]]
    return []


def _key() -> dict[str, str]:
    """What the kernels depend on beside what Jittor's folder is named for: its version, compiler, processor."""
    root = Path(__file__).parents[1]
    sources = sorted(path for room in ROOMS for path in (root / room).rglob("*") if path.suffix in (".py", ".h"))
    digest = hashlib.sha256(json.dumps([path.read_text("utf-8") for path in sources]).encode())
    return {"python": platform.python_version(), "jdart": digest.hexdigest()}
