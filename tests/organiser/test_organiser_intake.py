"""The drop folder: what grows waits, what is hostile is refused, and our own faults cost a team nothing."""

import json
import os
from datetime import timedelta

import pytest
from small_event import START, ToldScorer, entry_bytes

from contest.disk.files import sha256
from contest.errors import UserError
from organiser import intake
from organiser.desk import at_work
from organiser.intake import Inbox
from organiser.scorer import Refused


def letter(event, entry, kind):
    return json.loads((event.home / "outbox" / entry.team / f"{entry.folder}.{kind}.json").read_text())


def drop(event, team, seed=0, name=None):
    path = event.inbox / (f"{team}.zip" if name is None else f"{team}/{name}")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(entry_bytes(team, seed))
    return path


def test_receipt_findings_and_state_are_there_at_once(event):
    desk = event.found(per_day=2)
    first, second = drop(event, "alpha"), drop(event, "beta", name="x.zip")
    (event.inbox / "gamma.zip").write_bytes(b"Rar!\x1a\x07\x00 no zip")
    event.work(desk, ToldScorer(alpha=0.3, beta=0.4), inbox=True)
    one, two, three = desk.ledger.entries()
    receipt = letter(event, one, "receipt")
    assert receipt["sha256"] == sha256(first) and receipt["state"] == "received" and receipt["place_in_queue"] == 1
    assert letter(event, two, "receipt")["place_in_queue"] == 2
    assert receipt["log"]["hash"] == json.loads(desk.ledger.lines()[receipt["log"]["seq"] - 1])["hash"]
    assert letter(event, one, "state")["figures"]["final"] == 0.3
    assert letter(event, three, "state")["state"] == "refused" and letter(event, three, "findings")["errors"] == 1
    assert "RAR" in (event.home / "outbox" / "gamma" / f"{three.folder}.findings.txt").read_text()
    assert first.exists() and second.exists()
    assert desk.archive(one).read_bytes() == first.read_bytes()
    assert event.states(desk) == ["scored", "scored", "refused"]
    event.work(desk, ToldScorer(), inbox=True)  # what lies there still is not taken again
    assert len(desk.ledger.entries()) == 3


