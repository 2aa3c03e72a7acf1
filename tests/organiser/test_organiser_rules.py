"""Limits, deadline, which entry counts, ties, the split, the freeze, and the file that says all of it."""

import json
import sqlite3
from datetime import timedelta

import pytest
from small_event import STYLES, ToldScorer

from contest.definition import Contest
from contest.errors import UserError
from evaluator.scoring.formula import NOTHING, metrics_to_scores
from organiser.choosing import choose
from organiser.publish import freeze, make_final, publish
from organiser.rules import standing
from organiser.settings.event import LOWER_IS_BETTER, TIES
from organiser.settings.reading import read_event
from organiser.settings.split import splits_of


def table(desk):
    return [
        (row["rank"], row["team"], row["entry"])
        for row in json.loads((desk.site / "standing.json").read_text())["rows"]
    ]


def run(event, desk, sent, **figures):
    """Send (team, seed) pairs a minute apart and score them all."""
    for team, seed in sent:
        event.send(desk, team, seed, name=f"{seed}.zip")
        event.clock.go(minutes=1)
    event.work(desk, ToldScorer(**figures))


def test_a_day_is_the_events_and_only_what_is_scored_is_charged(event):
    desk = event.found(per_day=2, time_zone="+08:00")  # it is 17:00 there
    event.send(desk, "a", 1, leave_out=["Oak"])
    event.send(desk, "a", 2), event.send(desk, "a", 3), event.send(desk, "a", 4)
    event.work(desk, ToldScorer())
    assert event.states(desk) == ["refused", "scored", "scored", "over limit"]
    event.clock.go(hours=6, minutes=59)
    event.send(desk, "a", 5)
    event.clock.go(minutes=2)  # past midnight there
    event.send(desk, "a", 6)
    event.work(desk, ToldScorer())
    assert event.states(desk)[4:] == ["over limit", "scored"]


def test_what_failed_by_our_fault_takes_no_place(event):
    desk = event.found(per_day=1)
    event.send(desk, "a", 1)
    scorer = ToldScorer()
    scorer.fails = MemoryError()
    event.work(desk, scorer)
    scorer.fails = None
    other = event.send(desk, "a", 2)
    event.work(desk, scorer)
    assert desk.ledger.entry(other.id).state == "over limit"  # the first was taken up by the same call, before it
    failing = event.open()
    event.send(failing, "b", 1)
    scorer.fails = MemoryError()
    for _ in range(3):
        event.work(failing, scorer)
    scorer.fails = None
    event.send(failing, "b", 2)
    event.work(failing, scorer)
    assert event.states(failing)[2:] == ["failed", "scored"]


def test_exceptions_and_baselines(event):
    desk = event.found(per_day=1, baselines=["ours"], exceptions={"a": {"per_day": 2}})
    run(event, desk, [(team, seed) for team in ("a", "b", "ours") for seed in (1, 2)], ours=0.9, b=0.8)
    assert event.states(desk) == ["scored", "scored", "scored", "over limit", "scored", "scored"]
    assert table(desk) == [(None, "ours", 5), (1, "b", 3), (2, "a", 1)]


def test_deadline_and_what_is_pending_at_it(event):
    desk = event.found(
        deadline="2026-08-10 18:00", time_zone="+08:00", exceptions={"b": {"deadline": "2026-08-10 20:00"}}
    )
    event.clock.go(minutes=60)  # to the second
    event.send(desk, "a", 1)
    event.clock.go(seconds=1)
    event.send(desk, "a", 2), event.send(desk, "b", 1)
    event.work(desk, ToldScorer())
    assert event.states(desk) == ["scored", "late", "scored"]
    assert "2026-08-10 18:00:01+08:00" in desk.ledger.entry(2).reason
    event.write_rules(deadline="2026-08-10 19:00")
    desk = event.open()
    desk.ledger.move(desk.ledger.entry(2), "received", "the deadline was moved")
    event.work(desk, ToldScorer())
    assert event.states(desk) == ["scored"] * 3


