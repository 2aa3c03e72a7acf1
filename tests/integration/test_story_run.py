"""A story from pictures to a checked archive: eight prompts, Chinese among them, a gate, and a part told anew."""

import csv
import json
import zipfile

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

import submission
from evaluator.cli import main as evaluate

PARTS = ["二次元，一个紫色短发小女孩", *(f"part {number}, of a day" for number in range(2, 9))]


@pytest.fixture
def story(config, tmp_path, contest):
    """Path of a configuration; call with the parts, and the gate of its contest."""

    def write(parts=PARTS, gate=4.0, **changes):
        (tmp_path / "story.yaml").write_text(yaml.safe_dump(parts, allow_unicode=True), "utf-8")
        rules = {"pictures": 8, "rows": 4, "columns": 2, "cell": 16, "aesthetic": gate}
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"name": "tale", "story": rules}))
        changed = {"contest": str(tmp_path / "rules.yaml"), "story": str(tmp_path / "story.yaml"), "styles": ["00"]}
        data = {"size": 32, "template": "{object}, style_{id}"}
        return config(**changed, data=data, generate={"strength": None, "negative_prompt": "ugly"}, **changes)

    return write


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def notes(path):
    with Image.open(path) as image:
        return json.loads(image.text["jdart"])


def test_the_whole_way_and_a_part_told_anew(story, jdart, tmp_path):
    result = jdart("run", story())
    assert result.exit_code == 0, result.output
    images = tmp_path / "out" / "images"
    names = [f"{number:02d}.png" for number in range(1, 9)]
    assert sorted(path.name for path in images.iterdir()) == [*names, "prompts.csv", "sheet.png"]
    rows = list(csv.reader((images / "prompts.csv").read_text("utf-8-sig").splitlines()))
    assert rows == [["file", "prompt"], *([name, f"{part}, style_00"] for name, part in zip(names, PARTS))]
    assert [notes(images / name)["prompt"] for name in names] == [row[1] for row in rows[1:]]
    each = [pixels(images / name) for name in names]  # as the contest's notebook joins them
    joined = np.concatenate([np.concatenate(each[place : place + 2], axis=1) for place in range(0, 8, 2)], axis=0)
    sheet = Image.fromarray(joined).resize((32, 64))
    assert (pixels(images / "sheet.png") == np.asarray(sheet)).all()

    scores = json.loads((tmp_path / "out" / "report" / "aesthetic.json").read_text())
    assert sorted(scores["pictures"]) == names
    assert scores["mean"] == pytest.approx(np.mean([one["score"] for one in scores["pictures"].values()]))
    assert scores["reasons"] == ["miniature weights: the figures check the arithmetic, not the pictures"]
    rules = submission.load_contest(tmp_path / "rules.yaml")
    assert submission.verify(tmp_path / "out" / "entry.zip", rules) == []
    with zipfile.ZipFile(tmp_path / "out" / "entry.zip") as archive:
        assert {*names, "prompts.csv", "sheet.png"} < set(archive.namelist())
    again = jdart("run", story())
    assert again.exit_code == 0
    assert "nothing was done" in again.output
    assert jdart("redraw", images / "01.png", "--output", tmp_path / "again.png").exit_code == 0
    assert (tmp_path / "again.png").read_bytes() == (images / "01.png").read_bytes()

    before = {name: (images / name).read_bytes() for name in names}
    changed = [*PARTS[:2], {"prompt": PARTS[2], "seed": 7, "negative_prompt": "dull"}, *PARTS[3:]]
    result = jdart("run", story(changed))
    assert result.exit_code == 0, result.output
    assert [name for name in names if (images / name).read_bytes() != before[name]] == ["03.png"]
    assert notes(images / "03.png")["negative_prompt"] == "dull"
    kept = list((tmp_path / "out" / "earlier").glob("*/images/03.png"))
    assert [path.read_bytes() for path in kept] == [before["03.png"]]

    longer = [*changed, "and so to bed"]
    assert jdart("run", story(longer)).exit_code == 0
    assert pixels(images / "sheet.png").shape == (80, 32, 3)
    assert jdart("run", story(changed)).exit_code == 0
    assert not (images / "09.png").exists()
    assert len(list((tmp_path / "out" / "earlier").glob("*/images/09.png"))) == 1


def test_a_gate_that_fails_names_the_pictures(story, jdart, tmp_path):
    result = jdart("run", story(gate=9.0))
    assert result.exit_code == 2
    error = result.output[result.output.index("error:") :]
    assert error.count("\n") == 1
    scores = json.loads((tmp_path / "out" / "report" / "aesthetic.json").read_text())
    for name, one in scores["pictures"].items():
        assert f"{name} {one['score']:.2f} (by {9 - one['score']:.2f})" in error
    assert not (tmp_path / "out" / "entry.zip").exists()

    given = [str(tmp_path / "out"), "--contest", str(tmp_path / "rules.yaml")]
    said = CliRunner().invoke(evaluate, ["aesthetic", *given])
    assert said.exit_code == 1
    assert "below the gate of 9" in said.output
    assert "03.png" in said.output
    story(gate=1.0)
    assert CliRunner().invoke(evaluate, ["aesthetic", *given]).exit_code == 0


def test_a_head_that_is_not_there_is_missed_before_the_training(story, jdart, models, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    for path in (models / "weights").iterdir():
        if path.name != "aesthetic":
            (weights / path.name).symlink_to(path)
    result = jdart("run", story(score={"weights": str(weights)}))
    assert result.exit_code == 2
    assert "weights pull" in result.output
    assert "--with aesthetic" in result.output
    assert not (tmp_path / "out" / "lora").exists()
