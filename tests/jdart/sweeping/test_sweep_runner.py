"""What is tried, stopped, begun again and left out, with figures of a formula in place of pictures."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_bench import STYLES, FakeBench, figures, opened, plan_of
from scipy.stats import wilcoxon

from contest.errors import UserError
from jdart.config import from_mapping
from jdart.sweeping.journal import mend
from jdart.sweeping.rows import best_of
from jdart.sweeping.runner import go

HERE = Path(__file__).parent
TRIALS = 14  # TPE begins with the eleventh; before that it draws at random


def run(plan, bench=None, **more):
    bench = FakeBench() if bench is None else bench
    with opened(plan, **more) as study:
        told = list(go(study, bench))
        return study.rows, bench, told


def told_of(rows):
    return [(row.number, row.state, row.labels, row.styles, row.scores) for row in rows]


def test_trials_are_tried_scored_and_stopped(tmp_path):
    plan = plan_of(tmp_path, TRIALS)
    rows, bench, told = run(plan)
    assert [row.number for row in rows] == list(range(TRIALS))
    assert rows[0].labels == {"train.learning_rate": 1e-3, "generate.guidance_scale": 3.0, "lora.r": 16}, "the base's"
    finished = [row for row in rows if row.scores is not None]
    stopped = [row for row in rows if row.state == "stopped"]
    assert len(finished) + len(stopped) == TRIALS and finished and stopped
    for row in finished:
        assert list(row.styles) == list(STYLES)
    for row in stopped:
        assert len(row.styles) == 4, "four losses in four styles are the first with p below 0.1"
        best = max((one for one in finished if one.number < row.number), key=lambda one: one.scores.final)
        assert all(row.styles[style].final < best.styles[style].final for style in row.styles)
    assert len(bench.made) == sum(len(row.styles) for row in rows)
    assert best_of(rows).scores.final > rows[0].scores.final, "found something better than the base"
    assert sum(step.ended for step in told) == TRIALS


@pytest.mark.parametrize("p_threshold", [0.1, 0.3])
def test_a_trial_stops_where_scipy_says_so(p_threshold, tmp_path):
    """With the easy styles first, which must not save a trial."""
    ease = dict(zip((*STYLES, None), (0.3, 0.2, 0.1, 0.0, -0.6, 0.0)))
    rows, _, _ = run(plan_of(tmp_path, 10, prune={"p_threshold": p_threshold}), FakeBench(ease=ease))
    best = None
    for row in rows:
        finals = [scores.final for scores in row.styles.values()]
        beside = [] if best is None else [scores.final for scores in best.styles.values()]
        losing = [
            count
            for count in range(2, 5)
            if beside
            and wilcoxon(
                [own - other for own, other in zip(finals[:count], beside)], alternative="less", zero_method="zsplit"
            ).pvalue
            < p_threshold
        ]
        assert len(row.styles) == (losing[0] if losing else 5)
        if row.scores is not None and (best is None or row.scores.final > best.scores.final):
            best = row
    assert {len(row.styles) for row in rows} == {5, 4 if p_threshold == 0.1 else 2}


def test_figures_are_kept_as_they_were_scored(tmp_path):
    plan = plan_of(tmp_path, 2)
    with opened(plan) as study:
        list(go(study, FakeBench()))
        for row in study.rows:
            values = {axis.key: axis.value(row.labels[axis.key]) for axis in plan.axes}
            config = from_mapping(plan.mapping(values, "x", "x"))
            assert row.styles["01"] == figures(config, "01")
            assert row.scores is None or row.scores == figures(config, None)


def test_a_call_that_goes_on_suggests_what_one_call_does(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, _, _ = run(plan_of(tmp_path / "whole", TRIALS))
    for trials in (1, 4, 12, TRIALS):
        parts, _, _ = run(plan_of(tmp_path / "parts", trials))
    assert told_of(parts) == told_of(whole)
    other, _, _ = run(plan_of(tmp_path, TRIALS, seed=1))
    assert [row.labels for row in other][1:] != [row.labels for row in whole][1:]


class Killed(BaseException):
    """As SIGKILL: nothing may be tidied up."""


@pytest.mark.parametrize("where", ["make", "score"])
def test_a_trial_that_was_broken_off_goes_on(where, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, _, _ = run(plan_of(tmp_path / "whole", TRIALS))
    victim = 11  # suggested by TPE
    first = FakeBench()
    does = getattr(first, where)

    def break_off(point, style):
        if (point.number, style) == (victim, "02"):
            raise Killed
        return does(point, style)

    setattr(first, where, break_off)
    plan = plan_of(tmp_path / "broken", TRIALS)
    with pytest.raises(Killed):
        run(plan, first)
    with opened(plan) as study:
        assert study.rows[victim].state == "running"
        assert list(study.rows[victim].styles) == ["00", "01"]
    rows, second, _ = run(plan)
    left = [(row.number, style) for row in whole[victim:] for style in row.styles][2:]
    assert second.made == left, "no style is done twice"
    assert told_of(rows) == told_of(whole)


def test_half_a_suggestion_is_completed_as_it_would_have_been(tmp_path, monkeypatch):
    from optuna.storages import JournalStorage

    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, _, _ = run(plan_of(tmp_path / "whole", 3))
    kept = JournalStorage.set_trial_param
    calls = []

    def stop(self, *arguments):
        calls.append(arguments)
        if len(calls) == 5:  # the second setting of the second trial
            raise Killed
        return kept(self, *arguments)

    plan = plan_of(tmp_path / "broken", 3)
    monkeypatch.setattr(JournalStorage, "set_trial_param", stop)
    with pytest.raises(Killed):
        run(plan)
    monkeypatch.undo()
    rows, _, _ = run(plan)
    assert told_of(rows) == told_of(whole)


def test_a_style_that_failed_is_tried_again_alone(tmp_path):
    def wrong(point, style):
        if (point.number, style) in ((0, "01"), (2, "04")):
            raise UserError("its references are gone; put them back") if style == "01" else RuntimeError("out of\nluck")

    plan = plan_of(tmp_path, 4, prune=None)
    rows, bench, _ = run(plan, FakeBench(wrong))
    assert [row.state for row in rows] == ["failed", "finished", "failed", "finished"], "the others went on"
    log = tmp_path / "out" / "trials" / "0000" / "logs" / "sweep-01.log"
    assert rows[0].failed == {"01": f"its references are gone; put them back ({log})"}
    assert "RuntimeError: out of" in rows[2].failed["04"] and "\n" not in rows[2].failed["04"]
    assert "in wrong" in log.read_text()
    assert list(rows[0].styles) == ["00", "02", "03", "04"] and rows[0].scores is None

    rows, bench, told = run(plan)
    assert bench.made == [(0, "01"), (2, "04")], "and nothing else"
    assert bench.scored == [(0, "01"), (0, None), (2, "04"), (2, None)]
    assert [row.state for row in rows] == ["finished"] * 4 and rows[0].failed == {}
    assert [step.style for step in told if step.style and not step.fresh] == [
        "00",
        "02",
        "03",
        "04",
        "00",
        "01",
        "02",
        "03",
    ]
    assert run(plan)[1].made == [], "all is done"


def test_an_entry_that_could_not_be_scored_is_scored_by_the_next_call(tmp_path):
    bench = FakeBench()
    score = bench.score

    def no_entry(point, style):
        if style is None:
            raise UserError("no room")
        return score(point, style)

    bench.score = no_entry
    plan = plan_of(tmp_path, 1)
    rows, _, _ = run(plan, bench)
    assert (rows[0].state, list(rows[0].failed)) == ("failed", ["entry"])
    rows, bench, _ = run(plan)
    assert (rows[0].state, bench.made, bench.scored) == ("finished", [], [(0, None)])


def test_values_that_do_not_go_together_are_refused(tmp_path):
    space = {"lora.rank_by_noise.min": {"low": 1, "high": 16}, "lora.r": {"choices": [8, 16]}}
    rows, bench, _ = run(plan_of(tmp_path, 8, space))
    refused = [row for row in rows if row.state == "refused"]
    assert refused and all(row.labels["lora.rank_by_noise.min"] > row.labels["lora.r"] for row in refused)
    assert "rank_by_noise.min" in refused[0].failed["values"]
    assert {number for number, _ in bench.made}.isdisjoint(row.number for row in refused)
    assert len(rows) == 8


def test_trials_with_the_same_values_share_a_run(tmp_path):
    space = {"generate.guidance_scale": {"choices": [2.0, 3.0]}}
    plan = plan_of(tmp_path, 6, space, prune=None)
    places = {}
    bench = FakeBench(lambda point, style: places.setdefault(point.number, point.config.output))
    rows, _, _ = run(plan, bench)
    first = {str(row.labels): f"{row.number:04}" for row in reversed(rows)}
    assert {number: Path(place).name for number, place in places.items()} == {
        row.number: first[str(row.labels)] for row in rows
    }
    assert len(first) == 2


def test_without_a_pruner_all_go_to_their_end(tmp_path):
    rows, _, _ = run(plan_of(tmp_path, 8, prune=None))
    assert {row.state for row in rows} == {"finished"}


@pytest.mark.parametrize(
    ("more", "other", "said"),
    [
        ({"seed": 1}, {}, "the sweep's seed: 0 -> 1"),
        ({"prune": None}, {}, "prune: "),
        ({"set": {"train.steps": 7}}, {}, "train.steps: 200 -> 7"),
        ({"space": {"lora.r": {"choices": [4, 8]}}}, {}, "space.lora.r: "),
        ({}, {"styles": {"00": ("Moon", "Sun")}}, "styles: "),
        ({}, {"styles": {**STYLES, "00": ("Sea",)}}, "the prompts"),
        ({}, {"files": {"the base model's weights": "2"}}, "the base model's weights"),
    ],
)
def test_figures_that_could_not_stand_together_are_refused(more, other, said, tmp_path):
    with opened(plan_of(tmp_path, 1), files={"the base model's weights": "1"}):
        pass
    with (
        pytest.raises(UserError) as caught,
        opened(plan_of(tmp_path, 1, **more), **{"files": {"the base model's weights": "1"}, **other}),
    ):
        pass
    assert said in str(caught.value) and "nothing was touched" in str(caught.value)


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {places!r}
from fake_bench import FakeBench, opened, plan_of
from jdart.sweeping.runner import go
folder = Path({folder!r})

def wait(point, style):
    if (point.number, style) == (1, "02"):
        {how}

with opened(plan_of(folder, 3)) as study:
    list(go(study, FakeBench(wait)))
"""


