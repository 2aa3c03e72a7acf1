"""The site on disk: what is written, kept, replaced and refused."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from read_page import Page
from some_reports import draw, files, make, make_run

from leaderboard import add_to_site, build_site, code
from leaderboard.building import site
from leaderboard.building import swap as swapping
from leaderboard.cli import main
from leaderboard.pages import entry
from leaderboard.reading import found, stamps
from submission import UserError


def inodes(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def changed(before, after):
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def entry_page(folder, name):
    (found,) = folder.glob(f"entries/{name}-??????????.html")
    return found


def test_names_too_long_for_a_disk(tmp_path):
    def change(report):
        report["images"] = {
            "x" * 9000: {"y" * 9000 + ".png": {}},
            "00": {".png": {}, "...": {}, "a.b.png": {}},
        }

    build_site([make(tmp_path / "r", "n" * 9000, change=change)], tmp_path / "site")
    assert max(len(Path(name).name) for name in files(tmp_path / "site")) < 200


def test_equal_reports_give_equal_bytes_in_any_order(tmp_path):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(3)]
    build_site(reports, tmp_path / "a")
    build_site([reports[2], reports[0], reports[1], reports[0]], tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_notes_on_files_change_nothing_but_the_time(tmp_path, cache):
    reports = [make_run(tmp_path / "run", pictures=True), make(tmp_path / "r", "other", pictures=True)]
    build_site(reports, tmp_path / "a")
    assert [path for path in cache.rglob("*") if path.is_file()]
    shutil.rmtree(cache)
    cache.write_text("no folder can be made here")
    for path in (tmp_path / "r" / "thumbnails").rglob("*.webp"):
        os.utime(path, (1, 1))
    before = inodes(tmp_path / "a")
    build_site(reports, tmp_path / "a")
    assert not changed(before, inodes(tmp_path / "a"))


def test_notes_hold_wherever_the_next_build_is_told_from(tmp_path, monkeypatch):
    """`build all` notes files as `all/...`; `add` knows the same ones by their whole path."""
    monkeypatch.setattr(stamps, "SETTLED", 0)
    make(tmp_path / "all" / "a", "one", pictures=True)
    monkeypatch.chdir(tmp_path)
    build_site(["all"], "site")
    monkeypatch.setattr(found, "_describe", lambda _: pytest.fail("a picture that has not changed was read again"))
    (section,) = add_to_site("site")
    assert section.rows[0].report.found.outputs


def test_only_what_changed_is_written(tmp_path):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(6)]
    out = tmp_path / "site"
    build_site(reports, out)
    before = inodes(out)
    (reports[5] / "entry.yaml").write_text("team: Ours")
    build_site(reports, out)
    after = changed(before, inodes(out))
    own = entry_page(out, "entry-5")
    assert own.relative_to(out).as_posix() in after and "Ours" in Page(own).text
    assert {"index.html", "board.json", "board.csv"} <= after
    untouched = {entry_page(out, f"entry-{i}").relative_to(out).as_posix() for i in (0, 1, 2, 3)}
    assert not untouched & after
    assert not any(name.startswith(("thumbnails/", "static/")) for name in after)


def ranks(folder):
    text = (folder / "ranks.js").read_text("utf-8")
    assert text.startswith("jdartRanks(") and text.endswith(");\n")
    return {slug.rpartition("-")[0]: value for slug, value in json.loads(text[11:-3]).items()}


def test_page_of_an_entry_stays_as_it_is_when_its_rank_changes(tmp_path, monkeypatch):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(4)]
    out, made = tmp_path / "site", []
    build_site(reports[:3], out)
    before = inodes(out)
    assert ranks(out) == {"entry-2": ["1"], "entry-1": ["2"], "entry-0": ["3"]}
    details = entry._details
    monkeypatch.setattr(entry, "_details", lambda *one: made.append(one[2].title) or details(*one))
    build_site(reports, out)  # the new one is the best, so that all others move down
    assert made == ["entry 3"]
    assert ranks(out) == {"entry-3": ["1"], "entry-2": ["2"], "entry-1": ["3"], "entry-0": ["4"]}
    pages = {name for name in changed(before, inodes(out)) if name.startswith("entries/")}
    assert {name[8:15] for name in pages} == {"entry-3", "entry-2"}  # the new one, and the one that it stands above
    build_site(reports, tmp_path / "new")
    assert files(out) == files(tmp_path / "new")


def test_details_cut_out_of_a_page_are_made_again(tmp_path):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(2)]
    out = tmp_path / "site"
    build_site(reports[:1], out)
    page = entry_page(out, "entry-0")
    html = page.read_text()
    page.write_text(html.replace("<!-- end of part", "<!-- not of a part"))  # as long as it was
    build_site(reports, out)
    build_site(reports, tmp_path / "new")
    assert files(out) == files(tmp_path / "new")


def test_title_and_language_are_on_every_page(tmp_path):
    report = make(tmp_path / "r")
    build_site([report], tmp_path / "site")
    build_site([report], tmp_path / "site", title="Other", language="zh")
    for path in (tmp_path / "site").rglob("*.html"):
        page = Page(path)
        assert "Other" in page.text and page.all("html")[0]["lang"] == "zh-Hans"
    with pytest.raises(UserError, match="no language"):
        build_site([report], tmp_path / "site", language="xx")


def test_pages_lead_to_the_one_beside_them_and_add_keeps_that(tmp_path):
    report = make(tmp_path / "a", "one")
    build_site([report], tmp_path / "plain")
    plain = entry_page(tmp_path / "plain", "one").read_text("utf-8")
    assert "standing.html" not in plain and "home" not in json.loads(
        (tmp_path / "plain" / ".jdart-board.json").read_text()
    )
    build_site([report], tmp_path / "site", home="standing.html")
    add_to_site(tmp_path / "site", [make(tmp_path / "b", "two")])
    for name in ("one", "two"):
        assert '<a href="../standing.html">' in entry_page(tmp_path / "site", name).read_text("utf-8")
    marker = tmp_path / "site" / ".jdart-board.json"
    marker.write_text(marker.read_text().replace('"standing.html"', '"javascript:x.html"'))
    add_to_site(tmp_path / "site")
    assert "javascript" not in entry_page(tmp_path / "site", "one").read_text("utf-8")


def test_file_of_ours_that_is_cut_short_or_gone_is_made_again(tmp_path):
    report, out = make(tmp_path / "r", pictures=True), tmp_path / "site"
    build_site([report], out)
    before = files(out)
    (out / "index.html").write_text("")  # as a power cut may leave it
    entry_page(out, "demo").unlink()
    next(out.glob("thumbnails/*")).unlink()
    build_site([report], out)
    assert files(out) == before


def test_reader_never_finds_half_a_site(tmp_path):
    reports = [make(tmp_path / str(i), f"entry {i}", i / 10, pictures=True) for i in range(2)]
    out, stop, seen = tmp_path / "site", threading.Event(), []
    build_site(reports, out)
    kept = next(out.glob("thumbnails/*"))

    def read():
        while not stop.is_set():
            try:
                seen.append((json.loads((out / "board.json").read_text())["title"], kept.read_bytes()[:4]))
            except Exception as error:
                seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for i in range(10):
            build_site(reports, out, title=f"number {i}")
    finally:
        stop.set()
        reader.join()
    assert {one for one in seen if not isinstance(one, tuple)} == set()
    assert {part for _, part in seen} == {b"RIFF"}
    order = [title for title, _ in seen]
    assert order == sorted(order, key=lambda title: ("number" in title, title))  # never back to an older one


@pytest.mark.parametrize("exchange", [True, False])
def test_swap_gives_each_place_what_is_at_the_other(tmp_path, monkeypatch, exchange):
    if not exchange:  # as on other systems
        monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    swapping.swap(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name / "file").read_text() for name in "ab"] == ["b", "a"]
    with pytest.raises(OSError):
        swapping.swap(tmp_path / "a", tmp_path / "nothing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_rebuild_where_the_system_cannot_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    reports = [make(tmp_path / str(i), f"entry {i}", pictures=True) for i in range(2)]
    build_site(reports[:1], tmp_path / "a")
    (tmp_path / "a" / "CNAME").write_text("board.example")
    build_site(reports, tmp_path / "a")
    assert (tmp_path / "a" / "CNAME").read_text() == "board.example"
    (tmp_path / "a" / "CNAME").unlink()
    build_site(reports, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "a", "b"]


def test_rebuild_removes_what_is_ours_and_keeps_what_is_not(tmp_path):
    site, old = tmp_path / "site", make(tmp_path / "old", "old", pictures=True)
    build_site([old], site)
    (site / "CNAME").write_text("board.example")
    (site / "entries" / "notes").mkdir()
    (site / "entries" / "notes" / "mine.txt").write_text("mine")
    (site / "link").symlink_to(tmp_path)
    (site / ".git" / "refs" / "tags").mkdir(parents=True)
    (site / "thumbnails" / "mine.webp").write_text("mine too")
    (site / "index.html").write_text("edited by hand, but ours")
    build_site([make(tmp_path / "new", "new")], site)
    assert (site / "CNAME").read_text() == "board.example"
    assert (site / "entries" / "notes" / "mine.txt").read_text() == "mine"
    assert os.readlink(site / "link") == str(tmp_path)
    assert (site / ".git" / "refs" / "tags").is_dir()
    assert "new" in Page(site / "index.html").text
    assert not list(site.glob("entries/old-*")) and [path.name for path in site.glob("thumbnails/*")] == ["mine.webp"]
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


def test_what_is_in_the_way_is_said_and_stays(tmp_path):
    report, folder = make(tmp_path / "r"), tmp_path / "home"
    folder.mkdir()
    (folder / "entries").write_text("a file where a folder of ours must be")
    (folder / "index.html").mkdir()
    with pytest.raises(UserError, match="entries: is in the way"):
        build_site([report], folder, force=True)
    (folder / "entries").unlink()
    with pytest.raises(UserError, match="index.html: is in the way"):
        build_site([report], folder, force=True)
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    (folder / "index.html").rmdir()
    build_site([report], folder, force=True)
    assert (folder / "entries").is_dir()


@pytest.mark.parametrize("pictures", [True, False])
def test_failing_build_leaves_the_old_site(tmp_path, monkeypatch, pictures):
    out = tmp_path / "site"
    build_site([make(tmp_path / "a", "a", pictures=pictures)], out)
    draw(make(tmp_path / "b", "b", pictures=True) / "thumbnails" / "outputs" / "01" / "Sun.webp", 40, "yellow")
    before = files(out)

    def full(one, other):
        raise OSError(28, "No space left on device", str(one))

    monkeypatch.setattr(site, "swap", full)
    with pytest.raises(OSError, match="No space"):
        build_site([tmp_path / "b"], out)
    assert files(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "site"]


def test_add_builds_from_what_the_site_was_built_from(tmp_path):
    root = tmp_path / "all"
    make_run(root / "runs" / "one", "one", 0.1)
    make(root / "lone", "two", 0.2)
    build_site([root / "runs", root / "lone"], root / "site", title="T", language="zh")
    (section,) = add_to_site(root / "site", [make(root / "more", "three", 0.3)])
    assert [row.title for row in section.rows] == ["three", "two", "one"]
    make_run(root / "runs" / "deep" / "four", "four", 0.4)
    root.rename(tmp_path / "moved")  # site and reports together
    root = tmp_path / "moved"
    assert [row.title for row in add_to_site(root / "site")[0].rows] == ["four", "three", "two", "one"]
    page = Page(root / "site" / "index.html")
    assert page.text.startswith("T ") and page.all("html")[0]["lang"] == "zh-Hans"
    assert str(tmp_path) not in (root / "site" / ".jdart-board.json").read_text()


def test_add_says_what_is_gone_and_forgets_it_when_told(tmp_path):
    gone = make(tmp_path / "gone", "gone", pictures=True)
    build_site([gone, make(tmp_path / "a", "a")], tmp_path / "site")
    shutil.rmtree(gone)
    before = files(tmp_path / "site")
    with pytest.raises(UserError, match=r"gone: .*/gone; bring them back, or .*--forget"):
        add_to_site(tmp_path / "site", [make(tmp_path / "b", "b")])
    assert files(tmp_path / "site") == before
    (section,) = add_to_site(tmp_path / "site", [tmp_path / "b"], forget=True)
    assert {row.title for row in section.rows} == {"a", "b"}
    assert not list((tmp_path / "site").glob("entries/gone-*"))


def test_add_to_what_is_no_site_or_an_old_one(tmp_path):
    report = make(tmp_path / "r")
    with pytest.raises(UserError, match="not a site of jdart-board; make one"):
        add_to_site(tmp_path, [report])
    out = tmp_path / "site"
    out.mkdir()
    (out / "index.html").write_text("of the first version")
    (out / ".jdart-board.json").write_text('{"schema_version": 1, "files": ["index.html", "thumbnails/x.webp"]}')
    with pytest.raises(UserError, match="build it again"):
        add_to_site(out, [report])
    build_site([report], out)  # which an older site allows
    assert "demo" in Page(out / "index.html").text


def test_folder_of_folders_is_searched(tmp_path):
    root = tmp_path / "all"
    for place in ("a", "b/c/run", "b/d/e"):
        make_run(root / place, place)
    make(root / ".hidden", "hidden")
    make(root / "a" / "images" / "x", "below a run")
    build_site([root / "a"], root / "site")
    shutil.copytree(root / "a", root / "site" / "in a site")
    (root / "loop").symlink_to(root)
    (section,) = build_site([root, root / "a"], tmp_path / "site")
    assert {row.title for row in section.rows} == {"a", "b/c/run", "b/d/e"}


def call(*arguments):
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_command(tmp_path):
    result = call("build", make(tmp_path / "r"), "-o", tmp_path / "deep" / "site", "--title", "T")
    assert (result.exit_code, "1 ranked, 0 listed apart" in result.stdout) == (0, True)
    result = call("add", tmp_path / "deep" / "site", make(tmp_path / "s", "s"))
    assert (result.exit_code, "2 ranked, 0 listed apart" in result.stdout) == (0, True)
    assert Page(tmp_path / "deep" / "site" / "index.html").text.startswith("T ")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["build", "-o", "{tmp}/site"], "Missing argument"),
        (["build", "{tmp}/r"], "Missing option"),
        (["build", "{tmp}/nothing", "-o", "{tmp}/site"], "no such file"),
        (["build", "{tmp}/empty", "-o", "{tmp}/site"], "no report.json"),
        (["build", "{tmp}/empty", "{tmp}/r", "-o", "{tmp}/site"], "no report.json"),
        (["build", "{tmp}", "-o", "{tmp}/site"], "bad/report.json: final must be a finite number"),
        (["build", "{tmp}/r", "-o", "{tmp}/site", "--lang", "fr"], "'fr' is not one of"),
        (["add", "{tmp}/r", "{tmp}/r"], "not a site of jdart-board"),
        (["serve", "{tmp}/empty"], "no report.json"),
        (["serve", "{tmp}/nothing"], "no such file"),
        (["build", "{tmp}/bad", "-o", "{tmp}/site"], "bad/report.json: final must be a finite number"),
        (["build", "{tmp}/r", "-o", "{tmp}/r"], "not a site of jdart-board"),
        (["build", "{tmp}/r", "-o", "{tmp}/r/report.json"], "a file"),
    ],
)
def test_misuse_is_one_line_and_exit_2(tmp_path, arguments, part):
    make(tmp_path / "r")
    make(tmp_path / "bad", final=float("nan"))
    (tmp_path / "empty").mkdir()
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


def test_stop_between_the_two_exchanges_loses_nothing(tmp_path, monkeypatch):
    out, reports = tmp_path / "site", [make(tmp_path / str(i), f"entry {i}", pictures=True) for i in range(2)]
    build_site(reports[:1], out)
    (out / "CNAME").write_text("board.example")
    real, calls = site.swap, []

    def stopped(one, other):
        calls.append(one)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(one, other)

    monkeypatch.setattr(site, "swap", stopped)
    with pytest.raises(KeyboardInterrupt):
        build_site(reports, out)
    monkeypatch.setattr(site, "swap", real)
    assert "entry 1" in Page(out / "index.html").text
    assert all(path.read_bytes()[:4] == b"RIFF" for path in out.glob("thumbnails/*")) and list(out.glob("thumbnails/*"))
    (left,) = tmp_path.glob(".site.*.part")
    assert (left / "new" / "CNAME").read_text() == "board.example"
    build_site(reports, out)
    build_site(reports, tmp_path / "other")
    assert files(out) == files(tmp_path / "other") and not (out / "thumbnails").is_symlink()


def test_all_code_of_the_board_is_in_the_digest_of_its_pages(tmp_path, monkeypatch):
    package = shutil.copytree(code._HERE, tmp_path / "board", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "_HERE", package)
    before = code.code_digest.__wrapped__()
    for path in sorted(package.rglob("*.py")):
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        assert code.code_digest.__wrapped__() != before, path
        path.write_bytes(kept)
