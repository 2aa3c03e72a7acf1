"""The command as a person meets it: what it prints, where it writes, one clear line for all that is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fixture_contest import zip_outputs

from evaluator.cli import main
from evaluator.weights import folder as files


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def refusal(*arguments: object) -> str:
    """The one line of a misuse."""
    result = run("score", *arguments)
    assert result.exit_code == 2, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("error: ")
    return lines[0]


def test_score_shows_a_table_and_writes_beside_the_folder(pack, references, outputs):
    result = run("score", outputs, "--references", references, "--weights", pack)
    assert result.exit_code == 0, result.output
    for words in ("official-2024", "95 %", "KID", "DINO", "LPIPS", "CLIP-IQA", "0.4999", "3.0137", "0.235513"):
        assert words in result.output
    assert "Not comparable" in result.output
    assert "miniature" in result.output
    folder = outputs.with_name("outputs-report")
    assert str(folder / "report.json") in result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "fid_features.npz",
        "images.csv",
        "report.json",
        "styles.csv",
        "thumbnails",
    ]
    assert sorted(path.name for path in outputs.iterdir()) == ["00", "01"]


def test_findings_are_listed_and_end_with_1(pack, references, outputs):
    (outputs / "00" / "Dolphin.png").unlink()
    (outputs / "01" / "Owl.png").write_bytes(b"")
    result = run("score", outputs, "--references", references, "--weights", pack)
    assert result.exit_code == 1
    assert "00/Dolphin.png: is missing [missing-picture]" in result.output
    assert "01/Owl.png: is empty; it was never written to its end" in result.output
    assert "no score: 2 problems found" in result.output
    assert not outputs.with_name("outputs-report").exists()


def test_styles_are_chosen_by_name(pack, references, outputs, tmp_path):
    place = tmp_path / "elsewhere"
    result = run("score", outputs, "--references", references, "--weights", pack, "--styles", " 01,", "--out", place)
    assert result.exit_code == 0, result.output
    assert set(json.loads((place / "report.json").read_text("utf-8"))["styles"]) == {"01"}
    assert "1 of the references' 2 styles" in " ".join(result.output.split())


def test_misuse_of_the_submission(pack, references, outputs, tmp_path):
    given = ("--references", references, "--weights", pack)
    assert "no such file or folder" in refusal(tmp_path / "nowhere", *given)
    (tmp_path / "empty").mkdir()
    assert "none of the style folders 00, 01" in refusal(tmp_path / "empty", *given)
    (tmp_path / "text.zip").write_text("hello")
    assert "neither a folder nor a zip archive" in refusal(tmp_path / "text.zip", *given)
    whole = zip_outputs(outputs, tmp_path / "whole.zip")
    (tmp_path / "half.zip").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "S401 half.zip" in refusal(tmp_path / "half.zip", *given)
    newer = zip_outputs(outputs, tmp_path / "newer.zip", schema_version=2)
    assert "schema_version is 2" in refusal(newer, *given)


def test_misuse_of_options(pack, references, outputs, tmp_path):
    given = ("--references", references, "--weights", pack)
    assert "--references PATH and --weights PATH" in refusal(outputs)
    assert "--weights PATH" in refusal(outputs, "--references", references)
    assert "no such references folder" in refusal(outputs, "--references", tmp_path / "no", "--weights", pack)
    assert "no such weights folder" in refusal(outputs, "--references", references, "--weights", tmp_path / "no")
    assert "'official-1999' is not known" in refusal(outputs, *given, "--profile", "official-1999")
    assert "style 07 is not among the references" in refusal(outputs, *given, "--styles", "00,07")
    assert "no style was chosen" in refusal(outputs, *given, "--styles", ",")
    assert "inside the submission" in refusal(outputs, *given, "--out", outputs / "report")
    assert "inside the submission" in refusal(outputs, *given, "--out", outputs)
    (tmp_path / "file").write_text("")
    assert "is not a folder" in refusal(outputs, *given, "--out", tmp_path / "file")


def test_misuse_of_references(pack, references, outputs, tmp_path):
    def refused() -> str:
        return refusal(outputs, "--references", references, "--weights", pack)

    prompts = references / "01" / "prompt.json"
    kept = prompts.read_text("utf-8")
    prompts.unlink()
    assert "prompt.json: no such file" in refused()
    for text, words in (
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ("{}", "must be an object"),
        ('{"0": 5}', "not usable as the name"),
        ('{"0": "a/b"}', "not usable as the name"),
        ('{"0": "Dog", "1": "Dog"}', "listed twice"),
    ):
        prompts.write_text(text, "utf-8")
        assert words in refused()
    prompts.write_text(kept, "utf-8")
    shutil.rmtree(references / "01" / "images")
    assert "images: no such folder" in refused()
    (references / "01" / "images").mkdir()
    assert "no PNG files" in refused()
    assert "no styles in it" in refusal(outputs, "--references", tmp_path / "outputs" / "00", "--weights", pack)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "schema_version is None"),
        ('{"schema_version": 1, "images": "pictures"}', "pictures: no such folder"),
        ('{"schema_version": 1, "images": "images"}', "--references PATH and --weights PATH"),
        ('{"schema_version": 1, "images": 5}', "images must be a non-empty string"),
        ('{"schema_version": 1, "images": "images", "styles": "00"}', "styles must be a non-empty list"),
        ('{"schema_version": 1, "images": "images", "local": 5}', "local must be an object"),
        (
            '{"schema_version": 1, "images": "images", "local": {"weights": 5}}',
            "weights must be a non-empty string",
        ),
    ],
)
def test_broken_run_json(tmp_path, text, words):
    (tmp_path / "run.json").write_text(text, "utf-8")
    (tmp_path / "images").mkdir()
    assert words in refusal(tmp_path)


def test_weights_that_are_missing_or_wrong(pack, references, outputs, tmp_path):
    import torch

    weights = Path(shutil.copytree(pack, tmp_path / "weights"))

    def refused() -> str:
        return refusal(outputs, "--references", references, "--weights", weights)

    (weights / files.RN50).write_bytes(b"not an archive")
    assert "RN50.pt: not a TorchScript archive" in refused()
    shutil.copyfile(pack / files.RN50, weights / files.RN50)
    state = torch.load(weights / files.SQUEEZENET)
    state.pop("features.3.squeeze.bias")
    state["features.0.weight"] = torch.zeros(1)
    torch.save(state, weights / files.SQUEEZENET)
    line = refused()
    assert "features.3.squeeze.bias is missing" in line
    assert "features.0.weight has shape (1,)" in line
    (weights / files.RN50).unlink()
    shutil.rmtree(weights / files.DINO)
    line = refused()
    assert "RN50.pt" in line
    assert "dinov2-base/model.safetensors" in line


def test_weights_new(tmp_path):
    result = run("weights", "new", tmp_path / "tiny", "--preset", "tiny", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "not comparable" in result.output
    again = run("weights", "new", tmp_path / "tiny")
    assert again.exit_code == 2
    assert "not empty" in again.output


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh process; conftest.py has set OMP_NUM_THREADS."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_fresh_process_is_quiet_and_needs_neither_jdart_nor_jittor(pack, references, outputs):
    code = (
        "import sys; from evaluator.cli import main\n"
        "try: main()\n"
        "finally: print([n for n in ('jdart', 'jittor', 'cv2', 'transformers') if n in sys.modules])"
    )
    arguments = ["score", str(outputs), "--references", str(references), "--weights", str(pack)]
    result = python("-c", code, *arguments, PYTHONWARNINGS="error", PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "[]"
    assert "0.235513" in result.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from evaluator.cli import main\n"
        "try: main(['score', '--help'])\n"
        "except SystemExit: pass\n"
        "print([n for n in ('torch', 'numpy', 'pandas', 'rich', 'PIL', 'tokenizers') if n in sys.modules])"
    )
    result = python("-c", code)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "--as-is" in result.stdout


@pytest.mark.parametrize("name", ["torch", "tokenizers", "lpips"])
def test_a_missing_library_says_how_to_install_it(name, pack, references, outputs):
    code = f"import sys; sys.modules[{name!r}] = None; from evaluator.cli import main; main()"
    arguments = ["score", str(outputs), "--references", str(references), "--weights", str(pack), "--no-cache"]
    result = python("-c", code, *arguments)
    assert result.returncode == 2
    assert result.stderr.strip() == f"error: {name} is not installed; run: pip install 'jdart[eval]'"