def begin(folder, how):
    """A sweep in a process of its own that does `how` in the middle of its second trial."""
    code = CHILD.format(places=[str(HERE), str(HERE.parents[2])], folder=str(folder), how=how)
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_killed_and_begun_again_and_never_two_at_once(tmp_path):
    with begin(tmp_path, "print('here', flush=True); sys.stdin.read()") as process:
        try:
            assert process.stdout.readline() == b"here\n"
            with pytest.raises(UserError) as caught, opened(plan_of(tmp_path, 3)):
                pass
            assert f"another jdart sweep is at work in it (process {process.pid} on " in str(caught.value)
        finally:
            process.kill()
    rows, bench, _ = run(plan_of(tmp_path, 3))
    assert bench.made[0] == (1, "02")
    (tmp_path / "whole").mkdir()
    assert told_of(rows) == told_of(run(plan_of(tmp_path / "whole", 3))[0])


def test_half_a_line_is_cut_off(tmp_path):
    run(plan_of(tmp_path, 2))
    journal = tmp_path / "out" / "study.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"wor')
    rows, _, _ = run(plan_of(tmp_path, 3))
    assert len(rows) == 3 and journal.read_bytes().startswith(whole)
    before = journal.read_bytes()
    mend(journal)
    assert journal.read_bytes() == before


def test_what_was_killed_while_it_wrote_left_a_lock_that_nobody_waits_for(tmp_path):
    with begin(tmp_path, "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.wait() == -signal.SIGKILL
    lock = tmp_path / "out" / "study.log.lock"
    assert lock.is_symlink()
    lock.with_name(f"{lock.name}0123.rename").symlink_to("study.log")  # killed while it let go
    mend(lock.with_suffix(""))
    assert sorted(path.name for path in lock.parent.iterdir()) == ["study.log", "sweep.lock"]
    rows, bench, _ = run(plan_of(tmp_path, 3))
    assert len(rows) == 3 and bench.made[0] == (1, "02")
