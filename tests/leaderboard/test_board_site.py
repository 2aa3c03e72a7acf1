"""The site as a reader and a browser see it."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner
from some_reports import files, make

from leaderboard import build_site
from leaderboard.cli import main
from submission import UserError

HOSTILE = "<script>alert(1)</script>\"' onload=x {{ 7*7 }} ../../etc"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Collects tags, links, ids and text, and demands that every tag is closed in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.links, self.ids, self.words = [], [], [], [], []
        self.feed(Path(path).read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture
def site(tmp_path):
    def toy(report):
        report["provenance"].update(comparable=False, not_comparable_because=["miniature weights"])

    def hostile(report):
        report.update(contest=HOSTILE, profile=HOSTILE)
        report["provenance"].update(device=HOSTILE, versions={HOSTILE: HOSTILE}, weights={HOSTILE: HOSTILE})
        report["styles"] = {HOSTILE.replace("/", "-"): report["styles"]["00"]}
        picture = {"clip_r_correct": False, "clip_r_rank": 9, "clip_r_top5": [HOSTILE]}
        report["images"] = {HOSTILE.replace("/", "-"): {HOSTILE.replace("/", "-") + ".png": picture}}

    reports = [
        make(tmp_path / "1", "first", 0.5, pictures=True),
        make(tmp_path / "2", "second", 0.09),
        make(tmp_path / "3", "toy", 0.9, toy),
        make(tmp_path / "4", HOSTILE, 0.2, hostile),
    ]
    build_site(reports, tmp_path / "site", "My <board>")
    return tmp_path / "site"


def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_resolves_and_stays_inside(site):
    found = pages(site)
    assert len(found) == 5
    for path, page in found.items():
        assert len(page.ids) == len(set(page.ids))
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            assert (parts.scheme, parts.netloc) == ("", ""), link
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert site.resolve() in target.resolve().parents and target.is_file(), link
            if parts.fragment:
                assert parts.fragment in page.ids


def test_nothing_is_asked_of_the_network(site):
    for name, data in files(site).items():
        if not name.startswith("thumbnails/"):
            assert b"http:" not in data and b"https:" not in data and b"//cdn" not in data, name


def test_hostile_names_stay_text(site):
    for page in pages(site).values():
        assert page.tags.count("script") == 1  # our own
    index = Page(site / "index.html")
    assert HOSTILE in index.text  # all of it, and no template ran inside it
    assert all(name.isascii() and "script>" not in name for name in files(site))


def test_ranking_is_apart_from_what_cannot_be_compared(site):
    text = Page(site / "index.html").text
    assert text.index("Ranking") < text.index("first") < text.index("second") < text.index("Not comparable")
    assert text.index("Not comparable") < text.index("miniature weights") < text.index("toy")


def test_entry_page_shows_the_formula_pictures_and_hits(site):
    (path,) = site.glob("entries/first-*.html")
    page = Page(path)
    for part in (
        "0.5642",
        "0.4653",
        "0.4423",
        "rank 1 of 2",
        "CLIP-R hits 1 of 2",
        "✗ miss, rank 17",
        "Ice cream",
    ):
        assert part in page.text
    assert page.tags.count("img") == 4
    assert "olive tree" in page.text
    assert "--heat: 1.00" in path.read_text("utf-8")
    (plain,) = site.glob("entries/second-*.html")
    assert "img" not in Page(plain).tags  # a report without thumbnails is a page without pictures


def test_board_json(site):
    board = json.loads((site / "board.json").read_text("utf-8"))
    assert board["title"] == "My <board>"
    ranked = [(one["name"], one["rank"]) for one in board["entries"] if one["contest"] == "sample"]
    assert ranked == [("first", 1), ("second", 2), ("toy", 1)]
    assert [one["status"] for one in board["entries"] if one["name"] == "toy"] == ["not comparable"]
    assert all((site / one["page"]).is_file() for one in board["entries"])


def test_names_too_long_for_a_disk(tmp_path):
    def change(report):
        report["images"] = {
            "x" * 9000: {"y" * 9000 + ".png": {}},
            "00": {".png": {}, "...": {}, "a.b.png": {}},
        }

    build_site([make(tmp_path / "r", "n" * 9000, change=change)], tmp_path / "site")
    assert max(len(Path(name).name) for name in files(tmp_path / "site")) < 80


def test_equal_reports_give_equal_bytes_in_any_order(tmp_path):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(3)]
    build_site(reports, tmp_path / "a")
    build_site([reports[2], reports[0], reports[1], reports[0]], tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_thumbnails_that_lead_elsewhere_or_are_no_pictures_are_left_out(tmp_path):
    report = make(tmp_path / "r", pictures=True)
    secret = tmp_path / "secret.webp"
    secret.write_bytes(b"RIFF0000WEBP secret")
    outputs = report / "thumbnails" / "outputs"
    (outputs / "00" / "Dolphin.webp").unlink()
    (outputs / "00" / "Dolphin.webp").symlink_to(secret)
    (outputs / "00" / "Ice cream.webp").write_bytes(b"<svg onload=alert(1)>")
    (outputs / "01" / "Sun.webp").write_bytes(b"RIFF0000WEBP" + bytes(2 << 20))
    build_site([report], tmp_path / "site")
    assert len([name for name in files(tmp_path / "site") if name.startswith("thumbnails/")]) == 1
    assert not any(b"secret" in data for data in files(tmp_path / "site").values())


def test_rebuild_removes_what_is_ours_and_keeps_what_is_not(tmp_path):
    site, old = tmp_path / "site", make(tmp_path / "old", "old", pictures=True)
    build_site([old], site)
    (site / "CNAME").write_text("board.example")
    (site / "entries" / "notes").mkdir()
    (site / "entries" / "notes" / "mine.txt").write_text("mine")
    (site / "link").symlink_to(tmp_path)
    (site / "index.html").write_text("edited by hand, but ours")
    build_site([make(tmp_path / "new", "new")], site)
    assert (site / "CNAME").read_text() == "board.example"
    assert (site / "entries" / "notes" / "mine.txt").read_text() == "mine"
    assert os.readlink(site / "link") == str(tmp_path)
    assert "new" in Page(site / "index.html").text
    assert not list(site.glob("entries/old-*")) and not list(site.glob("thumbnails/*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "site"]  # nothing left over


def test_folder_of_somebody_else_is_refused_unless_forced(tmp_path):
    report, folder = make(tmp_path / "r"), tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="--force"):
        build_site([report], folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    build_site([report], folder, force=True)
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert (folder / "index.html").is_file()


def test_failing_build_leaves_the_old_site(tmp_path, monkeypatch):
    site = tmp_path / "site"
    build_site([make(tmp_path / "a", "a")], site)
    before = files(site)
    real = os.rename

    def rename(source, target):
        if Path(source).name == "new":
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="No space"):
        build_site([make(tmp_path / "b", "b")], site)
    assert files(site) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "site"]


def call(*arguments):
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_command(tmp_path):
    result = call("build", make(tmp_path / "r"), "-o", tmp_path / "deep" / "site", "--title", "T")
    assert (result.exit_code, "1 ranked, 0 listed apart" in result.stdout) == (0, True)
    assert Page(tmp_path / "deep" / "site" / "index.html").text.startswith("T T Final")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["build", "-o", "{tmp}/site"], "Missing argument"),
        (["build", "{tmp}/r"], "Missing option"),
        (["build", "{tmp}/nothing", "-o", "{tmp}/site"], "no such file"),
        (["build", "{tmp}", "-o", "{tmp}/site"], "no report.json"),
        (["build", "{tmp}/bad", "-o", "{tmp}/site"], "bad/report.json: final must be a finite number"),
        (["build", "{tmp}/r", "-o", "{tmp}/r"], "not a site of jdart-board"),
        (["build", "{tmp}/r", "-o", "{tmp}/r/report.json"], "a file"),
    ],
)
def test_misuse_is_one_line_and_exit_2(tmp_path, arguments, part):
    make(tmp_path / "r")
    make(tmp_path / "bad", final=float("nan"))
    result = call(*(one.format(tmp=tmp_path) for one in arguments))
    assert (result.exit_code, part in result.output) == (2, True), result.output
    assert not (tmp_path / "site").exists()


def test_help_needs_no_heavy_imports():
    import subprocess
    import sys

    program = (
        "import sys; from leaderboard.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(len({'pandas', 'jinja2', 'numpy', 'PIL', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, "build" in done.stdout) == (0, True)
