"""The locked environment is one that setup.cfg allows, with hashes throughout; every package has its licence told."""

import configparser
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "test-py311-linux.txt"
HERE = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


def asked():
    """What setup.cfg asks for the extras all and test, by name."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    texts = [config["options"]["install_requires"], *(extras[name] for name in ("train", "eval", "diffusers", "sweep"))]
    lines = [line.strip() for text in (*texts, extras["test"]) for line in text.splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "jdart"))]
    return [one for one in found if one.marker is None or one.marker.evaluate(HERE)]


def locked():
    """Name -> (version, how many hashes)."""
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK.read_text("utf-8"))
    heads = [(re.match(r"([a-z0-9._-]+)==([^\s;]+)", block), block.count("--hash=sha256:")) for block in blocks]
    return {canonicalize_name(head[1]): (head[2], hashes) for head, hashes in heads if head is not None}


def test_everything_asked_for_is_locked_in_a_version_that_is_allowed():
    there = locked()
    assert len(there) > 100
    for one in asked():
        version, _ = there[canonicalize_name(one.name)]
        assert one.specifier.contains(version, prereleases=True), (one, version)


def test_every_package_has_hashes():
    assert [name for name, (_, hashes) in locked().items() if hashes == 0] == []


def test_every_package_asked_for_has_its_licence_on_the_page():
    rows = re.findall(r"^\| ([\w-]+) \| .* \| .+ \|$", (ROOT / "docs" / "supply-chain.md").read_text("utf-8"), re.M)
    assert {canonicalize_name(one.name) for one in asked()} <= {canonicalize_name(row) for row in rows}
