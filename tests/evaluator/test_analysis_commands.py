from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from made_reports import bound, make_report, write
from PIL import Image
from rich.console import Console

from contest.console import Group
from evaluator.analysis.cells import read_cells
from evaluator.analysis.compare import compare
from evaluator.analysis.explain import explain
from evaluator.analysis.plots import draw_comparison, draw_explanation
from evaluator.analysis.tables import show_comparison, show_explanation
from evaluator.commands.compare import command as compare_command
from evaluator.commands.explain import command as explain_command
from evaluator.reporting.report import Pictures
from evaluator.scoring.formula import TERMS


@pytest.fixture(scope="module")
def a(tmp_path_factory):
    return write(tmp_path_factory.mktemp("a") / "report", make_report([6, 6], seed=1, name="first"))


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    return write(tmp_path_factory.mktemp("b") / "report", make_report([6, 6], seed=2, name="second"))


@pytest.fixture(scope="module")
def bounded(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bounded") / "report", bound(make_report([6, 6], seed=1, name="first")))


def run(*args):
    group = Group(commands=[explain_command, compare_command])
    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 always keeps them apart
        runner = CliRunner()
    return runner.invoke(group, [str(arg) for arg in args])


def screen(show, width):
    stream = io.StringIO()
    show(Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


def test_explain_shows_styles_gains_and_misses(a):
    result = run("explain", a, "--top", 3)
    report, cells = read_cells(a)
    found = explain(report, cells)
    assert result.exit_code == 0, result.output
    for words in (
        "first on sample, profile official-2024",
        f"Final {report.scores.final:.6f}",
        "the networks are mini",
    ):
        assert words in result.stdout
    assert f"{1000 * found.styles[1].share:.2f}" in result.stdout
    assert f"+{1000 * found.gains[2].gain:.3f}" in result.stdout
    assert f"+{1000 * found.gains[3].gain:.3f}" not in result.stdout
    assert f"CLIP-R misses: {len(found.misses)} of 12" in result.stdout


def test_explain_json_is_the_whole_explanation(a):
    result = run("explain", a, "--json", "--top", 2)
    data = json.loads(result.stdout)
    assert result.stderr == ""
    assert sum(row["share"] for row in data["pictures"]) == pytest.approx(data["scores"]["final"])
    assert len(data["gains"]) == 2
    assert data["misses"][0]["seen"][0] == "whale"
    assert data["not_comparable_because"] == ["the networks are miniature"]


def test_explain_csv_has_a_row_for_each_picture(a):
    result = run("explain", a, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    report, cells = read_cells(a)
    assert [(row["style"], row["image"]) for row in rows] == cells.keys
    for row in rows:
        assert sum(float(row[term]) for term in TERMS) == pytest.approx(float(row["share"]))
        miss = not report.images[row["style"]][row["image"]].clip_r_correct
        assert (row["missed_at_rank"], row["seen_instead"][:12]) == (("9", "whale|shark|") if miss else ("", ""))
    gains = {(gain.style, gain.name): gain.gain for gain in explain(report, cells).gains}
    assert {(row["style"], row["image"]): float(row["gain"]) for row in rows} == gains


def headroom_lines(output):
    """The rows of the table as lists of words: the whole entry's and the styles'."""
    lines = [line.split() for line in output.split("reached")[1].split("Pictures whose")[0].splitlines()]
    rows = [words for words in lines if len(words) == 7]
    return [words for words in rows if words[0] == "all"], [words for words in rows if words[0] in ("00", "01")]


def test_explain_shows_the_headroom_greatest_gain_first(bounded):
    rows = json.loads(run("explain", bounded, "--json").stdout)["headroom"]
    assert len(rows) == 6 + 2 * 5
    whole, styles = headroom_lines(run("explain", bounded, "--top", 4).stdout)
    assert (len(whole), len(styles)) == (6, 4)
    assert "The 6 smallest gains of styles are left out" in run("explain", bounded, "--top", 4).stdout
    assert "left out" not in run("explain", bounded).stdout
    assert len(headroom_lines(run("explain", bounded).stdout)[1]) == 10
    for shown, of in ((whole, [row for row in rows if row["style"] is None]), (styles, rows[6:])):
        best = sorted(of, key=lambda row: -row["gain"])[: len(shown)]
        for words, row in zip(shown, best):
            style, metric = "all" if row["style"] is None else row["style"], row["metric"].replace("_", "-")
            assert [words[0], words[1].lower()] == [style, metric]
            figures = [f"{row['now']:.4f}", f"{row['bound']:.4f}", f"{100 * row['reached']:.1f}", "%"]
            assert words[2:] == [*figures, f"{1000 * row['gain']:+.2f}"]
    dino = {row["style"]: row["bound"] for row in rows if row["metric"] == "dino"}
    assert dino == pytest.approx({None: 0.605, "00": 0.6, "01": 0.61})


def test_a_report_without_bounds_says_what_to_do(a):
    result = run("explain", a)
    assert result.exit_code == 0
    said = "Headroom: no bounds beside the report (fid_features.npz); score the entry again: jdart-eval score"
    assert said in " ".join(result.stdout.split())
    assert "reached" not in result.stdout
    assert json.loads(run("explain", a, "--json").stdout)["headroom"] == []


def test_headroom_is_no_part_of_the_csv(a, bounded):
    assert run("explain", a, "--csv").stdout == run("explain", bounded, "--csv").stdout


def test_compare_shows_figures_and_styles(a, b):
    result = run("compare", a, b)
    assert result.exit_code == 0, result.output
    found = compare(read_cells(a), read_cells(b))
    for row in found.differences:
        if row.style is None or row.figure == "final":
            line = f"{row.difference:+.4f}   {row.low:+.4f} to {row.high:+.4f}   {row.verdict}"
            assert line in result.stdout
    assert "A and B: Not comparable" in result.stdout


def test_compare_json_and_csv_agree(a, b):
    data = json.loads(run("compare", a, b, "--json", "--seed", 5).stdout)
    rows = list(csv.DictReader(io.StringIO(run("compare", a, b, "--csv", "--seed", 5).stdout)))
    assert len(rows) == len(data["differences"]) == 10 + 2 * 9
    for row, other in zip(rows, data["differences"]):
        assert row["style"] == ("" if other["style"] is None else other["style"])
        assert [float(row[key]) for key in ("a", "b", "low", "high")] == [
            other[key] for key in ("a", "b", "low", "high")
        ]
    assert (data["seed"], data["resamples"], data["cells"]) == (5, 1000, 12)
    assert data["differences"] != json.loads(run("compare", a, b, "--json").stdout)["differences"]


def test_compare_refuses_what_is_not_alike_unless_forced(a, tmp_path):
    report, cells = make_report([6, 5], seed=2)
    other = write(tmp_path / "other", (replace(report, profile="official-2025"), cells))
    result = run("compare", a, other)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "profile official-2024 against official-2025; the pictures differ: 1 only in A" in result.stderr
    result = run("compare", a, other, "--force")
    assert result.exit_code == 0
    assert "Note: forced: profile official-2024 against official-2025" in result.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("explain", "{a}", "--json", "--csv"), "--json and --csv"),
        (("compare", "{a}", "{b}", "--json", "--csv"), "--json and --csv"),
        (("explain", "{a}", "--plot", "{t}/out.jpg"), "ends in .png"),
        (("compare", "{a}", "{b}", "--plot", "{t}/out"), "ends in .png"),
        (("explain", "{t}/nothing"), "no such file"),
        (("explain", "{t}"), "no report.json"),
        (("compare", "{a}", "{t}/nothing"), "no such file"),
        (("explain", "{a}", "--top", "0"), "--top"),
        (("compare", "{a}", "{b}", "--seed", "-1"), "--seed"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(a, b, tmp_path, args, words):
    result = run(*(arg.format(a=a, b=b, t=tmp_path) for arg in args))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


def test_plots_are_pictures_and_say_so_only_beside_a_table(a, b, tmp_path):
    for args in (("explain", a), ("compare", a, b)):
        path = tmp_path / f"{args[0]}.png"
        assert f"plot: {path}" in run(*args, "--plot", path).stdout.replace("\n", "")
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width == 1560
        path.unlink()
        json.loads(run(*args, "--json", "--plot", path).stdout)
        assert path.is_file()


def test_the_plot_of_an_explanation_shows_its_figures(a):
    found = explain(*read_cells(a))
    shares, gains = draw_explanation(found, 4).axes
    widths = [patch.get_width() for patch in shares.patches]
    assert len(widths) == 2 * len(TERMS)
    assert sum(widths) == pytest.approx(1000 * found.scores.final)
    assert [patch.get_width() for patch in gains.patches] == pytest.approx([1000 * g.gain for g in found.gains[:4]])
    title = draw_explanation(found, 4).texts[0].get_text()
    for words in ("first on sample, profile official-2024", f"{found.scores.final:.6f}", "the networks are miniature"):
        assert words in title


def test_the_plot_shows_the_headroom_below(bounded, tmp_path):
    found = explain(*read_cells(bounded))
    *_, whole, styles = draw_explanation(found, 4).axes
    for axes, rows in ((whole, found.headroom[:6]), (styles, found.headroom[6:])):
        gains = sorted((1000 * row.gain for row in rows), reverse=True)
        assert [patch.get_width() for patch in axes.patches] == pytest.approx(gains[: len(axes.patches)])
        assert len(axes.patches) == {6: 6, 10: 4}[len(rows)]
    row = max(found.headroom[:6], key=lambda row: row.gain)
    assert whole.texts[0].get_text() == f"{row.now:.4f} → {row.bound:.4f}, {100 * row.reached:.1f} % reached"
    assert run("explain", bounded, "--plot", tmp_path / "out.png").exit_code == 0


def test_the_plot_of_a_comparison_shows_differences_and_intervals(a, b):
    found = compare(read_cells(a), read_cells(b))
    figure = draw_comparison(found)
    drawn = [sorted(line.get_xdata()) for axes in figure.axes for line in axes.lines]
    for row in found.differences:
        if row.style is None or row.figure == "final":
            assert [row.difference] in drawn
            assert [row.low, row.high] in drawn
    title = figure.texts[0].get_text()
    for words in ("B second", "against A first", "on sample, profile official-2024", "A and B: Not comparable"):
        assert words in title


def test_names_are_shown_as_they_are(tmp_path):
    name = "[red]$x$ \x1b[31m 测试 \ud800" + "long " * 30
    report, cells = make_report([3, 3])
    report = replace(report, submission=Pictures(name, "ab" * 32), contest="$\\frac$ [/]")
    folder = write(tmp_path / "report", (report, cells))
    for args in (("explain", folder), ("compare", folder, folder)):
        for kind in ("--json", "--csv"):
            assert run(*args, kind).exit_code == 0
        result = run(*args, "--plot", tmp_path / "out.png")
        assert result.exit_code == 0, result.output
        assert "[red]$x$ ?[31m 测试 ?long" in result.stdout
        assert "$\\frac$ [/]" in result.stdout


def test_entries_without_differences_gains_or_misses_are_drawn(tmp_path):
    one = write(tmp_path / "report", make_report([1, 1], hits=1.0))
    result = run("explain", one, "--plot", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert "No picture would gain" in result.stdout
    assert "every picture shows its prompt" in result.stdout
    result = run("compare", one, one, "--plot", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert "unknown" in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_tables_of_a_whole_board_fit_the_screen(width):
    made, other = (bound(make_report([25] * 28, seed=seed)) for seed in (0, 1))
    found = explain(*made)
    comparison = compare(made, other, resamples=50)
    for text in (
        screen(lambda console: show_explanation(found, 20, console), width),
        screen(lambda console: show_comparison(comparison, console), width),
    ):
        assert max(len(line) for line in text.splitlines()) <= width
        assert "…" not in text


def test_help_is_instant():
    code = (
        "import sys, evaluator.commands.explain, evaluator.commands.compare; "
        "print([name for name in ('numpy', 'matplotlib', 'rich', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
