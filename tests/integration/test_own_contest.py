"""A contest that is one YAML, with its prompts nowhere else: drawn, checked, scored, packed."""

import json
import shutil

import pytest
import yaml
from click.testing import CliRunner

from contest.reading import load_contest
from evaluator.cli import main as evaluate
from submission import verify
from submission.cli import main as submit

RULES = {
    "name": "garden",
    "version": "2031",
    "references": 3,
    "styles": {"ink": ["Rose", "Tulip", "Oak"], "oil paint": ["Elm", "Rose"]},
    "size": [32, 32],
}


@pytest.fixture
def garden(tmp_path, contest):
    """The file. Its references are the pictures of the small contest, without a prompt.json."""
    (contest / "00").rename(contest / "ink")
    (contest / "01").rename(contest / "oil paint")
    for style in RULES["styles"]:
        (contest / style / "prompt.json").unlink()
    path = tmp_path / "garden.yaml"
    path.write_text(yaml.safe_dump(RULES))
    return path


def test_the_whole_way(garden, config, jdart, contest, models, tmp_path):
    out = tmp_path / "out"
    result = jdart("run", config(contest=str(garden)))
    assert result.exit_code == 0, result.output
    drawn = {path.parent.name: sorted(p.stem for p in path.parent.iterdir()) for path in out.glob("images/*/*.png")}
    assert drawn == {style: sorted(prompts) for style, prompts in RULES["styles"].items()}
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["contest"] == "garden" and report["scores"]["final"] > 0
    assert verify(out / "entry.zip", load_contest(garden)) == []
    alone = CliRunner().invoke(submit, ["check", str(out)])
    assert alone.exit_code == 0, alone.output

    shutil.copy(out / "entry.zip", tmp_path / "sent.zip")
    given = ["--references", str(contest), "--weights", str(models / "weights"), "--out", str(tmp_path / "report")]
    refused = CliRunner().invoke(evaluate, ["score", str(tmp_path / "sent.zip"), *given])
    assert refused.exit_code == 2 and "prompt.json" in refused.output
    scored = CliRunner().invoke(evaluate, ["score", str(tmp_path / "sent.zip"), *given, "--contest", str(garden)])
    assert scored.exit_code == 0, scored.output
    assert json.loads((tmp_path / "report" / "report.json").read_text())["scores"] == report["scores"]


def test_an_entry_of_another_contest_is_told(garden, config, jdart, tmp_path):
    assert jdart("run", config(contest=str(garden), score={"weights": None})).exit_code == 0
    changed = {**RULES, "styles": {**RULES["styles"], "ink": ["Rose", "Tulip", "Ash"]}}
    garden.write_text(yaml.safe_dump(changed))
    found = CliRunner().invoke(submit, ["check", str(tmp_path / "out")])
    assert found.exit_code == 1
    assert "Ash.png" in found.output and "Oak.png" in found.output
