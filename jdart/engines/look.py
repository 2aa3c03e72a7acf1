"""What an engine's environment has and lacks, with the cure for each. Asked of its interpreter; nothing is compiled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from contest.errors import UserError
from jdart.config import EngineConfig

PATIENCE = 30  # seconds
PYTHON = "3.9."
# Distribution -> the version that jdart was tested with.
TESTED = {
    "jittor": "1.3.9.5",
    "jtorch": "0.2.0",
    "torch": "2.0.0",
    "diffusers": "0.26.0.dev0",
    "transformers": "4.26.1",
    "JDiffusion": "1.0",
    "peft": "0.10.0",
    "accelerate": "0.27.2",
    "tokenizers": "0.13.3",
    "huggingface_hub": "0.24.7",
}
NEEDED = ("safetensors", "numpy", "pillow")  # whatever their version, but for NumPy's first number
MAKE = "make a new environment: jdart engine install jdiffusion DIR"


@dataclass(frozen=True)
class Remark:
    """One thing looked at, as a finding of the doctor's: "ok", "warn" or "fail"."""

    name: str
    status: str
    found: str
    cure: Optional[str] = None


def script_of(name: str) -> Path:
    """The file that the interpreter of engine `name` runs."""
    return Path(__file__).with_name(f"{name}.py")


def installer_of(name: str) -> Path:
    """The shell script that makes an environment for engine `name`."""
    return Path(__file__).with_name(f"{name}.sh")


def look_at(engine: EngineConfig) -> list[Remark]:
    """Remarks on the environment of an engine's interpreter, the first of them on the interpreter itself."""
    command = [engine.python, str(script_of(engine.name)), "--look"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        facts = json.loads(result.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return [Remark("interpreter", "fail", f"{engine.python}: {_why(error)}", f"name one that runs, or {MAKE}")]
    return list(_remarks(engine.python, facts))


def require_engine(engine: EngineConfig) -> None:
    """UserError for the first thing that an engine's environment lacks."""
    for remark in look_at(engine):
        if remark.status == "fail":
            raise UserError(
                f"engine.python: {remark.found}; {remark.cure}; see jdart doctor --engine-python {engine.python}"
            )


def _remarks(python: str, facts: Mapping[str, Any]) -> Iterator[Remark]:
    version = facts["python"]
    known = version.startswith(PYTHON)
    yield Remark(
        "interpreter",
        "ok" if known else "warn",
        f"{python}: Python {version}",
        None if known else f"not tested; {MAKE}",
    )
    versions = facts["versions"]
    missing = [name for name in (*TESTED, *NEEDED) if versions.get(name) is None]
    others = [
        f"{name} {versions[name]} (tested: {v})" for name, v in TESTED.items() if versions.get(name) not in (None, v)
    ]
    numpy = versions.get("numpy")
    if missing:
        yield Remark("its packages", "fail", f"missing: {', '.join(missing)}", MAKE)
    elif facts["pytorch"]:
        yield Remark("its packages", "fail", "PyTorch itself is where jtorch's torch should be", MAKE)
    elif int(numpy.split(".")[0]) >= 2:
        yield Remark(
            "its packages", "fail", f"numpy {numpy}", f"Jittor needs NumPy 1: {python} -m pip install 'numpy<2'"
        )
    elif others:
        yield Remark("its packages", "warn", ", ".join(others), f"not tested; {MAKE}")
    else:
        yield Remark("its packages", "ok", ", ".join(f"{name} {versions[name]}" for name in TESTED))
    if facts["example"] is None:
        cure = "install JDiffusion from a checkout: pip install -e JDiffusion"
        yield Remark("its training script", "fail", "JDiffusion's examples/dreambooth/train.py is not there", cure)
    else:
        yield Remark("its training script", "ok", facts["example"])
    if facts["compiler"] is None:
        yield Remark("its compiler", "fail", "no g++", "install g++ (Debian, Ubuntu: apt install g++)")
    elif facts["python_config"] is None:
        cure = "install that Python's headers (Debian, Ubuntu: apt install python3.9-dev)"
        yield Remark("its compiler", "fail", f"no python-config for Python {version}", cure)
    else:
        yield Remark("its compiler", "ok", facts["compiler"])


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {PATIENCE} seconds"
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with exit code {error.returncode}"
    return "does not answer as Python does"