def test_a_file_is_taken_when_it_has_stopped_growing(event):
    desk = event.found()
    whole = entry_bytes("alpha")
    path = event.inbox / "alpha.zip"
    path.write_bytes(whole[:100])
    sizes = iter([len(whole) // 2, len(whole)])

    def grow():
        size = next(sizes, None)
        if size is not None:
            path.write_bytes(whole[:size])
            os.utime(path, ns=(size, size))

    event.clock.meanwhile = grow
    event.work(desk, ToldScorer(), inbox=True)
    assert [(entry.bytes, entry.state) for entry in desk.ledger.entries()] == [(len(whole), "scored")]


def test_a_clock_that_is_set_back_meanwhile_makes_nothing_wait_for_it(event):
    desk = event.found()
    drop(event, "alpha")
    back = iter([timedelta(days=1)])

    def set_back():
        event.clock.time -= next(back, timedelta(0))

    event.clock.meanwhile = set_back
    event.work(desk, ToldScorer(), inbox=True)
    assert event.states(desk) == ["scored"]
    assert event.clock.time < START  # not a day later


@pytest.mark.parametrize(
    ("data", "waited"),
    [
        (entry_bytes("alpha"), 0.25),
        (entry_bytes("alpha")[:-1], 2.0),
        (entry_bytes("alpha")[1:], 2.0),
        (b"", 2.0),
        (b"no zip", 2.0),
        (b"PK\5\6" + bytes(18), 0.25),
    ],
    ids=["whole", "without its last byte", "without its first byte", "nothing", "no zip", "an empty zip"],
)
def test_what_ends_as_a_whole_zip_is_taken_sooner(event, data, waited):
    desk = event.found()
    (event.inbox / "alpha.zip").write_bytes(data)
    inbox, begun = Inbox(event.inbox), event.clock.now()
    while not inbox.look(desk)[0]:
        event.clock.sleep(0.05)
    assert (event.clock.now() - begun).total_seconds() == pytest.approx(waited, abs=0.051)


def test_one_that_never_stops_is_told_and_left(event):
    desk = event.found()
    path = drop(event, "alpha")
    turns = iter(range(10**6))
    event.clock.meanwhile = lambda: os.utime(path, ns=(next(turns),) * 2)
    told = event.work(desk, ToldScorer(), inbox=True)
    assert [one.what for one in told] == ["growing"] and not desk.ledger.entries()


def test_links_hidden_and_unfinished_files_are_left_alone(event):
    desk = event.found()
    (event.folder / "secret.zip").write_bytes(entry_bytes("x"))
    (event.inbox / "alpha.zip").symlink_to(event.folder / "secret.zip")
    (event.inbox / ".hidden.zip").write_bytes(b"x")
    (event.inbox / "beta.zip.part").write_bytes(b"x")
    (event.inbox / "away").symlink_to(event.folder)
    event.work(desk, ToldScorer(), inbox=True)
    assert not desk.ledger.entries()
    with pytest.raises(UserError, match="no link"):
        intake.take(desk, event.inbox / "alpha.zip", "alpha")


def test_a_name_that_cannot_be_a_team_gets_one_that_can(event):
    desk = event.found()
    drop(event, "alpha").rename(event.inbox / 'a"b:c.zip')
    event.work(desk, ToldScorer(), inbox=True)
    (entry,) = desk.ledger.entries()
    assert entry.team.startswith("abc-") and (event.home / "outbox" / entry.team).is_dir()


def test_an_archive_beyond_the_limit_is_hashed_and_not_kept(event):
    small = event.folder / "small.yaml"
    small.write_text(small.read_text() + "limits: {archive_bytes: 1000}\n")
    desk = event.found()
    path = drop(event, "alpha")
    event.work(desk, ToldScorer(), inbox=True)
    (entry,) = desk.ledger.entries()
    assert entry.state == "refused" and "S409" in entry.reason and entry.sha256 == sha256(path)
    assert not desk.archive(entry).exists()


def test_a_full_disk_leaves_the_file_for_the_next_call(event, monkeypatch):
    desk = event.found()
    drop(event, "alpha")
    with monkeypatch.context() as patch:
        patch.setattr(intake, "_new_folder", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        told = event.work(desk, ToldScorer(), inbox=True)
    assert told[0].what == "not taken" and not desk.ledger.entries()
    assert not list((event.home / "entries").glob(".*"))
    event.work(desk, ToldScorer(), inbox=True)
    assert event.states(desk) == ["scored"]


def test_a_folder_that_a_killed_process_left_is_not_used_again(event):
    desk = event.found()
    left = event.home / "entries" / f"0001-{sha256(drop(event, 'alpha'))[:8]}"
    left.mkdir(parents=True)
    (left / "archive.zip").write_bytes(b"half")
    event.work(desk, ToldScorer(), inbox=True)
    (entry,) = desk.ledger.entries()
    assert entry.folder == f"{left.name}-2" and (left / "archive.zip").read_bytes() == b"half"


def test_what_was_killed_in_mid_scoring_is_taken_up_and_charged_once(event):
    desk = event.found(per_day=1)
    event.send(desk, "alpha")
    scorer = ToldScorer()
    scorer.fails = KeyboardInterrupt()  # as when the process ends: nothing more is written
    with pytest.raises(KeyboardInterrupt):
        event.work(desk, scorer)
    assert event.states(desk) == ["scoring"]
    scorer.fails = None
    event.work(desk, scorer)
    (entry,) = desk.ledger.entries()
    assert (entry.state, entry.charged, entry.attempts) == ("scored", "2026-08-10", 2)


def test_an_entry_that_kills_every_scoring_waits_for_the_organiser(event):
    desk = event.found()
    event.send(desk, "alpha")
    event.send(desk, "beta")
    scorer = ToldScorer()
    scorer.fails = MemoryError()
    event.work(desk, scorer)
    for _ in range(4):
        event.work(desk, scorer)
    assert event.states(desk) == ["failed", "failed"] and desk.ledger.entry(1).attempts == 3
    assert desk.ledger.entry(1).charged is None
    log = "".join(desk.ledger.lines())
    assert "MemoryError" not in log and "by no fault of the team" in log


def test_each_archive_is_scored_once_by_a_scorer(event):
    desk = event.found()
    event.send(desk, "alpha")
    scorer = ToldScorer(alpha=0.7)
    event.work(desk, scorer)
    copy = event.folder / "copy.zip"
    copy.write_bytes(entry_bytes("alpha"))
    other = intake.take(desk, copy, "beta")
    event.work(desk, scorer)
    assert scorer.calls == 1 and desk.ledger.entry(other.id).state == "scored"
    assert len(desk.ledger.scores(desk.ledger.get("scorer"))) == 1
    reports = [desk.report(one, desk.ledger.get("scorer"), "public") / "report.json" for one in desk.ledger.entries()]
    assert reports[0].read_bytes() == reports[1].read_bytes()
    names = [json.loads((path.parent / "entry.json").read_text())["team"] for path in reports]
    assert names == ["alpha", "beta"]


def test_two_processes_do_not_score_at_once(event):
    desk = event.found()
    with at_work(desk), pytest.raises(UserError, match="another jdart-organise"), at_work(event.open()):
        pass


def test_what_cannot_be_scored_is_refused_and_not_charged(event):
    desk = event.found(per_day=1)
    event.send(desk, "alpha")
    event.work(desk, ToldScorer(alpha=Refused))
    assert (desk.ledger.entry(1).state, desk.ledger.entry(1).charged) == ("refused", None)


def test_no_drop_folder_is_a_line(event):
    with pytest.raises(UserError, match="no such folder"):
        Inbox(event.folder / "nowhere").look(event.found())
