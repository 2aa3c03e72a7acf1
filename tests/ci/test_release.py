"""The release workflow, CITATION.cff and what they say of the version."""

import configparser
import re

import pytest
import yaml
from ci_steps import ROOT, read_yaml

WORKFLOW = read_yaml(".github/workflows/release.yml")
JOBS = WORKFLOW["jobs"]
STEPS = {step["name"]: step for job in JOBS.values() for step in job["steps"] if "name" in step}


def metadata():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["metadata"]


def test_only_a_tag_releases():
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    assert JOBS["publish"]["needs"] == "build"


@pytest.mark.parametrize(("tag", "code"), [("v{}", 0), ("v{}.1", 1), ("v1{}", 1), ("v", 1)])
def test_a_tag_has_to_be_the_version(runner, tag, code):
    (runner.folder / "setup.cfg").write_text((ROOT / "setup.cfg").read_text())
    name = tag.format(metadata()["version"])
    done = runner.run(STEPS["The tag is the version"], {}, GITHUB_REF_NAME=name)
    assert done.returncode == code, done.stderr


def test_no_secret_is_kept_and_rights_are_few():
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert "secrets." not in text and "password" not in text
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOBS["publish"]["permissions"] == {"id-token": "write"}
    assert "permissions" not in JOBS["build"]
    assert JOBS["publish"]["environment"]["name"] == "pypi"


def test_what_is_checked_is_what_is_published():
    build = STEPS["Build"]["run"]
    assert build.splitlines()[1:] == ["python -m build", "python -m twine check --strict dist/*"]
    handed_over = {
        step["uses"].split("@")[0]: step["with"]
        for job in JOBS.values()
        for step in job["steps"]
        if "artifact@" in step.get("uses", "")
    }
    up, down = handed_over["actions/upload-artifact"], handed_over["actions/download-artifact"]
    assert (up["name"], up["path"]) == (down["name"], down["path"]) == ("dist", "dist/")
    assert JOBS["publish"]["steps"][-1] == {"uses": "pypa/gh-action-pypi-publish@release/v1"}  # takes dist/
    uses = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+|pypa/gh-action-pypi-publish@release/v1", use) for use in uses)


def test_steps_name_their_shell_and_hold_no_expression():
    for job in JOBS.values():
        for step in job["steps"]:
            if "run" in step:
                assert step["shell"] == "bash"
                assert "${{" not in step["run"]


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format asks for
    assert (citation["version"], citation["license"]) == (metadata()["version"], metadata()["license"])
    assert citation["title"].startswith(metadata()["name"])
