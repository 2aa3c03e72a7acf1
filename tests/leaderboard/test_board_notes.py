"""What a build notes for the next one: `add` reads only what has changed, and shows nothing that is old."""

import json
import os
import shutil

import pytest
from some_reports import draw, files, make, make_run

from leaderboard import add_to_site, build_site
from leaderboard.pages import style
from leaderboard.reading import gather, stamps
from leaderboard.reading.gather import Overwritten, read_reports
from leaderboard.reading.notes import Note, Notes
from leaderboard.reading.reports import read_report

PICTURE = "thumbnails/outputs/00/Dolphin.webp"


@pytest.fixture
def settled(monkeypatch, cache):
    """Files count as settled at once, and notes go to a cache of the test's own."""
    monkeypatch.setattr(stamps, "SETTLED", 0)
    return cache


@pytest.fixture
def read(monkeypatch, settled):
    """Names of the entries that are read, in the order of reading; style pages show pictures of the best one alone."""
    names, real = [], gather.read_report

    def reading(*arguments):
        report = real(*arguments)
        names.append(report.name)
        return report

    monkeypatch.setattr(style, "MOST", 1)
    monkeypatch.setattr(gather, "read_report", reading)
    return names


def entries(folder, count):
    """Entries of which the first is the best, each with a picture of its own."""
    made = [make(folder / f"run {i}", f"entry {i}", 0.9 - i / 10, pictures=True) for i in range(count)]
    for i, entry in enumerate(made):
        draw(entry / PICTURE, 20 + i, "blue")
    return made


def at_once(folder, reports):
    """The files of a board that is built at once by somebody who has no notes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDART_CACHE", str(folder / "another cache"))
        build_site(reports, folder / "at once")
    return files(folder / "at once")


def noted(folder):
    return [path for path in (folder / "board").rglob("*") if path.is_file()]


def test_add_reads_the_new_entry_and_those_whose_pictures_stand_beside_others(tmp_path, read):
    made = entries(tmp_path, 5)
    build_site(made[:3], tmp_path / "site")
    assert sorted(read) == ["entry 0", "entry 1", "entry 2"]
    for i in (3, 4):
        read.clear()
        add_to_site(tmp_path / "site", [made[i]])
        assert sorted(read) == ["entry 0", f"entry {i}"]  # the best is on the pages of its styles, which are made anew
    assert files(tmp_path / "site") == at_once(tmp_path, made)
    read.clear()
    add_to_site(tmp_path / "site")  # looks at everything
    assert sorted(read) == [f"entry {i}" for i in range(5)]


def test_what_has_just_been_written_is_read_again(tmp_path, read, monkeypatch):
    """It may change once more within a tick of the disk's clock, and look as it did."""
    monkeypatch.setattr(stamps, "SETTLED", 3600)
    made = entries(tmp_path, 3)
    build_site(made[:2], tmp_path / "site")
    read.clear()
    add_to_site(tmp_path / "site", made[2:])
    assert sorted(read) == ["entry 0", "entry 1", "entry 2"]


def test_added_one_by_one_in_any_order_is_built_at_once(tmp_path, settled):
    made = [*entries(tmp_path, 2), make_run(tmp_path / "run", "a run", 0.75, pictures=True)]
    made.append(make(tmp_path / "copy", "entry 1", 0.8, meta={"team": "another"}))  # the same pictures: twins
    build_site(made[3:], tmp_path / "site")
    for i in (1, 2, 0):
        add_to_site(tmp_path / "site", [made[i]])
    assert files(tmp_path / "site") == at_once(tmp_path, made)


def replaced(path):
    """Another picture in the place of one, as the evaluator does it."""
    draw(path.with_name("new.webp"), 33, "purple")
    os.replace(path.with_name("new.webp"), path)


