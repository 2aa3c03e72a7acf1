"""Look at the machine before a run starts, and say what is missing and how to cure it.

Nothing here imports Jittor or PyTorch, changes a file or uses the network; it answers within a second, or two where
another engine's interpreter is asked too.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contest.cores import cores
from contest.disk import shipped
from contest.disk.places import user_cache
from contest.disk.shipped import means_toy, toy_archive
from contest.errors import UserError
from jdart import runtime
from jdart.compiling.warm import found
from jdart.config import BaseConfig, EngineConfig
from jdart.engines.look import look_at
from jdart.jittor_cache import CACHE, jittor_home, obstacle
from jdart.versions import version_of

GIB = 1024**3
TESTED_PYTHON = ((3, 9), (3, 12))
ONEDNN_WHEELS = ("onednn-cpu-gomp", "onednn-devel-cpu-gomp")
MODEL_MEMORY = 8 * GIB  # Stable Diffusion 2.1 has 5 GiB of float32 weights
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
SHIPPED = {"base model": "jdart", "evaluator weights": "evaluator"}  # the package that brings the toy
SCARCE_DISK, NO_DISK = 10 * GIB, 1 * GIB


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is "ok", "warn" (works, but worse) or "fail" (will not work)."""

    name: str
    status: str
    found: str
    cure: str | None = None


def diagnose(folders: Mapping[str, Path] | None = None, engine_python: str | None = None) -> list[Finding]:
    """Look at everything a run needs.

    `folders` maps a name, as "base model", to a folder that must exist and hold files, or to "toy", for what comes with
    jdart; a base model is named as anywhere. `engine_python` is the interpreter of JDiffusion's environment, which is
    asked for what it has.
    """
    return [
        _python(),
        _compiler(),
        _headers(),
        _onednn(),
        _cuda(),
        Finding("CPU cores", "ok", str(cores())),
        _memory(),
        _disk("disk here", Path()),
        _jittor_cache(),
        _compiled(),
        *_packages(),
        *(_folder(name, path) for name, path in ({} if folders is None else folders).items()),
        *([] if engine_python is None else _engine(engine_python)),
    ]


def _python() -> Finding:
    found = "{}.{}.{}".format(*sys.version_info[:3])
    oldest, newest = TESTED_PYTHON
    if sys.version_info[:2] < oldest:
        return Finding("Python", "fail", found, "install Python 3.9 to 3.12")
    if sys.version_info[:2] > newest:
        return Finding("Python", "warn", found, "not tested with this version; Python 3.9 to 3.12 are")
    return Finding("Python", "ok", found)


def _compiler() -> Finding:
    version = _first_line(["g++", "--version"])
    if version is None:
        cure = "install g++ (Debian, Ubuntu: apt install g++)"
        return Finding("C++ compiler", "fail", "no g++ that runs; Jittor compiles while it runs", cure)
    return Finding("C++ compiler", "ok", version)


def _headers() -> Finding:
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        cure = "install Python's headers (Debian, Ubuntu: apt install python3-dev)"
        return Finding("Python headers", "fail", f"{header} is missing; Jittor compiles against it", cure)
    return Finding("Python headers", "ok", str(header.parent))


def _onednn() -> Finding:
    if os.environ.get("use_mkl") == "0":
        return Finding("oneDNN", "warn", "switched off: convolutions on the CPU are slow", "unset use_mkl")
    versions = [version_of(wheel) for wheel in ONEDNN_WHEELS]
    if all(version is not None for version in versions):
        return Finding("oneDNN", "ok", f"{versions[0]} (wheels)")
    library = CACHE / "mkl" / runtime.ONEDNN_FOLDER / "lib" / "libmkldnn.so"
    if obstacle() is None and (jittor_home() / library).exists():
        return Finding("oneDNN", "ok", "in Jittor's cache")
    cure = "pip install " + " ".join(f"{wheel}==2022.2.1" for wheel in ONEDNN_WHEELS)
    return Finding("oneDNN", "warn", "none: convolutions on the CPU are slow", cure)