@pytest.mark.parametrize(("counts", "entry"), [("best", 2), ("last", 3), ("chosen", 2)])
def test_which_entry_of_a_team_counts(event, counts, entry):
    desk = event.found(counts=counts)
    event.send(desk, "a", 1)
    event.work(desk, ToldScorer(a=0.3))
    event.send(desk, "a", 2)
    event.work(desk, ToldScorer(a=0.5))
    event.send(desk, "a", 3)
    event.work(desk, ToldScorer(a=0.4))
    assert table(desk) == [(1, "a", entry)]


def test_the_chosen_ones_count(event):
    desk = event.found(counts="chosen", chosen=2)
    for seed, final in ((1, 0.3), (2, 0.5), (3, 0.4)):
        event.send(desk, "a", seed)
        event.work(desk, ToldScorer(a=final))
    event.send(desk, "b", 1)
    event.work(desk, ToldScorer(b=0.1))
    choose(desk, "a", [1, 3])
    publish(desk)
    assert table(desk) == [(1, "a", 3), (2, "b", 4)]
    for numbers, problem in (([1, 2, 3], "may choose 2"), ([4], "not one of a"), ([9], "no entry 9")):
        with pytest.raises(UserError, match=problem):
            choose(desk, "a", numbers)


def test_the_hidden_part_decides_and_is_not_seen_before(event):
    desk = event.found(private={"styles": ["01"]}, deadline="2026-08-10 12:00")
    figures = {"a": {"public": 0.6, "private": 0.271828}, "b": {"public": 0.5, "private": 0.31416}}
    run(event, desk, [("a", 1), ("b", 1)], splits=("public", "private"), **figures)
    assert table(desk) == [(1, "a", 1), (2, "b", 2)]

    def seen():
        texts = [path for top in (desk.site, desk.outbox) for path in top.rglob("*") if path.is_file()]
        return any(b"0.27182" in path.read_bytes() or b"0.31416" in path.read_bytes() for path in texts)

    assert not seen()
    with pytest.raises(UserError, match="entries may come until 2026-08-10 12:00:00"):
        make_final(desk)
    event.clock.go(hours=4)
    make_final(desk)
    publish(desk)
    assert table(desk) == [(1, "b", 2), (2, "a", 1)] and seen()


def test_the_final_standing_waits_for_what_is_pending(event):
    desk = event.found()
    event.send(desk, "a")
    with pytest.raises(UserError, match=r"1 entries are pending: 1 \(received\)"):
        make_final(desk)


def test_splits():
    contest = Contest("small", {style: tuple(prompts) for style, prompts in STYLES.items()})
    hidden = read_hidden({"prompts": {"00": ["Rose"], "01": ["Elm"]}})
    assert splits_of(contest, hidden) == {
        "public": {"00": ("Tulip",), "01": ("Oak",)},
        "private": {"00": ("Rose",), "01": ("Elm",)},
    }
    for wrong, problem in (
        ({"styles": ["07"]}, "no style 07"),
        ({"prompts": {"00": ["Cat"]}}, "has no prompt Cat"),
        ({"prompts": {"00": ["Rose"]}}, "fewer than two pictures in the private"),
        ({"styles": ["00", "01"]}, "fewer than two pictures in the public"),
    ):
        with pytest.raises(UserError, match=problem):
            splits_of(contest, read_hidden(wrong))


def read_hidden(value):
    from organiser.settings.reading import _Taker

    return _Taker().hidden(value)


def test_ties_by_the_written_rule(event):
    same = {"final": 0.5000001, "clip_r": 0.6, "fid": 9.0}
    rules = {"ties": ["clip_r", "fid", "earlier"]}
    desk = event.found(**rules)
    figures = {"a": same, "b": {**same, "final": 0.5000004}, "c": {**same, "fid": 8.0}, "d": {**same, "clip_r": 0.7}}
    run(event, desk, [(team, 1) for team in "abcd"], **figures)
    assert table(desk) == [(1, "d", 4), (2, "c", 3), (3, "a", 1), (4, "b", 2)]
    event.write_rules(ties=["clip_r"])
    desk = event.open()
    publish(desk)
    assert [row[:2] for row in table(desk)] == [(1, "d"), (2, "a"), (2, "b"), (2, "c")]
    assert [row["tied"] for row in json.loads((desk.site / "standing.json").read_text())["rows"]] == [
        False,
        *[True] * 3,
    ]


