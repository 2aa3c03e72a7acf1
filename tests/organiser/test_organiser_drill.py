"""A drill in small: every fake ends where it must, figures are those of logs by hand, and what is wrong is told."""

import json
import shutil

import pytest
from click.testing import CliRunner
from small_event import STYLES, ToldScorer

from benchmarks.reliability.load import hold
from contest.definition import Contest, Limits
from contest.entry.png import read_chunks, read_header
from contest.findings import errors
from organiser.cli import main
from organiser.drilling.evening import Drill
from organiser.drilling.fakes import CROWD, HONEST, KINDS, good_files
from organiser.drilling.measures import longest_queue, measure
from organiser.drilling.plan import Fake, plan
from organiser.drilling.receipts import receipts_of, spread
from submission import UserError, check

SMALL = Contest("small", {style: tuple(prompts) for style, prompts in STYLES.items()}, limits=Limits(files=CROWD))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fake_is_wrong_in_just_what_it_says(kind, tmp_path):
    path = tmp_path / "entry.zip"
    path.write_bytes(KINDS[kind].make(good_files(SMALL.styles, 1)))
    assert path.stat().st_size < 1 << 21
    try:
        codes = {one.code for one in errors(check(path, SMALL))}
    except UserError:
        codes = {"S401"}  # no archive at all, as the intake has it
    assert (KINDS[kind].code in codes) if KINDS[kind].code else not codes


def test_good_files_are_good_and_others_for_every_seed():
    one, again, other = (good_files(SMALL.styles, seed) for seed in (1, 1, 2))
    assert one == again and not set(one.values()) & set(other.values())
    header = read_header(read_chunks(next(iter(one.values())))[0])
    assert (header.width, header.height, header.depth, header.colour) == (64, 64, 8, 2)


def test_the_plan_has_every_kind_and_half_are_honest(tmp_path):
    fakes = plan(2 * len(KINDS) - 2, tmp_path)
    assert {fake.kind for fake in fakes} == set(KINDS)
    assert sum(fake.kind == HONEST for fake in fakes) == len(fakes) // 2
    assert len({(fake.team, fake.name) for fake in fakes}) == len(fakes)


def test_a_drill(tmp_path):
    drill = Drill(tmp_path / "drill", 12, rate=1200)
    list(drill.hold(lambda desk: ToldScorer()))
    found = drill.measures()
    assert found.wrong == () or all(one.startswith("receipts took") for one in found.wrong)
    assert found.states == {"duplicate": 1, "late": 1, "over limit": 1, "refused": 2, "scored": 7}
    assert 0 < found.receipts.whole.median <= found.receipts.whole.p99 <= found.receipts.whole.most
    assert found.seconds > 0 and found.cpu > 0 and found.memory > 1 << 20 and found.longest_queue > 0
    desk = drill.desk
    entry = desk.ledger.entries("late")[0]
    shutil.rmtree(desk.outbox / entry.team)
    desk.ledger.move(entry, "withdrawn", "asked")
    wrong = measure(desk, drill.fakes, drill._sender.sent, (1.0, 1.0), None).wrong
    assert any("got no receipt" in one for one in wrong)
    assert any("is withdrawn, not late; asked" in one for one in wrong)
    with pytest.raises(UserError, match="is there already"):
        Drill(tmp_path / "drill", 1)


def test_the_load_of_an_evening_ends_with_the_last_receipt(tmp_path, monkeypatch):
    held = Drill.hold
    monkeypatch.setattr(Drill, "hold", lambda drill: held(drill, lambda desk: ToldScorer()))
    load = hold(tmp_path / "drill", 6000.0, 4)
    assert (load.rate, load.archives) == (
        6000.0,
        4,
    ) and 0 < load.receipts.whole.median <= load.receipts.whole.most < load.seconds
    assert 0 <= load.scored <= 3 and 0 <= load.scoring <= load.seconds and 1 <= load.waiting <= 4


def test_what_may_still_be_growing_is_given_its_time(tmp_path):
    times = {}
    for number, (name, seconds) in enumerate(
        ((HONEST, 1.9), ("no archive", 3.9), ("cut short", 2.5), ("nothing", 2.4))
    ):
        ready = tmp_path / f"{number}.zip"
        ready.write_bytes(KINDS[name].make(good_files(SMALL.styles, 1)))
        times[Fake(name, "a", ready.name, ready)] = seconds
    found = receipts_of(times)
    assert (found.whole.p99, found.others.median, found.others.p99) == (1.9, 2.5, 3.9) and found.problems() == []
    slow = receipts_of({fake: seconds + 0.1 for fake, seconds in times.items()}).problems()
    assert slow == [
        "receipts took 2.00 s at the 99th percentile; the target is below 2 s",
        "receipts of no whole archive took 4.00 s at the 99th percentile; the target is below 4 s",
    ]
    assert receipts_of({}).problems() == []


def test_figures():
    assert spread([3.0]) == spread([3.0, 3.0])
    hundred = spread([float(number) for number in range(100, 0, -1)])
    assert (hundred.median, hundred.p99, hundred.most) == (50.0, 99.0, 100.0)
    lines = [{"what": "received", "entry": number} for number in (1, 2)]
    lines += [{"what": "state", "entry": 1, "state": state} for state in ("queued", "scoring", "scored")]
    lines += [{"what": "received", "entry": 3}, {"what": "score"}]
    assert longest_queue(lines) == 2 and longest_queue([]) == 0


def test_the_command(tmp_path, monkeypatch):
    hold = Drill.hold
    monkeypatch.setattr(Drill, "hold", lambda drill: hold(drill, lambda desk: ToldScorer()))
    out = tmp_path / "drill"
    done = CliRunner().invoke(main, ["drill", "--entries", "2", "--out", str(out), "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert "2 scored" in done.output and "all as it must be" in done.output
    told = json.loads((out / "drill.json").read_text())
    assert told["states"] == {"scored": 2} and told["wrong"] == [] and told["scoring"]["most"] > 0
    again = CliRunner().invoke(main, ["drill", "--out", str(out)])
    assert again.exit_code == 2 and "is there already" in again.output