def _cuda() -> Finding:
    gpus = _first_line(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    missing = runtime.why_no_cuda()
    if missing is None:
        return Finding("CUDA", "ok", "toolkit and cuDNN 8" if gpus is None else f"{gpus}; toolkit and cuDNN 8")
    if "cuDNN" in missing:
        cure = "install cuDNN 8 (Debian, Ubuntu: libcudnn8-dev); until then jdart runs on the CPU"
    elif gpus is not None:
        cure = "install the CUDA toolkit and cuDNN 8; until then jdart runs on the CPU"
    else:
        cure = "jdart runs on the CPU; a GPU needs its driver, the CUDA toolkit and cuDNN 8"
    return Finding("CUDA", "warn", missing if gpus is None else f"{gpus}; {missing}", cure)


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if CONTAINER_LIMIT.is_file():
        limit = CONTAINER_LIMIT.read_text().strip()
        total = min(total, int(limit)) if limit.isdigit() else total
    if total < MODEL_MEMORY:
        cure = "Stable Diffusion 2.1 has 5 GiB of weights; take a smaller model or another machine"
        return Finding("memory", "warn", f"{total / GIB:.1f} GiB", cure)
    return Finding("memory", "ok", f"{total / GIB:.1f} GiB")


def _jittor_cache() -> Finding:
    name, found = "disk of Jittor's cache", obstacle()
    return _disk(name, jittor_home()) if found is None else Finding(name, "fail", *found)


def _compiled() -> Finding:
    name, cure = "compiled ahead", "jdart warm"
    core, recipes, kernels = (False, [], 0) if obstacle() is not None else found()
    if not core:
        return Finding(name, "warn", "nothing: Jittor compiles for minutes in the first run", cure)
    there = f"Jittor's core and {kernels} kernels"
    if not recipes:
        return Finding(name, "ok", f"{there}; jdart warm was not run since jdart changed", cure)
    return Finding(name, "ok", f"{there}; jdart warm was run for {', '.join(recipes)}")


def _disk(name: str, folder: Path) -> Finding:
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free"
    if free >= SCARCE_DISK:
        return Finding(name, "ok", found)
    return Finding(name, "fail" if free < NO_DISK else "warn", found, f"free some space on the disk of {folder}")


def _packages() -> list[Finding]:
    """One finding for jdart itself and one for each extra a user needs, from jdart's own requirements."""
    try:
        requirements = importlib.metadata.requires("jdart")
    except importlib.metadata.PackageNotFoundError:
        cure = "in the folder with setup.cfg: pip install -e '.[all]'"
        return [Finding("packages", "fail", "jdart is not installed", cure)]
    names: dict[str, list[str]] = {"": [], "train": [], "eval": []}
    for requirement in [] if requirements is None else requirements:
        name = re.split(r"[\s\[<>=!~;(]", requirement, maxsplit=1)[0]
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)""", requirement)
        group = names.get("" if extra is None else extra[1])
        if group is not None and name not in group and name not in ONEDNN_WHEELS:
            group.append(name)
    return [
        _group("packages", names[""], "fail", "pip install jdart"),
        _group("packages to train", names["train"], "fail", "pip install 'jdart[train]'"),
        _group("packages to evaluate", names["eval"], "warn", "pip install 'jdart[eval]'"),
        _numpy(),
    ]


def _group(title: str, names: Sequence[str], status: str, cure: str) -> Finding:
    versions = {name: version_of(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        return Finding(title, status, f"missing: {', '.join(missing)}", cure)
    return Finding(title, "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _numpy() -> Finding:
    version = version_of("numpy")
    if version is None or int(version.split(".")[0]) >= 2:
        return Finding("NumPy for Jittor", "fail", f"{version}", "Jittor needs NumPy 1: pip install 'numpy<2'")
    return Finding("NumPy for Jittor", "ok", version)


def _folder(name: str, path: Path) -> Finding:
    if means_toy(path):
        return _shipped(name, toy_archive(SHIPPED[name]))
    if name == "base model":
        return _base_model(str(path))
    if not path.is_dir() or next(path.iterdir(), None) is None:
        found = f"{path} is {'empty' if path.is_dir() else 'missing'}"
        return Finding(name, "fail", found, f"put its files into {path}, or name another folder")
    return Finding(name, "ok", str(path))


def _base_model(name: str) -> Finding:
    """A base model by any of its names; of a repository on the hub the name alone is looked at."""
    from jdart.models.hub.locate import require_base

    try:
        require_base(BaseConfig(model=name))
    except UserError as error:
        found, _, cure = str(error).partition("; ")
        return Finding("base model", "fail", found, cure)
    there = os.path.exists(os.path.expanduser(name))
    return Finding("base model", "ok", name if there else f"{name}, which is fetched when it is used")


def _engine(python: str) -> list[Finding]:
    remarks = look_at(EngineConfig("jdiffusion", python))
    return [Finding(f"jdiffusion: {each.name}", each.status, each.found, each.cure) for each in remarks]


def _shipped(name: str, archive: Path) -> Finding:
    found = shipped.obstacle(archive)
    if found is not None:
        return Finding(name, "fail", *found)
    return Finding(name, "ok", f"{archive}, unpacked into {user_cache()} when it is used")


def _first_line(command: Sequence[str]) -> str | None:
    """The first line a command prints, or None where it is absent, fails or takes more than 3 seconds."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip().partition("\n")[0]
