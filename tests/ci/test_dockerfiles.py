"""docker/*.Dockerfile, read: an engine that could build them is not at hand."""

import configparser
import fnmatch
import json
import re
import shlex

import pytest
from ci_steps import ROOT
from dockerfile import commands, read_dockerfile

from jdart.cli import main

FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
KNOWN = {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "CMD"}  # what these files need; ADD is not among them


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def instructions(request):
    return read_dockerfile(request.param)


def copied(instructions):
    """Source in the repository -> where it lies in the image."""
    places = {}
    for argument in (argument for instruction, argument in instructions if instruction == "COPY"):
        *sources, target = shlex.split(argument)
        for source in sources:
            places[source] = target + source if target.endswith("/") else target
    return places


def test_there_is_one_for_cpus_and_one_for_cuda():
    assert [path.stem for path in FILES] == ["cpu", "cuda"]
    assert read_dockerfile(FILES[1])[0] == ("FROM", "nvidia/cuda:12.2.2-cudnn8-devel-ubuntu22.04")


def test_instructions(instructions):
    names = [name for name, _ in instructions]
    assert set(names) <= KNOWN
    assert names[0] == "FROM" and names.count("FROM") == 1
    assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", instructions[0][1]), "a base image without a version"
    assert names[-1] == "CMD"
    assert all(isinstance(word, str) for word in json.loads(instructions[-1][1]))
    users = [argument for name, argument in instructions if name == "USER"]
    assert users and users[-1] not in ("root", "0")
    assert all(argument.startswith("/") for name, argument in instructions if name == "WORKDIR")


def test_packages_are_installed_lean(instructions):
    runs = [argument for name, argument in instructions if name == "RUN"]
    installs = [run for run in runs if "apt-get install" in run]
    assert installs
    for run in installs:
        assert run.startswith("apt-get update &&") and run.endswith("rm -rf /var/lib/apt/lists/*")
        assert "--yes" in run and "--no-install-recommends" in run
    for command in commands(instructions):
        assert command.split()[0] not in ("cd", "sudo", "apt", "curl", "wget"), command
        if command.startswith("pip install"):
            assert "--no-cache-dir" in command


def test_nothing_is_redirected_by_mistake(instructions):
    """A bare `torch>=2.2` would write a file named =2.2."""
    for command in commands(instructions):
        assert not re.search(r"[<>]", re.sub(r'"[^"]*"', "", command)), command


def test_what_is_copied_is_all_that_is_installed(instructions):
    places = copied(instructions)
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = {name.split(".")[0] for name in config["options"]["packages"].split()}
    moved = dict(line.split(" = ") for line in config["options"]["package_dir"].strip().splitlines())
    wanted |= {config["metadata"]["license_files"], config["metadata"]["long_description"].removeprefix("file: ")}
    wanted |= {"pyproject.toml", "setup.cfg", *moved.values()}
    assert all((ROOT / source).exists() for source in places)
    covered = {source for source in wanted if any(source == one or source.startswith(f"{one}/") for one in places)}
    assert covered == wanted
    assert {target.rstrip("/").rsplit(source, 1)[0] for source, target in places.items()} == {"/opt/jdart/"}


def test_the_context_holds_what_is_copied(instructions):
    everything, *kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert everything == "*"
    kept = [line[1:] for line in kept if line.startswith("!")]
    for source in copied(instructions):
        assert any(fnmatch.fnmatch(source, line) for line in kept), source


def test_commands_of_jdart_are_there(instructions):
    runs = [*map(shlex.split, commands(instructions)), json.loads(instructions[-1][1])]
    named = [words[1] for words in runs if words[0] == "jdart"]
    assert named
    assert set(named) <= set(main.commands)


def test_a_kept_cache_is_found_again():
    """Jittor's cache for CUDA has the host's name in its path, and a container's is another each time."""
    usage = [line for line in FILES[1].read_text("utf-8").splitlines() if line.startswith("#")]
    run = " ".join(line.lstrip("# ").rstrip("\\") for line in usage)
    assert re.search(r"docker run (?=[^#]*--hostname jdart )(?=[^#]*--volume jdart-cache:/home/jdart/\.cache )", run)