CHANGES = {
    "report": ("report/report.json", lambda path: path.write_text(path.read_text("utf-8").replace("0.78", "0.87"))),
    "description": ("report/entry.yaml", lambda path: path.write_text('{"team": "tx"}')),
    "another description": ("entry.json", lambda path: path.write_text('{"team": "of the run"}')),
    "no description": ("report/entry.yaml", os.unlink),
    "run": ("run.json", lambda path: path.write_text(path.read_text("utf-8").replace("300", "400"))),
    "losses": ("lora/01/loss.csv", lambda path: path.write_text("step,loss\n1,2\n3,4\n")),
    "no losses": ("lora/01/loss.csv", os.unlink),
    "sheet": ("sheets/00.png", lambda path: draw(path, 1500, "green")),
    "new sheet": ("sheets/01.png", lambda path: draw(path, 14, "green")),
    "no sheets": ("sheets", shutil.rmtree),
    "picture": (f"report/{PICTURE}", replaced),
    "no picture": (f"report/{PICTURE}", os.unlink),
    "reference": ("report/thumbnails/references/01/apple.webp", lambda path: draw(path, 30, "red")),
    "no thumbnails": ("report/thumbnails", shutil.rmtree),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_of_an_entry_is_seen_without_reading_it(tmp_path, settled, what):
    run = make_run(tmp_path / "run", pictures=True, meta={"team": "t1"})
    report, notes = run / "report" / "report.json", Notes(tmp_path / "notes")
    (before,) = read_reports([report], notes)
    assert notes.of(report).holds()
    times = {path: path.stat() for path in run.rglob("*") if path.is_file()}
    place, change = CHANGES[what]
    change(run / place)
    for path, found in times.items():  # as programs that copy files set them
        if path.exists():
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    (after,) = read_reports([report], notes, trusted=True)
    assert before != after == read_report(report)


def test_a_recalled_report_is_the_one_that_was_read(tmp_path, settled):
    for folder in (make(tmp_path / "a", interval=(0.4, 0.6)), make_run(tmp_path / "b", pictures=True) / "report"):
        path, notes = folder / "report.json", Notes(tmp_path / "notes")
        (first,) = read_reports([path], notes)
        (again,) = read_reports([path], notes, trusted=True)
        assert again == first and again.identity == first.identity
        assert (again.images, again.found) == (first.images, first.found)


def test_a_picture_written_over_where_it_lies_is_told_from_the_one_that_was_read(tmp_path, settled):
    folder, notes = make(tmp_path / "a", pictures=True), Notes(tmp_path / "notes")
    read_reports([folder / "report.json"], notes)
    draw(folder / PICTURE, 50, "yellow")
    (report,) = read_reports([folder / "report.json"], notes, trusted=True)
    with pytest.raises(Overwritten):
        report.whole()


def test_a_picture_written_over_where_it_lies_is_shown_by_the_next_look_at_it(tmp_path, read):
    made, site = entries(tmp_path, 4), tmp_path / "site"
    build_site(made[:2], site)
    draw(made[0] / PICTURE, 50, "yellow")  # of the best one, which is read for the pages of its styles
    add_to_site(site, made[2:3])
    assert files(site) == at_once(tmp_path, made[:3])
    draw(made[1] / PICTURE, 50, "pink")
    read.clear()
    before = files(site)
    add_to_site(site, made[3:])
    after = files(site)
    own = next(name for name in before if name.startswith("data/entry-1"))
    assert "entry 1" not in read and after[own] == before[own]  # the old picture, and all that belongs to it
    assert {name for name in before if name.startswith("thumbnails/")} <= after.keys()
    add_to_site(site)
    assert files(site) == at_once(tmp_path, made)


def test_thumbnails_in_the_site_that_are_gone_or_left_over_are_seen(tmp_path, settled):
    made, thumbnails = entries(tmp_path, 3), tmp_path / "site" / "thumbnails"
    build_site(made[:2], tmp_path / "site")
    for path in thumbnails.iterdir():
        path.unlink()
    draw(thumbnails / f"{'ab' * 10}-small.webp", 8, "red")  # as a build that was killed may leave it
    draw(thumbnails / "logo.webp", 8, "red")  # somebody else's
    add_to_site(tmp_path / "site", made[2:])
    after = files(tmp_path / "site")
    assert after.pop("thumbnails/logo.webp")
    assert after == at_once(tmp_path, made)


def test_an_entry_that_leaves_takes_only_its_own_thumbnails_along(tmp_path, settled):
    made = entries(tmp_path, 4)
    build_site(made[:3], tmp_path / "site")
    shutil.rmtree(made[1])
    add_to_site(tmp_path / "site", made[3:], forget=True)
    assert files(tmp_path / "site") == at_once(tmp_path, [made[0], made[2], made[3]])
    assert len(noted(settled)) == 4  # of the three that are there, and of the site


def test_another_build_of_the_site_in_between_is_noticed(tmp_path, settled, monkeypatch):
    made = entries(tmp_path, 3)
    build_site(made[:2], tmp_path / "site")
    monkeypatch.setenv("JDART_CACHE", str(tmp_path / "somebody else's"))
    build_site(made[:1], tmp_path / "site")
    monkeypatch.setenv("JDART_CACHE", str(settled))
    add_to_site(tmp_path / "site", made[1:])
    assert files(tmp_path / "site") == at_once(tmp_path, made)


def test_damaged_notes_are_none(tmp_path, settled):
    report, notes = make(tmp_path / "a", pictures=True) / "report.json", Notes(tmp_path / "notes")
    read_reports([report], notes)
    notes.keep_site({"entries": ["x"]}, [report])
    assert notes.of(report).brief is not None and notes.digests(report).known and notes.site() == {"entries": ["x"]}
    kept = {path: path.read_bytes() for path in (tmp_path / "notes").iterdir()}
    for change in (
        lambda data: data[: len(data) // 3],
        lambda data: b"",
        lambda data: b"\xff\n" * 9,
        lambda data: data.replace(b"1", b"2"),
        lambda data: b"null\n" * 3,
    ):
        for path, data in kept.items():
            path.write_bytes(change(data))
        assert (notes.of(report), notes.digests(report).known, notes.site()) == (Note(), {}, None)
        (found,) = read_reports([report], notes, trusted=True)
        assert found == read_report(report) and notes.of(report).holds()  # noted anew


def test_no_note_is_part_of_the_site(tmp_path, settled):
    build_site(entries(tmp_path, 2), tmp_path / "site")
    marker = json.loads((tmp_path / "site" / ".jdart-board.json").read_text("utf-8"))
    assert set(marker) == {"schema_version", "title", "language", "sources", "files"}
    assert not any(str(tmp_path).encode() in data for data in files(tmp_path / "site").values())
