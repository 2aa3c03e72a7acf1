"""Copies of a run, entries of the same pictures, and what is handed over but not on the board."""

import itertools
import json
import logging
import shutil

import pytest
from read_page import Page
from some_reports import files, make, make_run

from leaderboard import add_to_site, build_site

OURS, THEIRS = {"name": "Ours", "team": "Alpha"}, {"name": "Theirs", "team": "Beta"}


def copies(folder, *said, source=None):
    """Report folders with the very same report, each with a description of its own, or none."""
    source = make(folder / "source", pictures=True) if source is None else source
    made = []
    for i, meta in enumerate(said):
        made.append(folder / str(i))
        shutil.copytree(source, made[-1])
        if meta is not None:
            (made[-1] / "entry.yaml").write_text(json.dumps(meta))
    return made


def names(site):
    return [entry["name"] for entry in json.loads((site / "board.json").read_text("utf-8"))["entries"]]


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    "metas",
    [
        (OURS, THEIRS),
        (OURS, {**OURS, "team": "Beta"}, {**OURS, "note": "again"}),  # one name, one hash
        ({"name": "水墨"}, {"name": "青团"}, None),  # names without a letter that a file name may have
        (OURS, OURS, THEIRS, None, None),
    ],
)
def test_copies_of_a_run_stand_side_by_side_in_whatever_order_they_come(tmp_path, metas):
    folders = copies(tmp_path / "runs", *metas)
    different = {json.dumps(meta) for meta in metas}
    sites = []
    for i, order in enumerate(itertools.islice(itertools.permutations(folders), 8)):
        build_site(order, tmp_path / f"site{i}")
        sites.append(files(tmp_path / f"site{i}"))
    first = json.loads(sites[0]["board.json"])["entries"]
    assert len(first) == len(different) == len({entry["page"] for entry in first})
    assert len({entry["name"] for entry in first}) == len(first)
    assert all((entry["rank"], entry["tied"]) == (1, True) for entry in first)
    assert all(site == sites[0] for site in sites)


def test_what_is_added_stands_beside_its_copy_and_the_same_twice_once(tmp_path):
    one, two, three = copies(tmp_path / "runs", OURS, THEIRS, OURS)
    build_site([one], tmp_path / "site")
    assert names(tmp_path / "site") == ["Ours"]
    before = {path: path.read_bytes() for path in (tmp_path / "site").glob("entries/*.html")}
    add_to_site(tmp_path / "site", [two])
    assert names(tmp_path / "site") == ["Ours", "Theirs"]
    assert all(path.exists() for path in before)  # the first one's page is where it was
    add_to_site(tmp_path / "site", [three])
    assert names(tmp_path / "site") == ["Ours", "Theirs"]


def test_of_the_same_ones_that_with_most_beside_it_stays_and_the_others_are_named(tmp_path, caplog):
    bare = make(tmp_path / "bare", pictures=True)
    run = make_run(tmp_path / "run", pictures=True)
    for i, order in enumerate(([bare, run], [run, bare])):
        caplog.clear()
        build_site(order, tmp_path / f"site{i}")
        (line,) = said(caplog)
        assert line.startswith(f"{bare / 'report.json'}: left out, the same report and description as {run}")
    assert files(tmp_path / "site0")["board.json"] == files(tmp_path / "site1")["board.json"]
    caplog.clear()
    build_site([run, run / "report" / "report.json", run], tmp_path / "site2")  # one file, however it is called
    assert said(caplog) == []


