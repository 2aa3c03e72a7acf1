"""The wheel: everything that the packages need is in it, and it works where no checkout is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from ci_steps import ROOT

PACKAGES = ("contest", "evaluator", "jdart", "leaderboard", "organiser", "submission")
MOVED = {"configs": "jdart/configs", "configs/contests": "contest/contests", "data/sample": "contest/sample"}
BUILT_FROM = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "configs", "data/sample", *PACKAGES)


def shown(folder):
    """Files below a folder, without what Python and editors leave there."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the checkout gets no build/ folder."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-c", build, out], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*.whl")
    return file


def test_every_file_of_the_packages_is_in_it(wheel):
    """Compared with the folders themselves: a package that setup.cfg forgot, and data of none of its patterns, lack."""
    wanted = {str(path.relative_to(ROOT)) for package in PACKAGES for path in shown(ROOT / package)}
    for folder, place in MOVED.items():
        inner = [ROOT / other for other in MOVED if other.startswith(f"{folder}/")]
        for path in shown(ROOT / folder):
            if not any(other in path.parents for other in inner):
                wanted.add(f"{place}/{path.relative_to(ROOT / folder)}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert sorted(wanted - names) == []
    assert sorted(names - wanted) == []


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """bin/ of an environment with the wheel, which finds what jdart needs where these tests find it."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home / "venv", symlinks=True)
    bin, scheme = home / "venv" / "bin", {"base": str(home / "venv"), "platbase": str(home / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv" if sys.version_info >= (3, 11) else "posix_prefix", scheme))
    install = [sys.executable, "-m", "pip", "--python", bin / "python", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib"))  # after the wheel
    return bin


def run(bin, folder, *words):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment = {**kept, "HOME": str(folder), "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [bin / words[0], *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_it_works_without_the_repository(installed, tmp_path):
    where = "import contest, evaluator, jdart, leaderboard, submission as s; print(jdart.__file__, s.__file__)"
    done = run(installed, tmp_path, "python", "-c", where)
    assert done.stdout.count(str(installed.parent)) == 2, done.stdout + done.stderr
    done = run(installed, tmp_path, "jdart", "config", "safe")
    assert done.returncode == 0 and "train:" in done.stdout, done.stderr
    entry = tmp_path / "entry"
    shutil.copytree(ROOT / "data" / "held_out", entry)
    for words in (
        ("jdart-submit", "check", entry, "--contest", "toy", "--references", "toy"),
        ("jdart-submit", "build", entry, "--contest", "toy", "-o", "entry.zip"),
        ("jdart-submit", "verify", "entry.zip"),
    ):
        done = run(installed, tmp_path, *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)


@pytest.mark.slow
def test_score_board_and_doctor_work_without_the_repository(installed, tmp_path):
    """What comes along as data: toy networks, vocabulary, templates, kernels."""
    shutil.copytree(ROOT / "data" / "held_out", tmp_path / "entry")
    for words in (
        ("jdart-eval", "score", "entry", "--references", "toy", "--weights", "toy", "--out", "report"),
        ("jdart-board", "build", "report", "-o", "site"),
        ("jdart", "base", "new", "base"),
        ("jdart", "plan", "demo", "--set", "train.steps=1"),
    ):
        done = run(installed, tmp_path, *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert (tmp_path / "site" / "index.html").is_file()
    done = run(installed, tmp_path, "jdart", "doctor")
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