def test_the_direction_of_every_figure_is_the_formulas():
    """Final falls when LPIPS or FID rises, and rises with all others; ties go the same way."""
    worst = {**NOTHING, "dino": 0.5, "lpips": 0.5, "fid": 10.0, "clip_r": 0.5}
    base = metrics_to_scores(**worst).final
    for name in NOTHING:
        rises = metrics_to_scores(**{**worst, name: worst[name] + 0.1}).final > base
        assert rises != (name in LOWER_IS_BETTER) and name in TIES


def test_failures_never_rank(event):
    desk = event.found()
    run(event, desk, [("a", 1), ("b", 1)], a=0.5, b=float("nan"))
    assert [
        row.team
        for row in standing(desk.event, desk.ledger.entries(), desk.ledger.scores(desk.ledger.get("scorer")), {})
    ] == ["a"]


def test_the_board_and_the_log_stand_still_while_frozen(event):
    desk = event.found(freeze="2026-08-10 09:30")
    run(event, desk, [("a", 1)], a=0.5)
    log = (desk.site / "log.jsonl").read_text()
    event.clock.go(hours=1)
    run(event, desk, [("b", 1)], b=0.9)
    assert table(desk) == [(1, "a", 1)]
    frozen = (desk.site / "log.jsonl").read_text()
    assert frozen.startswith(log) and '"b"' not in frozen
    state = json.loads(next((event.home / "outbox" / "b").glob("*.state.json")).read_text())
    assert state["figures"]["final"] == 0.9  # one's own are told
    assert freeze(desk, lift=True) is None
    publish(desk)
    assert [row[1] for row in table(desk)] == ["b", "a"]
    assert (desk.site / "log.jsonl").read_text().startswith(frozen)
    event.clock.go(minutes=1)
    assert freeze(desk) is not None
    run(event, desk, [("c", 1)], c=1.0)
    assert [row[1] for row in table(desk)] == ["b", "a"]


def test_the_file_is_validated_as_a_whole(event):
    event.write_rules(
        per_day=0,
        counts="worst",
        deadline="soon",
        ties=["speed"],
        teams=["a", "a", "../x"],
        exceptions={"z": {}},
        colour=1,
    )
    with pytest.raises(UserError) as told:
        read_event(event.folder / "event.yaml")
    for part in (
        "per_day must be a whole number from 1",
        "counts must be one of best, last, chosen",
        "deadline must be a day and a time",
        "ties must be a list",
        "'../x' must have",
        "teams: a name is given twice",
        "exceptions.z must say",
        "unknown setting colour",
    ):
        assert part in str(told.value)
    for wrong, problem in (({"chosen": 2}, "needs counts: chosen"), ({"pending": "drop"}, "needs a deadline")):
        event.rules = {"contest": "small.yaml", "references": "references", "weights": "toy"}
        with pytest.raises(UserError, match=problem):
            read_event(event.write_rules(**wrong))


def test_a_change_of_the_rules_is_in_the_log(event):
    desk = event.found()
    event.write_rules(per_day=7)
    event.open(), event.open()
    assert sum('"what":"rules"' in line for line in desk.ledger.lines()) == 2


def test_the_ledger_lets_nothing_be_taken_back(event):
    desk = event.found()
    event.send(desk, "a")
    event.work(desk, ToldScorer())
    raw = sqlite3.connect(event.home / "ledger.sqlite3")
    for statement in (
        "DELETE FROM log",
        "UPDATE log SET line = ''",
        "DELETE FROM entries",
        "UPDATE scores SET figures = ''",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(statement)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_a_clock_that_was_set_back_does_not_break_the_log(event):
    desk = event.found()
    event.send(desk, "a")
    event.clock.time -= timedelta(hours=1)
    event.send(desk, "b")
    times = [json.loads(line)["time"] for line in desk.ledger.lines()]
    assert times == sorted(times)
