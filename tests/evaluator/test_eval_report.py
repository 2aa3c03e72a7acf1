from __future__ import annotations

import copy
import csv
import html
import io
import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Console

from contest.errors import UserError
from evaluator import read_report, score_submission
from evaluator.analysis.cells import read_cells
from evaluator.analysis.compare import compare
from evaluator.reporting.report import report_from_json
from evaluator.reporting.table import show_report


@pytest.fixture(scope="module")
def written(pack, contest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "report"
    report = score_submission(
        contest / "outputs", references=contest / "references", weights=pack, out=folder, styles=["01"]
    )
    return folder, report


def test_report_json_reads_back(written):
    folder, report = written
    data = json.loads((folder / "report.json").read_text("utf-8"))
    assert data["schema_version"] == 1
    assert list(data["scores"]) == [
        "dino",
        "hist",
        "fid",
        "lpips",
        "clip_iqa",
        "clip_r",
        "style",
        "text",
        "quality",
        "final",
    ]
    assert read_report(folder / "report.json") == report
    # what a later version adds is passed over
    data["provenance"]["mood"] = "good"
    assert report_from_json(data) == report


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((), [], "schema_version"),
        (("schema_version",), 2, "schema_version"),
        (("scores", "final"), None, "scores.final"),
        (("scores", "final"), "0.5", "scores.final"),
        (("scores", "final"), True, "scores.final"),
        (("scores", "final"), float("nan"), "scores.final"),
        (("styles",), [], "report.styles"),
        (("styles", "01"), 3, "styles.01"),
        (("images", "01", "Owl.png", "clip_r_top5"), "owl", "clip_r_top5"),
        (("provenance", "references"), None, "provenance.references"),
        (("contest",), 5, "report.contest"),
    ],
)
def test_broken_reports_name_the_field(written, path, value, words):
    data = copy.deepcopy(written[1].to_json())
    if path:
        target = data
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value
    else:
        data = value
    with pytest.raises(ValueError, match=words):
        report_from_json(data)


def test_a_broken_file_is_a_user_error(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(UserError, match="not a report of jdart-eval"):
        read_report(tmp_path / "report.json")


def test_tables_hold_the_same_figures(written):
    folder, report = written
    with open(folder / "images.csv", newline="", encoding="utf-8-sig") as stream:
        rows = {(row["style"], row["image"]): row for row in csv.DictReader(stream)}
    assert set(rows) == {("01", name) for name in report.images["01"]}
    scores = report.images["01"]["Ice cream.png"]
    row = rows["01", "Ice cream.png"]
    assert float(row["dino"]) == scores.dino
    assert row["clip_r_top5"].split("|") == scores.clip_r_top5
    with open(folder / "styles.csv", newline="", encoding="utf-8-sig") as stream:
        (style,) = csv.DictReader(stream)
    assert (style["style"], int(style["images"])) == ("01", 6)
    assert float(style["lpips"]) == report.styles["01"].lpips


def test_thumbnails_are_for_every_picture_and_only_written_once(written, pack, contest):
    folder, _ = written
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.webp"))
    assert len(found) == 4 + 6
    assert "thumbnails/outputs/01/Ice cream.webp" in found
    assert "thumbnails/references/01/dragon_fly.webp" in found
    with Image.open(folder / "thumbnails/outputs/01/Sun.webp") as image:
        assert image.size == (160, 160)
    before = {name: (folder / name).stat().st_mtime_ns for name in [*found, "images.csv", "styles.csv"]}
    score_submission(contest / "outputs", references=contest / "references", weights=pack, out=folder, styles=["01"])
    assert before == {name: (folder / name).stat().st_mtime_ns for name in before}
    assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]


def test_pictures_that_say_they_were_post_processed_are_counted_and_change_no_figure(outputs, contest, pack, tmp_path):
    def scored(name):
        return score_submission(
            outputs, references=contest / "references", weights=pack, styles=["01"], out=tmp_path / name
        )

    plain = scored("plain")
    assert "post_processed" not in json.loads((tmp_path / "plain" / "report.json").read_text("utf-8"))["provenance"]
    said = {"Owl.png": ("jdart", json.dumps({"colour": {"finish": {"strength": 1.0}}}))}
    said["Sun.png"] = ("parameters", "a sun\nSteps: 20, Post-processing: colour finish 0.5, Version: jdart 1.0")
    for name, (key, text) in said.items():
        notes = PngInfo()
        notes.add_text(key, text)
        with Image.open(outputs / "01" / name) as image:
            image.save(outputs / "01" / name, pnginfo=notes)
    marked = scored("marked")
    assert (marked.scores, marked.images, marked.intervals) == (plain.scores, plain.images, plain.intervals)
    assert json.loads((tmp_path / "marked" / "report.json").read_text("utf-8"))["provenance"]["post_processed"] == 2
    assert read_report(tmp_path / "marked") == marked
    line = "Post-processed: 2 of 6 pictures, by their own account; an edition's rules may forbid it"
    console = Console(width=120, file=io.StringIO())
    show_report(marked, console)
    assert line in console.file.getvalue()
    assert html.escape(line) in marked._repr_html_()
    a, b = read_cells(tmp_path / "plain"), read_cells(tmp_path / "marked")
    assert f"B: {line}" in compare(a, b).notes
    assert not [note for note in compare(a, a).notes if "ost-processed" in note]