def test_the_same_pictures_are_said_to_be_the_same(tmp_path):
    def of(sha256, weights="cd"):
        return lambda report: (
            report["submission"].update(sha256=sha256 * 32),
            report["provenance"]["weights"].update({"RN50.pt": weights * 32}),
        )

    reports = [
        make(tmp_path / "1", "first", 0.5, of("aa"), meta={"team": "Alpha"}),
        make(tmp_path / "2", "second", 0.5, of("aa"), meta={"team": "Beta"}),
        make(tmp_path / "3", "third", 0.4, of("aa", "dd")),  # in another ranking
        make(tmp_path / "4", "alone", 0.3, of("bb")),
    ]
    build_site(reports, tmp_path / "en")
    build_site(reports, tmp_path / "zh", language="zh")
    links = {}
    for name in ("first", "second", "third", "alone"):
        (path,) = (tmp_path / "en").glob(f"entries/{name}-*.html")
        links[name] = Page(path).text.count("same pictures as")
    assert links == {"first": 1, "second": 1, "third": 1, "alone": 0}
    (path,) = (tmp_path / "en").glob("entries/third-*.html")
    assert "same pictures as first, second" in " ".join(Page(path).text.split())
    assert Page(tmp_path / "en" / "index.html").text.count("same pictures as") == 3
    assert Page(tmp_path / "zh" / "index.html").text.count("图像与以下条目相同") == 3


def test_very_many_of_the_same_pictures_are_counted(tmp_path):
    def same(report):
        report["submission"]["sha256"] = "aa" * 32

    build_site([make(tmp_path / str(i), f"entry {i}", i / 10, same) for i in range(8)], tmp_path / "site")
    (path,) = (tmp_path / "site").glob("entries/entry-0-*.html")
    words = " ".join(Page(path).text.split())
    assert "same pictures as entry 7, entry 6, entry 5, entry 4, entry 3 +2 " in words


def test_what_is_not_on_the_board_is_said(tmp_path, caplog):
    runs = tmp_path / "runs"
    good = make_run(runs / "good", pictures=True)
    make(runs / "linked-to" / "deep" / "report", "linked")
    (runs / "link").symlink_to(runs / "linked-to" / "deep")
    make(runs / ".hidden")
    make(runs / "1" / "2" / "3" / "4" / "5" / "6")
    (runs / "unscored").mkdir()
    (runs / "unscored" / "run.json").write_text("{}")
    (runs / "lonely").mkdir()
    (runs / "lonely" / "entry.yaml").write_text("team: nobody")
    make(runs / "two" / "report", "two")
    make(runs / "broken")
    (runs / "broken" / "report.json").unlink()
    (runs / "broken" / "report.json").symlink_to("nowhere")
    shutil.copy(runs / "two" / "report" / "report.json", runs / "two" / "report.json")
    (good / "entry.yaml").write_text("team: one")
    (good / "report" / "entry.json").write_text("{}")
    (runs / "two" / "entry.yml").symlink_to(good / "entry.yaml")
    (good / "report" / "thumbnails" / "outputs" / "01" / "Sun.webp").write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    )
    build_site([runs], tmp_path / "site")
    lines = said(caplog)
    wanted = {
        "link": "left out, it is a link",
        ".hidden": "left out, it is hidden",
        "1/2/3/4/5/6": "left out, it lies more than 5 folders deep",
        "unscored": "left out, a run that has not been scored; score it with: jdart-eval score",
        "lonely/entry.yaml": "describes no entry",
        "two/report/report.json": f"left out, {runs / 'two' / 'report.json'} goes before it",
        "broken/report.json": "left out, it is no file, or a link that leads nowhere",
        "good/entry.yaml": f"not read, {good / 'report' / 'entry.json'} describes the entry",
        "two/entry.yml": "not read, it is a link",
        "good/report/report.json": "of 3 pictures 1 have no thumbnail that is a picture",
    }
    for place, words in wanted.items():
        assert any(line.startswith(f"{runs / place}: {words}") for line in lines), place
    assert len(lines) == len(wanted)
    assert not any("\n" in line for line in lines)


def test_a_folder_that_may_not_be_looked_into_is_passed_over_as_before(tmp_path):
    make(tmp_path / "runs" / "a")
    (tmp_path / "runs" / ".private").mkdir(mode=0o000)
    build_site([tmp_path / "runs"], tmp_path / "site")
    assert names(tmp_path / "site") == ["demo"]
