"""Entries whose pictures say that they were post-processed bear a mark wherever they are named; other boards do not."""

import csv
import json

import pytest
from some_reports import make

from contest.errors import UserError
from leaderboard import build_site
from leaderboard.pages.methods import READING

BADGE = '<span class="badge post-processed"'


def finished(count):
    return lambda report: report["provenance"].update(post_processed=count)


def built(folder, *counts):
    reports = [
        make(folder / str(n), f"entry {n}", 0.5 - n / 100, None if count is None else finished(count), pictures=True)
        for n, count in enumerate(counts)
    ]
    build_site(reports, folder / "site", "Board")
    return folder / "site"


def test_the_mark_is_on_its_rows_and_pages_and_explained(tmp_path):
    site = built(tmp_path, 3, None)
    marked, plain = sorted(site.glob("entries/*.html"))
    assert "post-processed" not in plain.read_text("utf-8").split('<section id="compared">')[0]
    heading = marked.read_text("utf-8").split("<section")[0]
    assert BADGE in heading
    assert "3 of 3 pictures" in heading
    assert 'href="../methods.html#reading-post-processed"' in heading
    for page in [site / "index.html", *site.glob("styles/*.html")]:
        text = page.read_text("utf-8")
        first, second = text.index("entry 0</bdi>"), text.index("entry 1</bdi>")
        assert text.count(BADGE) == 1
        assert first < text.index(BADGE) < second, page
    assert 'id="reading-post-processed"' in (site / "methods.html").read_text("utf-8")
    counts = [entry["post_processed"] for entry in json.loads((site / "board.json").read_text("utf-8"))["entries"]]
    assert counts == [3, 0]
    with open(site / "board.csv", newline="", encoding="utf-8-sig") as stream:
        assert [row["post_processed"] for row in csv.DictReader(stream)] == ["3", "0"]


def test_the_mark_is_where_an_entry_is_compared_with_it(tmp_path):
    site = built(tmp_path, 3, None)
    (below,) = (path for path in site.glob("entries/*.html") if "entry-1" in path.name)
    compared = below.read_text("utf-8").split('<section id="compared">')[1].split("</section>")[0]
    assert compared.index("entry 0</bdi>") < compared.index(BADGE) and compared.count(BADGE) == 1
    listed = (site / "compare.html").read_text("utf-8").rpartition("<noscript>")[2]
    assert listed.index("entry 0</bdi>") < listed.index(BADGE) < listed.index("entry 1</bdi>")
    assert listed.count(BADGE) == 1
    said = {path.name[: len("entry-0")]: "post_processed" in path.read_text() for path in site.glob("data/*.js")}
    assert said == {"entry-0": True, "entry-1": False}, "what the script of the comparison reads"


@pytest.mark.parametrize("count", [None, 0, -4])
def test_a_board_without_such_entries_does_not_speak_of_it(count, tmp_path):
    site = built(tmp_path, count)
    for path in [site / "board.json", site / "board.csv", *site.rglob("*.html"), *site.glob("data/*.js")]:
        assert "post-processed" not in path.read_text("utf-8"), path
        assert "post_processed" not in path.read_text("utf-8"), path
    assert "post-processed" not in READING


@pytest.mark.parametrize("count", ["3", [], True, float("nan")])
def test_what_is_no_number_is_refused(count, tmp_path):
    with pytest.raises(UserError, match="post_processed must be a finite number"):
        built(tmp_path, count)
