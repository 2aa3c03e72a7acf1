"""Reports as frames, and the CSV files that are written from them, read by pandas itself."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas
import pytest
from click.testing import CliRunner
from made_reports import make_report
from pandas.testing import assert_frame_equal

from contest.disk.spreadsheet import to_csv
from contest.errors import UserError
from evaluator.analysis.cells import read_cells
from evaluator.analysis.compare import compare
from evaluator.analysis.explain import explain
from evaluator.analysis.export import comparison_to_frame, explanation_to_frame
from evaluator.cli import main
from evaluator.frames import read_csv, read_reports
from evaluator.reporting.frame import frame_to_csv
from evaluator.reporting.report import StyleScores
from evaluator.scoring.batch import SUMMARY_COLUMNS, Outcome, summary_of

STYLES = ["00", "NA", "None", "nan", "007", "1e5", "True", "null", "=1+1", "'=1", "-", "画 风", 'a,"b"', " x "]
TEXTS = ("style", "image", "clip_r_top5", "gain_metric", "seen_instead", "figure", "verdict")


@pytest.fixture(scope="module")
def made():
    """A report whose styles are what programs take for something else, and its cells."""
    report, cells = make_report([2] * len(STYLES), name="NA")
    names = dict(zip(report.images, STYLES))
    images = {names[style]: rows for style, rows in report.images.items()}
    images["NA"]["NA"] = images["NA"].pop(next(iter(images["NA"])))
    for rows in images.values():
        for name, scores in rows.items():
            rows[name] = scores if scores.clip_r_correct else replace(scores, clip_r_top5=["NA"])
    styles = {style: StyleScores(0.5, 0.5, 0.25, 0.75, 0.4, 0.5, 1.0, len(rows)) for style, rows in images.items()}
    report = replace(report, images=images, styles=styles, intervals={"final": [0.125, 0.25]})
    return report, replace(cells, styles=tuple(STYLES))


@pytest.fixture
def folder(made, tmp_path):
    """A report folder on disk."""
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / "report.json").write_text(json.dumps(made[0].to_json()))
    for kind in ("styles", "images"):
        (tmp_path / "00" / f"{kind}.csv").write_bytes(frame_to_csv(made[0].to_frame(kind)))
    return tmp_path / "00"


def by_pandas(path, **options):
    """What pandas reads, once it is told which columns are text."""
    return pandas.read_csv(
        path,
        dtype=dict.fromkeys(TEXTS, str),
        keep_default_na=False,
        na_values={"low": [""], "high": [""]},
        float_precision="round_trip",
        **options,
    )


@pytest.mark.parametrize("kind", ["styles", "images"])
def test_the_files_are_the_frames(made, folder, kind):
    frame, read = made[0].to_frame(kind), by_pandas(folder / f"{kind}.csv")
    assert list(frame["style"].unique()) == STYLES
    formulas = {f"'{text}": text for text in ("=1+1", "'=1", "-")}  # spreadsheets shall not calculate
    assert_frame_equal(frame, read.assign(style=read["style"].replace(formulas)))
    assert_frame_equal(frame, read_csv(folder / f"{kind}.csv"))


def test_score_writes_the_bytes_of_the_frames(made):
    columns, rows = list(made[0].to_frame("images")), made[0].rows("images")
    assert frame_to_csv(made[0].to_frame("images")) == to_csv(columns, rows)


def test_reports_together(made, folder):
    frames = read_reports([folder, folder / "report.json"])
    assert list(frames.entries["entry"]) == ["NA", "NA"]
    assert list(frames.entries["report"]) == [str(folder), str(folder / "report.json")]
    assert list(frames.entries["final"]) == [made[0].scores.final] * 2
    assert frames.entries.loc[0, ["final_low", "final_high", "comparable"]].tolist() == [0.125, 0.25, False]
    for kind in ("styles", "images"):
        both = getattr(frames, kind)
        one = both[both["report"] == str(folder)].drop(columns=["entry", "report"])
        assert_frame_equal(one, made[0].to_frame(kind))
        assert len(both) == 2 * len(one)
    mean = frames.images.groupby(["report", "style"])["dino"].mean()
    values = [scores.dino for scores in made[0].images["007"].values()]
    assert mean[str(folder), "007"] == pytest.approx(sum(values) / 2)


def test_no_reports_are_empty_frames():
    frames = read_reports([])
    assert len(frames.entries) == len(frames.styles) == len(frames.images) == 0
    assert frames.images["dino"].dtype == "float64"


def test_another_table_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="take styles or images"):
        made[0].to_frame("pictures")
    path = tmp_path / "x.csv"
    for data in (b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'"', b"a\n1,2\n3,4,5\n"):
        path.write_bytes(data)
        with pytest.raises(UserError, match="name a CSV|take one of jdart-eval") as caught:
            read_csv(path)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(UserError, match=r"none\.csv"):
        read_csv(tmp_path / "none.csv")


def test_a_damaged_figure_is_told(folder):
    path = folder / "styles.csv"
    path.write_bytes(path.read_bytes().replace(b"0.25", b"O.25"))
    with pytest.raises(UserError, match=r"styles\.csv.*O\.25"):
        read_csv(path)


def test_explain_and_compare_print_their_frames(made, folder, tmp_path):
    frames = {
        "explain": explanation_to_frame(explain(*read_cells(folder))),
        "compare": comparison_to_frame(compare(read_cells(folder), read_cells(folder))),
    }
    assert frames["explain"]["missed_at_rank"].isna().any()
    assert "NA" in list(frames["explain"]["seen_instead"])
    assert set(frames["compare"]["style"]) == {"", *STYLES}
    assert frames["compare"]["low"].isna().any()  # FID cannot be resampled here
    for name, frame in frames.items():
        done = CliRunner().invoke(main, [name, *[str(folder)] * (1 + (name == "compare")), "--csv"])
        assert done.exit_code == 0, done.output
        path = tmp_path / f"{name}.csv"
        path.write_text(done.stdout, encoding="utf-8")
        assert_frame_equal(read_csv(path), frame)
        read = by_pandas(path)
        if name == "explain":
            read["missed_at_rank"] = pandas.to_numeric(read["missed_at_rank"]).astype("Int64")
        assert_frame_equal(read, frame)


def test_the_summary_of_a_batch(made, tmp_path):
    report = made[0]
    outcomes = [
        Outcome("00", tmp_path / "=00", "scored", tmp_path / "00", report),
        Outcome("NA", tmp_path / "NA", "refused", tmp_path / "NA", None, ("it is, empty", "-")),
    ]
    (tmp_path / "summary.csv").write_bytes(summary_of(outcomes, tmp_path))
    read = read_csv(tmp_path / "summary.csv")
    assert list(read["entry"]) == ["00", "NA"]
    assert list(read["problems"]) == ["", "it is, empty; -"]
    assert read.loc[0, "final"] == report.scores.final
    assert read["comparable"].tolist() == [False, pandas.NA]
    assert read["final"].isna().tolist() == [False, True]
    assert list(read.columns) == list(SUMMARY_COLUMNS)


def test_pandas_is_loaded_when_a_frame_is_made_and_its_absence_is_told(folder):
    code = (
        "import sys; from evaluator import read_report; import evaluator.frames\n"
        f"report = read_report(__import__('pathlib').Path({str(folder)!r}))\n"
        "assert 'pandas' not in sys.modules; sys.modules['pandas'] = None\n"
        "try: report.to_frame('styles')\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "UserError pandas is not installed; run: pip install 'jdart[eval]'", done.stderr
