"""No state without an exit: the graph as data, and every one of its ways gone by the commands that it names."""

import pytest
from small_event import ToldScorer, entry_bytes

from contest.errors import UserError
from organiser.books import states as s
from organiser.desk import at_work
from organiser.intake import check
from organiser.rescore import rescore
from organiser.scorer import Refused
from organiser.scoring import meet_scorer, score_next

WAYS = {(state, after) for state, one in s.GRAPH.items() for after in one.exits}


def reachable(start):
    found, left = set(), [start]
    while left:
        state = left.pop()
        if state not in found:
            found.add(state)
            left += s.GRAPH[state].exits
    return found


def test_from_every_state_an_entry_can_be_scored_and_withdrawn():
    for state, one in s.GRAPH.items():
        assert one.exits and one.meaning and one.next, state
        assert reachable(state) >= {s.SCORED, s.WITHDRAWN}, state
        assert set(one.exits) <= set(s.GRAPH)
    assert reachable(s.RECEIVED) == set(s.GRAPH)  # and there is none that nobody comes to


def retry(desk, entry):
    assert desk.ledger.move(desk.ledger.entry(entry.id), s.RECEIVED, "again", attempts=0)


def withdraw(desk, entry):
    assert desk.ledger.move(desk.ledger.entry(entry.id), s.WITHDRAWN, "asked")


def test_every_way_is_gone(event, monkeypatch):
    """The log tells which ways were gone; they are all that the graph has."""
    desk = event.found(per_day=3, deadline="2026-08-10 18:00", pending="drop")
    scorer = ToldScorer(refusing=Refused)
    meet_scorer(desk, scorer.parts)

    def checked(team, seed, **archive):
        entry = event.send(desk, team, seed, name=f"{seed}.zip", **archive)
        return check(desk, entry)

    def broken(*_):
        raise OSError(28, "No space left on device")

    withdraw(desk, event.send(desk, "a", 1))  # received -> withdrawn
    one = checked("a", 2)
    withdraw(desk, one)  # queued -> withdrawn
    retry(desk, one)
    with monkeypatch.context() as patch:  # received -> failed
        patch.setattr("organiser.intake.find", broken)
        assert check(desk, desk.ledger.entry(one.id)).state == s.FAILED
    withdraw(desk, one)
    retry(desk, one)
    check(desk, desk.ledger.entry(one.id))
    scorer.fails = OSError(28, "No space left on device")
    assert score_next(desk, scorer).state == s.FAILED
    retry(desk, one)
    check(desk, desk.ledger.entry(one.id))
    scorer.fails = None
    assert score_next(desk, scorer).state == s.SCORED
    double = checked("a", 2)
    assert double.state == s.DUPLICATE
    retry(desk, double)
    assert check(desk, desk.ledger.entry(double.id)).state == s.DUPLICATE
    withdraw(desk, double)
    bad = checked("a", 3, leave_out=["Oak"])
    assert bad.state == s.REFUSED
    retry(desk, bad)
    assert check(desk, desk.ledger.entry(bad.id)).state == s.REFUSED
    withdraw(desk, bad)
    checked("refusing", 1)
    assert score_next(desk, scorer).state == s.REFUSED
    checked("a", 4), checked("a", 5)
    over = checked("a", 6)
    assert over.state == s.OVER_LIMIT
    retry(desk, over)
    assert check(desk, desk.ledger.entry(over.id)).state == s.OVER_LIMIT
    withdraw(desk, over)

    class Withdrawing(ToldScorer):  # while it is being scored
        def score(self, archive):
            withdraw(desk, desk.ledger.entries(s.SCORING)[0])
            return super().score(archive)

    assert score_next(desk, Withdrawing()).state == s.WITHDRAWN
    score_next(desk, scorer)
    checked("b", 1)
    event.clock.go(hours=12)
    assert score_next(desk, scorer).state == s.LATE  # pending: drop
    late = checked("b", 2)
    assert late.state == s.LATE
    retry(desk, late)
    check(desk, desk.ledger.entry(late.id))
    withdraw(desk, late)
    other = ToldScorer({"profile": "another"})
    meet_scorer(desk, other.parts)
    with at_work(desk):
        rescore(desk, other)
    meet_scorer(desk, scorer.parts)
    withdraw(desk, desk.ledger.entries(s.OUTDATED)[0])
    meet_scorer(desk, other.parts)
    withdraw(desk, desk.ledger.entries(s.SCORED)[0])
    gone = {
        (line["before"], line["state"])
        for line in map(__import__("json").loads, desk.ledger.lines())
        if line["what"] == "state"
    }
    assert gone == WAYS


def test_a_way_that_is_not_there_is_refused(event):
    desk = event.found()
    entry = event.send(desk, "a")
    with pytest.raises(ValueError, match="no way from received to scored"):
        desk.ledger.move(entry, s.SCORED)
    with pytest.raises(UserError, match="no entry 7"):
        desk.ledger.entry(7)


def test_an_entry_moves_only_from_the_state_it_was_seen_in(event):
    desk = event.found()
    entry = event.send(desk, "a")
    assert desk.ledger.move(entry, s.WITHDRAWN, "first")
    assert not desk.ledger.move(entry, s.QUEUED)
    assert desk.ledger.entry(entry.id).reason == "first"
    assert entry_bytes("a", 1) == entry_bytes("a", 1) != entry_bytes("a", 2)
