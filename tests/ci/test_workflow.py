"""examples/workflow.yml: its scripts run in their order on a small entry, with miniature networks."""

import json
import re
import shutil
import zipfile

import pytest
from ci_steps import ROOT, fill, read_yaml
from click.testing import CliRunner

from evaluator.cli import main

WORKFLOW = read_yaml("examples/workflow.yml")
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["score"]["steps"] if "name" in step}
PACK = "jdart-eval references pack references -o references.npz --weights weights"
ENTRY = {**WORKFLOW["env"], "CONTEST": "tiny.yaml"}


def check_job(runner):
    (step,) = [step for step in WORKFLOW["jobs"]["check"]["steps"] if step["uses"].startswith("OWNER/jdart@")]
    expressions = {f"env.{key}": value for key, value in ENTRY.items()}
    return runner.run_action(**{key: fill(value, expressions) for key, value in step["with"].items()})


def test_check_score_and_publish(runner, monkeypatch):
    for module in ("torch", "torchvision", "lpips", "open_clip"):
        pytest.importorskip(module)
    assert check_job(runner).returncode == 0
    with zipfile.ZipFile(runner.folder / "entry.zip") as archive:
        assert "manifest.json" in archive.namelist()
    fetch = STEPS["Fetch the networks"]["run"]
    assert fetch == "jdart-eval weights pull weights"
    monkeypatch.chdir(runner.folder)
    for line in (fetch.replace("pull", "new"), PACK):  # miniatures in place of the real ones
        done = CliRunner().invoke(main, line.split()[1:])
        assert done.exit_code == 0, done.output
    shutil.rmtree(runner.folder / "references")  # the contest's pictures are not published
    for name in ("Prove the archive", "Score", "Make the board"):
        done = runner.run(STEPS[name], {}, **ENTRY)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    report = json.loads((runner.folder / "report" / "report.json").read_text())
    assert set(report["images"]) == {"00", "01"}
    page = (runner.folder / "site" / "index.html").read_text()
    assert "someone/entry" in page
    upload = next(s for s in WORKFLOW["jobs"]["score"]["steps"] if "upload-pages-artifact" in s.get("uses", ""))
    assert (runner.folder / upload["with"]["path"] / "index.html").is_file()


def test_bad_entry_ends_the_first_job(runner):
    (runner.folder / "entry" / "01" / "Sun.png").unlink()
    assert check_job(runner).returncode == 1
    jobs = WORKFLOW["jobs"]
    assert (jobs["score"]["needs"], jobs["publish"]["needs"]) == ("check", "score")


def test_what_is_installed(runner):
    notes = runner.replace("python")
    done = runner.run(STEPS["Install jdart with the evaluator"], {}, **ENTRY)
    assert done.returncode == 0, done.stderr
    calls = " ".join(notes.read_text().splitlines()).split("-m pip install --quiet ")[1:]
    assert calls[0].startswith("torch torchvision --index-url https://download.pytorch.org/whl/cpu")
    assert calls[1] == f"jdart[eval] @ {WORKFLOW['env']['JDART']}"
    assert "eval =" in (ROOT / "setup.cfg").read_text()


def test_foreign_actions_are_pinned_and_rights_are_few():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert all(
        re.fullmatch(r"(actions/[\w-]+@v\d+|OWNER/jdart@main)", step["uses"]) for step in steps if "uses" in step
    )
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert all("permissions" not in WORKFLOW["jobs"][name] for name in ("check", "score"))


def test_networks_are_cached_apart_from_what_changes():
    caches = [step["with"] for step in WORKFLOW["jobs"]["score"]["steps"] if "cache@" in step.get("uses", "")]
    assert [one["path"] for one in caches] == ["weights", "~/.cache/jdart"]
    assert "hashFiles" not in caches[0]["key"]
    assert caches[1]["key"].startswith(caches[1]["restore-keys"])
