"""action.yml and .pre-commit-hooks.yaml, by running what they run."""

import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ci_steps import ROOT, read_yaml

from submission import load_contest, verify

ACTION = read_yaml("action.yml")
CHECK = {"path": "entry", "contest": "tiny.yaml"}


def test_good_entry(runner):
    done = runner.run_action(**CHECK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "::error" not in done.stdout


def test_bad_entry_fails_with_annotations_and_the_whole_list(runner):
    for number in range(30):
        (runner.folder / "entry" / "00" / f"Extra {number}.txt").write_text("")
    (runner.folder / "entry" / "01" / "Sun.png").unlink()
    done = runner.run_action(**CHECK)
    assert done.returncode == 1, done.stderr
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert 2 <= len(annotations) <= 10
    assert any("01/Sun.png" in line for line in annotations)
    summary = runner.summary.read_text()
    assert all(f"Extra {number}.txt" in summary for number in range(30))


def test_build_writes_the_archive_and_says_so(runner):
    done = runner.run_action(command="build", out="out/my entry.zip", **CHECK)
    assert done.returncode == 0, done.stderr
    archive = runner.folder / "out" / "my entry.zip"
    assert verify(archive, load_contest(runner.folder / "tiny.yaml")) == []
    outputs = dict(line.split("=", 1) for line in runner.outputs.read_text().splitlines())
    assert outputs == {"archive": "out/my entry.zip", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    declared = {name: one["value"] for name, one in ACTION["outputs"].items()}
    assert declared == {name: f"${{{{ steps.jdart.outputs.{name} }}}}" for name in outputs}
    assert ACTION["runs"]["steps"][-1]["id"] == "jdart"


def test_build_of_a_bad_entry_writes_nothing(runner):
    (runner.folder / "entry" / "01" / "Sun.png").unlink()
    done = runner.run_action(command="build", **CHECK)
    assert done.returncode == 1
    assert not (runner.folder / "entry.zip").exists()
    assert runner.outputs.read_text() == ""


def test_references_and_styles_are_passed_on(runner):
    done = runner.run_action(path="entry", references="references")
    assert done.returncode == 0, done.stderr
    (runner.folder / "entry" / "01" / "Sun.png").unlink()
    (runner.folder / "entry" / "01" / "Dog.png").unlink()
    (runner.folder / "entry" / "01").rmdir()
    assert runner.run_action(path="entry", references="references").returncode == 1
    assert runner.run_action(path="entry", references="references", styles="00").returncode == 0


@pytest.mark.parametrize(
    ("inputs", "part"),
    [
        ({"command": "verify", "path": "entry"}, "command must be check or build"),
        ({"path": "entry"}, "which contest is it for"),
        ({"path": "nowhere", "contest": "tiny.yaml"}, "no such file or folder"),
        ({"path": "entry", "contest": "nothing"}, "no contest nothing"),
    ],
)
def test_misuse_is_exit_2(runner, inputs, part):
    done = runner.run_action(**inputs)
    assert (done.returncode, part in done.stdout + done.stderr) == (2, True), done


@pytest.mark.parametrize("name", ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '" && touch pwned "', "-x y"])
def test_inputs_are_never_a_part_of_the_script(runner, name):
    (runner.folder / "entry").rename(runner.folder / name)
    (runner.folder / "tiny.yaml").rename(runner.folder / f"{name}.yaml")
    done = runner.run_action(path=name, contest=f"./{name}.yaml")
    assert done.returncode == 0, done.stderr
    assert not (runner.folder / "pwned").exists()


def test_the_action_installs_its_own_revision_and_keeps_its_python_to_itself(runner, monkeypatch):
    """The real step, with everything but pip: an environment is made, and its path handed to the last step."""
    setup, install, last = ACTION["runs"]["steps"]
    assert setup["uses"].startswith("actions/setup-python@v")
    assert setup["with"] == {"python-version": "${{ inputs.python-version }}", "update-environment": False}
    notes = runner.temporary / "pip.txt"
    pip = runner.folder / "fake" / "pip" / "__main__.py"
    pip.parent.mkdir(parents=True)
    pip.with_name("__init__.py").touch()
    pip.write_text(f"import sys; open({str(notes)!r}, 'w').write('\\n'.join([sys.prefix, *sys.argv[1:]]))")
    monkeypatch.setenv("PYTHONPATH", str(pip.parents[1]))
    python = runner.temporary / "python"  # as setup-python leaves it; a real pip in the environment takes ten seconds
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --without-pip\n')
    python.chmod(0o755)
    shim = runner.replace("python")  # the job's own Python is not asked
    path = f"steps.{setup['id']}.outputs.python-path"
    done = runner.run(install, {path: str(python)})
    assert done.returncode == 0, done.stderr
    (prefix, *arguments), (output,) = notes.read_text().splitlines(), runner.outputs.read_text().splitlines()
    assert arguments == ["install", "--quiet", str(ROOT)]
    assert Path(prefix).resolve() == (runner.temporary / "jdart-action").resolve() != Path(sys.prefix)
    assert output == f"bin={runner.temporary / 'jdart-action' / 'bin'}"
    assert not shim.exists()
    assert last["env"]["JDART_BIN"] == f"${{{{ steps.{install['id']}.outputs.bin }}}}"
    runs = [install["run"], last["run"]]
    assert not any(re.search(r"(?m)(^\s*|\$\()(python|pip|jdart-\w+)\b", run) for run in runs), "a bare command"


def test_every_step_names_its_shell_and_every_input_is_used_and_documented():
    assert all("uses" in step or step["shell"] == "bash" for step in ACTION["runs"]["steps"])
    text = (ROOT / "action.yml").read_text()
    table = dict(re.findall(r"^\| `([\w-]+)` \|.*\|([^|]*)\|$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE))
    for name, one in ACTION["inputs"].items():
        assert f"${{{{ inputs.{name} }}}}" in text
        default = one.get("default")
        assert default in (None, "") or table[name].strip() == f"`{default}`"
    assert set(table) == set(ACTION["inputs"])


def test_pre_commit_hook_as_documented(runner):
    (hook,) = read_yaml(".pre-commit-hooks.yaml")
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("python", False, True)
    text = (ROOT / "docs" / "ci.md").read_text()
    block = text[text.index("    repos:\n") :].split("\n\n")[0]
    (configured,) = yaml.safe_load(block)["repos"][0]["hooks"]
    assert configured["id"] == hook["id"]
    arguments = ["tiny.yaml" if one == "jittor-style-a" else one for one in configured["args"]]
    program, *rest = shlex.split(hook["entry"])

    def commit():
        command = [Path(sys.executable).with_name(program), *rest, *arguments]
        return subprocess.run(command, cwd=runner.folder, capture_output=True, text=True, check=False)

    assert commit().returncode == 0
    (runner.folder / "entry" / "01" / "Sun.png").unlink()
    done = commit()
    assert (done.returncode, "S102" in done.stdout) == (1, True)
