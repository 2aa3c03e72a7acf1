"""A changed line, archive, report or ledger is found; so is a log that forgot something, and who moved in a rescore."""

import hashlib
import json
import shutil
import sqlite3

import pytest
from click.testing import CliRunner
from small_event import ToldScorer

from contest.errors import UserError
from organiser.books.audit import audit_event, audit_log, read_log
from organiser.cli import main
from organiser.desk import at_work
from organiser.publish import publish
from organiser.rescore import rescore
from organiser.scoring import meet_scorer


@pytest.fixture
def desk(event):
    desk = event.found()
    for team in ("a", "b"):
        event.send(desk, team)
        event.clock.go(minutes=1)
    event.work(desk, ToldScorer(a=0.5, b=0.4))
    return desk


def by_hand(lines):
    """The rule of docs/organiser.md in its own words."""
    previous = "0" * 64
    for line in lines:
        value = json.loads(line)
        said = value.pop("hash")
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if value["previous"] != previous or hashlib.sha256(text.encode()).hexdigest() != said:
            return False
        previous = said
    return True


def test_what_is_whole_is_good(desk, event):
    assert audit_event(desk) == []
    assert by_hand((desk.site / "log.jsonl").read_text().splitlines())
    receipts = sorted((event.home / "outbox").rglob("*.receipt.json"))
    assert len(receipts) == 2 and audit_log(read_log(desk.site / "log.jsonl"), receipts) == []


@pytest.mark.parametrize("change", ["team", "order", "cut", "forged"])
def test_a_changed_log_is_found(desk, event, change):
    path = desk.site / "log.jsonl"
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if '"what":"received"' in line)
    kept = event.folder / "kept.jsonl"
    shutil.copy(path, kept)
    if change == "team":
        lines[first] = lines[first].replace('"team":"a"', '"team":"c"')
    elif change == "order":
        lines[first], lines[first + 1] = lines[first + 1], lines[first]
    elif change == "cut":
        del lines[first]
    else:  # written anew from there, with hashes that fit
        from organiser.books.log import make_line

        values = [json.loads(line) for line in lines[:first]]
        previous = values[-1]["hash"]
        for line in lines[first + 2 :]:
            value = json.loads(line)
            facts = {key: one for key, one in value.items() if key not in ("seq", "time", "what", "previous", "hash")}
            text, previous = make_line(len(values) + 1, value["time"], value["what"], facts, previous)
            values.append(json.loads(text))
        lines = [json.dumps(value) for value in values]
    path.write_text("\n".join(lines) + "\n")
    receipts = sorted((event.home / "outbox" / "a").glob("*.receipt.json"))
    assert (audit_log(read_log(path)) == []) == (change == "forged")
    assert audit_log(read_log(path), receipts)  # the forged one, too: the team has a receipt
    assert "the earlier log is not the beginning of this one" in audit_log(read_log(path), (), read_log(kept))
    assert any("not a beginning" in one for one in audit_event(desk))


def test_a_changed_archive_report_or_ledger_is_found(desk, event):
    first = desk.ledger.entry(1)
    desk.archive(first).write_bytes(b"other")
    report = desk.report(desk.ledger.entry(2), desk.ledger.get("scorer"), "public") / "report.json"
    report.write_text(report.read_text().replace("0.4", "0.9", 1))
    raw = sqlite3.connect(desk.ledger.path)
    raw.execute("UPDATE entries SET team = 'c', state = 'withdrawn' WHERE id = 2")
    raw.commit()
    raw.close()
    problems = " / ".join(audit_event(desk))
    for part in (
        "entry 1: its archive was changed",
        "the report of entry 2 was changed",
        "entry 2: the log has another team",
        "entry 2: is withdrawn, and scored by the log",
    ):
        assert part in problems
    desk.archive(first).unlink()
    assert any("entry 1: its archive is gone" in one for one in audit_event(desk))


def test_the_command(desk, event):
    def audit(*words):
        done = CliRunner().invoke(main, ["audit", *map(str, words)])
        return done.exit_code, done.output

    code, said = audit("--folder", event.home)
    assert code == 0 and said.strip().endswith(": good")
    receipt = next((event.home / "outbox" / "a").glob("*.receipt.json"))
    log = desk.site / "log.jsonl"
    assert audit("--log", log, "--receipt", receipt, "--earlier", log)[0] == 0
    log.write_text(log.read_text().replace('"team":"a"', '"team":"c"'))
    code, said = audit("--log", log, "--receipt", receipt)
    assert code == 1 and "is not what its hash says" in said and "receipt says" in said
    assert audit("--log", event.folder / "event.yaml")[0] == 2


def test_a_new_scorer_stands_aside_until_all_is_renewed(desk, event):
    old = desk.ledger.get("scorer")
    new = ToldScorer({"profile": "told", "weights": "new"}, a=0.5, b=0.6)
    event.send(desk, "c")
    with pytest.raises(UserError, match=r"the scorer has changed \(weights\).* 1 entries wait"):
        event.work(desk, new)
    assert event.states(desk) == ["outdated", "outdated", "queued"]
    publish(desk)
    rows = json.loads((desk.site / "standing.json").read_text())
    assert rows["scorer"] == old and [row["team"] for row in rows["rows"]] == ["a", "b"]
    new.fails = OSError(28, "No space left on device")
    with at_work(desk), pytest.raises(UserError, match=f"scorer {old} stays in force"):
        rescore(desk, new)
    assert desk.ledger.get("scorer") == old
    new.fails = None
    with at_work(desk):
        moved = rescore(desk, new)
    told = [(one.team, one.changed, one.old_rank, one.new_rank) for one in moved]
    assert told == [("a", False, 1, 2), ("b", True, 2, 1)]
    event.work(desk, new)
    assert event.states(desk) == ["scored"] * 3 and audit_event(desk) == []
    page = (desk.site / "rescores.html").read_text()
    assert "weights" in page and "1 of 2 entries have other figures" in page
    assert {one["version"] for one in map(json.loads, desk.ledger.lines()) if one["what"] == "scorer"} > {old}


def test_what_a_killed_rescore_has_done_is_not_done_again(desk, event):
    new = ToldScorer({"profile": "another"})
    meet_scorer(desk, new.parts)
    calls = []

    class Killed(ToldScorer):
        def score(self, archive):
            if calls:
                raise KeyboardInterrupt
            calls.append(archive)
            return super().score(archive)

    with at_work(desk), pytest.raises(KeyboardInterrupt):
        rescore(desk, Killed({"profile": "another"}))
    with at_work(desk):
        rescore(desk, new)
    assert new.calls == 1 and event.states(desk) == ["scored", "scored"]
