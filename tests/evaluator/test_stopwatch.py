"""Each report says the seconds of its own entry, not of all that were scored before it."""

import time

from evaluator.scoring.stopwatch import Stopwatch


def test_a_lap_has_its_own_seconds(monkeypatch):
    ticks = iter([0.0, 2.0, 3.0, 3.5, 5.0, 6.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    for name in ("total", "dino"):
        with watch.of(name):
            pass
    assert watch.lap() == {"total": 2.0, "dino": 0.5}
    with watch.of("total"):
        pass
    assert watch.lap() == {"total": 1.0}
    assert watch.lap() == {}
