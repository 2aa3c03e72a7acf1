"""Runs the steps of workflow files as GitHub's runner does: expressions filled in, each script in a bash of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text())


def fill(text, values):
    """Text with its `${{ inputs.path }}` and the like replaced; an unknown one is a KeyError."""
    return _EXPRESSION.sub(lambda found: values[found.group(1)], str(text))


class Runner:
    """One job's machine: a working folder, and the files through which steps talk to GitHub."""

    def __init__(self, folder):
        self.folder = folder
        self.outputs, self.summary = folder.parent / "github-output", folder.parent / "github-summary"
        self.shims, self.temporary = folder.parent / "shims", folder.parent / "temporary files"
        for path in (self.outputs, self.summary):
            path.touch()
        self.shims.mkdir()
        self.temporary.mkdir()

    def replace(self, command):
        """Let a program only note its arguments. Returns the file in which they are."""
        notes = self.shims / f"{command}.txt"
        shim = self.shims / command
        shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{notes}"\n')
        shim.chmod(0o755)
        return notes

    def run(self, step, values, **variables):
        """Run a step's script; `values` are what expressions may name, `variables` the job's environment."""
        assert "${{" not in step["run"], "what a stranger writes would become a part of the script"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_"))}
        environment.update(
            PATH=os.pathsep.join([str(self.shims), str(Path(sys.executable).parent), environment["PATH"]]),
            HOME=str(self.folder.parent),
            GITHUB_OUTPUT=str(self.outputs),
            GITHUB_STEP_SUMMARY=str(self.summary),
            GITHUB_REPOSITORY="someone/entry",
            GITHUB_ACTION_PATH=str(ROOT),
            RUNNER_TEMP=str(self.temporary),
            **variables,
        )
        environment.update({key: fill(value, values) for key, value in step.get("env", {}).items()})
        script = self.folder.parent / "step.sh"
        script.write_text(step["run"])
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run_action(self, **given):
        """Run the last step of action.yml, as `uses: OWNER/jdart` with these inputs does."""
        action = read_yaml("action.yml")
        unknown = set(given) - set(action["inputs"])
        assert not unknown, f"action.yml has no input {unknown}"
        inputs = {name: given.get(name, one.get("default")) for name, one in action["inputs"].items()}
        values = {f"inputs.{name}": value for name, value in inputs.items()}
        values["steps.install.outputs.bin"] = str(Path(sys.executable).parent)  # where these tests have it installed
        return self.run(action["runs"]["steps"][-1], values)
