"""How long a training step and a picture take in both engines: printed, and no time is judged."""

import os
import time
from statistics import median

import pytest
from small_contest import call

from contest.cores import processor
from jdart.config import load_config

pytestmark = pytest.mark.jdiffusion
STEPS, PICTURES, WARM_UP = 24, 10, 4


def seconds(events):
    """Between one event and the next, without those of the first ones; 24 steps give 19 of them."""
    times = [time.perf_counter() for event in events if not event.skipped and event.style == "00"]
    return [later - earlier for earlier, later in zip(times[WARM_UP:], times[WARM_UP + 1 :])]


@pytest.mark.parametrize(("preset", "size"), [("toy", 64), ("small", 256)])
def test_seconds_of_a_step_and_of_a_picture(preset, size, settings, tmp_path):
    from jdart.runs.job import open_job
    from jdart.stages.drawing import generate_styles
    from jdart.stages.training import train_styles

    model = preset
    if preset != "toy":
        model = str(tmp_path / "base")
        made = call("base", "new", model, "--preset", preset, "--seed", 1)
        assert made.exit_code == 0, made.output
    found = {}
    for engine in ("jdart", "jdiffusion"):
        changes = {
            "base": {"model": model},
            "data": {"size": size},
            "train": {"steps": STEPS, "batch_size": 1},
            "generate": {"steps": 20, "batch_size": 1, "num_images_per_prompt": PICTURES // 2},
        }
        path = settings(engine, tmp_path / engine, **changes)
        job = open_job(load_config(str(path), ["styles=['00']"]))
        found[engine] = [seconds(stage(job)) for stage in (train_styles, generate_styles)]
        assert [len(each) >= count - WARM_UP - 1 for each, count in zip(found[engine], (STEPS, PICTURES))] == [True] * 2
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{preset}, {size} px, {processor()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS')}, load {load}")
    for what, ours, theirs in zip(("a training step", "a picture of 20 steps"), *found.values()):
        ratio = f"median {median(theirs) / median(ours):.1f}, best {min(theirs) / min(ours):.1f}"
        print(f"{what}: jdart {median(ours):.3f} s, JDiffusion {median(theirs):.3f} s; ratio: {ratio}")
