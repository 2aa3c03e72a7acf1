"""The plan's arithmetic, in closed form."""

import dataclasses

import pytest

from jdart.running.plan import Costs, Work, estimate

COSTS = Costs(
    start=10.0, style=5.0, step=2.0, encoding=1.0, batch=3.0, call=0.5, memory=1000, device_memory=None,
    lora=100, picture=7, sheet=30,
)  # fmt: skip
STYLE = Work("00", steps=50, encodings=4, batches=2, calls=8, pictures=6)  # 5 + 3 + 100 + 2 * (3 + 4) = 122 s
PRIOR = Work(None, batches=3, calls=20, pictures=9)  # 3 * (3 + 10) = 39 s
NOTHING = Work("09")


def of(count):
    return [PRIOR, *(dataclasses.replace(STYLE, style=f"{n:02}") for n in range(count)), NOTHING]


@pytest.mark.parametrize(
    ("workers", "styles", "seconds"),
    [
        (None, 3, 10 + 39 + 3 * 122),
        (1, 3, 10 + 39 + 3 * (10 + 122)),
        (2, 3, 10 + 39 + 2 * (10 + 122)),
        (4, 3, 10 + 39 + 132),
    ],
)
def test_time(workers, styles, seconds):
    plan = estimate(COSTS, of(styles), workers)
    assert plan.seconds == pytest.approx(seconds)
    assert plan.training_seconds == pytest.approx(styles * 108)
    assert plan.drawing_seconds == pytest.approx(styles * 14 + 39)


def test_disk_and_memory():
    plan = estimate(COSTS, of(3), 2)
    assert plan.lora_bytes == 300
    assert plan.checkpoint_bytes == 900
    assert plan.picture_bytes == (9 + 3 * 6) * 7 + 3 * 30
    assert plan.archive_bytes == 3 * 6 * 7
    assert plan.memory == 2000
    assert plan.disk == 300 + 900 + plan.picture_bytes + plan.archive_bytes


@pytest.mark.parametrize("workers", [None, 2])
def test_nothing_left_needs_no_time_and_no_disk(workers):
    plan = estimate(COSTS, [Work(None), NOTHING], workers)
    assert plan.seconds == 0
    assert plan.disk == 0
