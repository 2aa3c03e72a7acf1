"""How long a training step and a picture take in both engines: printed, and no time is judged."""

import os
import time
from statistics import mean, median

import pytest
from engine_process import cpu_seconds, engine_of
from small_contest import call

from contest.cores import processor
from jdart.config import load_config

pytestmark = pytest.mark.jdiffusion
STEPS, PICTURES, WARM_UP = 24, 10, 4


def seconds(events):
    """Of the clock, and of the processor, between one event and the next: 24 steps, without first and last, give 18."""
    noted = []
    for event in events:
        if not event.skipped and event.style == "00":
            engine = engine_of(os.getpid())
            noted.append((time.perf_counter(), time.process_time() + (0 if engine is None else cpu_seconds(engine))))
    noted = noted[WARM_UP:-1]  # at the last one the engine may have ended
    return [(late[0] - early[0], late[1] - early[1]) for early, late in zip(noted, noted[1:])]


@pytest.mark.parametrize(("preset", "size"), [("toy", 64), ("small", 256)])
def test_seconds_of_a_step_and_of_a_picture(preset, size, settings, tmp_path):
    from jdart.runtime import start

    start("cpu")
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
        assert [len(each) >= count - WARM_UP - 2 for each, count in zip(found[engine], (STEPS, PICTURES))] == [True] * 2
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{preset}, {size} px, {processor()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS')}, load {load}")
    for what, ours, theirs in zip(("a training step", "a picture of 20 steps"), *found.values()):
        for kind, one, other in zip(("of the clock", "of the processor"), zip(*ours), zip(*theirs)):
            ratio = f"{mean(other) / mean(one):.2f}, of the medians {median(other) / median(one):.2f}"
            print(f"{what}, mean seconds {kind}: jdart {mean(one):.3f}, JDiffusion {mean(other):.3f}; ratio {ratio}")
