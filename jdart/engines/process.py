"""A process of an engine's interpreter: started with a task, followed to its end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from contest.disk.places import NO_CACHE, user_cache
from contest.errors import UserError
from jdart.config import EngineConfig
from jdart.engines.look import script_of
from jdart.jobs.processes import end_workers, start_process, why
from jdart.runtime import link_onednn

# Said to jdart's own interpreter and its Jittor; another one would take them for its own.
OURS = (
    *("JITTOR_HOME", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"),
    *("cache_name", "nvcc_path", "python_config_path", "use_mkl"),
)

Told = Mapping[str, Any]


def cache_of(engine: EngineConfig) -> Path:
    """Where what an engine needs and any run may share is kept. UserError for a user without a home."""
    cache = user_cache()
    if cache is None:
        raise UserError(NO_CACHE)
    return cache.absolute() / "engines" / engine.name


def run_task(engine: EngineConfig, task: Mapping[str, Any], log: Path, subject: str) -> Generator[Told, None, None]:
    """What the engine tells while it does `task`, for which "device" is added here. Closing it ends the process.

    `subject` is what its errors begin with. UserError when it does not come to its end; what it said is in `log`.
    """
    line = json.dumps({**task, "device": _device()})
    command = [engine.python, str(script_of(engine.name))]
    try:
        process = start_process(command, line, log, f"{task['do']} by {engine.name}", environment(engine))
    except OSError as error:
        raise UserError(f"engine.python: {engine.python}: {error.strerror}; {cure(engine)}") from error
    try:
        yield from _listen(process)
        code = process.wait()
    finally:
        end_workers([process])
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
    if code != 0:
        said = why(code, log.read_text("utf-8", errors="replace"))
        raise UserError(f"{subject}: engine {engine.name} failed: {said}; see {log}, and {cure(engine)}")


def cure(engine: EngineConfig) -> str:
    """How a user learns what an engine's environment lacks."""
    return f"jdart doctor --engine-python {engine.python}"


def environment(engine: EngineConfig) -> dict[str, str]:
    """The variables of an engine's process: with a home of its own, as Jittor keeps settings and kernels below it."""
    home = cache_of(engine) / "home"
    home.mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if name not in OURS}
    own["HOME"] = str(home.resolve())  # Jittor compiles anew for another spelling of it
    if "use_mkl" in os.environ or not link_onednn(home):
        own["use_mkl"] = os.environ.get("use_mkl", "0")
    return own


def _listen(process: subprocess.Popen[str]) -> Generator[Told, None, None]:
    assert process.stdout is not None
    for line in process.stdout:
        if not line.endswith("\n"):
            break  # killed while it wrote
        yield json.loads(line)


def _device() -> str:
    """What jdart's own Jittor was started for."""
    import jittor

    return "cuda" if jittor.flags.use_cuda else "cpu"
