"""Every reader of a stranger's bytes, with good files to begin from: what tests and `make fuzz` change and read again.

A reader takes a path. It may refuse (UserError, or a finding) in one line; anything else that it raises is a fault.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, PngImagePlugin

from contest.errors import UserError

Read = Callable[[Path], Any]


@dataclass(frozen=True)
class Target:
    """`read` is given the path of a file that is called `name`, in a folder of its own; `seeds` are good ones.

    `beside` are other files of that folder, by their relative paths. `pieces` are bytes that mean something there.
    `wrap` makes the file of what was changed: with the checksums without which nobody looks further.
    """

    name: str
    read: Read
    seeds: tuple[bytes, ...]
    pieces: tuple[bytes, ...] = ()
    beside: tuple[tuple[str, bytes], ...] = ()
    wrap: Callable[[bytes], bytes] = bytes


_RUNS_CODE = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "socket.connect")
_watched: list[Path] = []  # the folder of a file that is being read


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's audit hook: while a file is read nothing is started or written elsewhere."""
    if not _watched:
        return
    if event in _RUNS_CODE:
        raise AssertionError(f"reading a file led to {event}{arguments!r:.200}")
    if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        place = Path(os.fsdecode(arguments[0])).absolute()
        if _watched[0] not in place.parents and place != Path(os.devnull):
            raise AssertionError(f"reading a file writes {place}")


sys.addaudithook(_watch)


def run(target: Target, folder: Path, data: bytes) -> None:
    """Read `data` as a target's file in `folder`, which is also the cache meanwhile.

    Raises what is a fault: what no reader may raise, a refusal of many lines, a program started, a file written
    elsewhere.
    """
    os.environ["JDART_CACHE"] = str(folder / "cache")
    for name, content in target.beside:
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    path = folder / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(target.wrap(data))
    _watched.append(folder.absolute())
    try:
        target.read(path)
    except UserError as error:
        if "\n" in str(error):
            raise AssertionError(f"a refusal of several lines: {error}") from error
    finally:
        _watched.clear()


JSON = (b"{}", b"[]", b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"9" * 400, b'""', b'"\\ud800"', b'"\\u0000"')
JSON += (b'"../../x"', b'"/"', b",", b":", b'"', b"[" * 50, b'{"a":' * 50, b'"\xe5\xad\x97"', b'"' + b"x" * 300 + b'"')
YAML = (*JSON, b"- ", b"a: ", b"? ", b"&a ", b"*a", b"!!int ", b"!!bool ", b"!!float ", b"!!timestamp ", b"!!set ")
YAML += (b"!!omap ", b"!!binary ", b"!!python/name:x ", b"<<: ", b"2001-01-01", b"0o7", b"1:1", b"|\n", b".inf", b"~")
BINARY = (b"\0", b"\xff", bytes(4), bytes(8), b"\xff" * 4, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\1\0", b"{", b"}")


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def spelt(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False).encode()


def picture(mode: str = "RGB", size: tuple[int, int] = (33, 40), format: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, format, **options)
    return stream.getvalue()


def noted_picture() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("jdart", json.dumps({"prompt": "Dolphin", "colour": None, "loras": [], "token": None}))
    notes.add_itxt("Description", "Dolphin", zip=True)
    return picture(pnginfo=notes)


def targets() -> dict[str, Target]:
    """By name. What needs the extras is imported here, and Jittor is started before anything imports it."""
    from jdart.runtime import start

    start("cpu")
    from fuzz_data import data_targets
    from fuzz_documents import document_targets
    from fuzz_models import model_targets
    from fuzz_weights import weight_targets

    return {**document_targets(), **data_targets(), **weight_targets(), **model_targets()}
