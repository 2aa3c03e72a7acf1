"""Receipts and checks do not wait for scoring; threads share a ledger."""

import json
import threading
import time

import pytest
from small_event import ToldScorer, entry_bytes

from contest.errors import UserError
from organiser.books.audit import audit_event
from organiser.desk import at_work
from organiser.intake import Inbox
from organiser.reception import meanwhile
from organiser.service import work

PATIENCE = 30  # seconds, in which a loaded machine must do what takes it a half


def until(there):
    """Whether it comes true."""
    end = time.monotonic() + PATIENCE
    while not there() and time.monotonic() < end:
        time.sleep(0.02)
    return there()


def drop(event, team, **archive):
    """Whole at once, as by a program that renames what it has sent."""
    path = event.inbox / f"{team}.part"
    path.write_bytes(entry_bytes(team, **archive))
    path.rename(path.with_suffix(".zip"))


def letters(event, team, kind):
    return [json.loads(path.read_text()) for path in sorted((event.home / "outbox" / team).glob(f"*.{kind}.json"))]


def test_receipts_and_findings_come_while_another_entry_is_scored(event):
    desk = event.found()
    drop(event, "alpha")
    seen = []

    class Slow(ToldScorer):
        def score(self, archive):
            if not seen:
                drop(event, "beta", leave_out=["Oak"])
                drop(event, "gamma")
                seen.append(until(lambda: letters(event, "gamma", "receipt")))
                seen.append(until(lambda: [one["state"] for one in letters(event, "beta", "state")] == ["refused"]))
            return super().score(archive)

    with at_work(desk):
        told = list(work(desk, Inbox(event.inbox, 0), lambda _: Slow()))
    assert seen[0][0]["state"] == "received" and seen[0][0]["place_in_queue"] == 3 and seen[1]
    assert event.states(desk) == ["scored", "refused", "scored"] and audit_event(desk) == []
    assert {(one.entry.team, one.entry.state) for one in told if one.entry is not None} == {
        ("alpha", "queued"),
        ("alpha", "scored"),
        ("beta", "refused"),
        ("gamma", "queued"),
        ("gamma", "scored"),
    }


def test_a_drop_folder_that_goes_away_meanwhile_is_a_line(event):
    desk = event.found()
    drop(event, "alpha")

    class Moving(ToldScorer):
        def score(self, archive):
            event.inbox.rename(event.folder / "elsewhere")
            time.sleep(0.6)  # a look or two
            return super().score(archive)

    with at_work(desk), pytest.raises(UserError, match="no such folder"):
        list(work(desk, Inbox(event.inbox, 0), lambda _: Moving()))
    assert event.states(desk) == ["scored"]


def test_what_a_thread_raises_is_raised_after_the_block():
    calls, ended = [], threading.Event()

    def step():
        calls.append(1)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"), meanwhile(step, ended.set, 0.001):
        assert ended.wait(PATIENCE)
    assert len(calls) == 1
    with pytest.raises(KeyboardInterrupt), meanwhile(step, ended.set, 0.001):
        raise KeyboardInterrupt
    with meanwhile(step, ended.clear, PATIENCE):  # a short block is left alone
        pass
    assert not ended.is_set()


def test_threads_write_one_log(event):
    desk = event.found()

    def note(name):
        for number in range(20):
            desk.ledger.note("test", name=name, number=number)
        desk.ledger.close()

    threads = [threading.Thread(target=note, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit_event(desk) == [] and sum('"what":"test"' in line for line in desk.ledger.lines()) == 60
