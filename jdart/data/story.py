"""A story file: prompts in their order, one a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from contest.disk.encodings import instead_of_utf8
from contest.disk.shipped import TOY
from contest.disk.yaml_file import parse_yaml
from contest.errors import UserError
from jdart.config.reading import shipped_folder

_KEYS = ("prompt", "seed", "negative_prompt")


@dataclass(frozen=True)
class Part:
    """What one picture of a story shows; None leaves the run's seed and negative prompt as they are."""

    prompt: str
    seed: Optional[int] = None
    negative_prompt: Optional[str] = None


def story_file(name: str) -> Path:
    """The file that a configuration means; `toy` is the story that comes along."""
    return shipped_folder() / "stories" / "toy.txt" if name == TOY and not Path(name).exists() else Path(name)


def read_story(name: str) -> tuple[Part, ...]:
    """The parts of a story. UserError for a file that is not there or not UTF-8, and with every bad part of it.

    A .yaml file is a list of prompts, or of mappings with `prompt`, `seed` and `negative_prompt`; any other text has a
    prompt on each line, and lines that begin with # say nothing.
    """
    path = story_file(name)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such story; write a text with a prompt a line, and name it with story") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is {instead_of_utf8(error)}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a text with a prompt a line") from error
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path, text)
    lines = ((number, " ".join(line.split())) for number, line in enumerate(text.splitlines(), 1))
    return _checked(path, [(f"line {number}", Part(line)) for number, line in lines if line and line[0] != "#"], [])


def _from_yaml(path: Path, text: str) -> tuple[Part, ...]:
    try:
        rows = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{path}: not YAML ({error}); put prompts with a colon in quotes") from error
    if not isinstance(rows, list):
        raise UserError(f"{path}: must be a list of prompts, each behind a dash")
    parts, problems = [], []
    for number, row in enumerate(rows, 1):
        try:
            parts.append((f"prompt {number}", _part(row)))
        except ValueError as error:
            problems.append(f"prompt {number}: {error}")
    return _checked(path, parts, problems)


def _part(row: Any) -> Part:
    """ValueError says what is wrong with a row."""
    if isinstance(row, str):
        return Part(" ".join(row.split()))
    if not isinstance(row, dict):
        raise ValueError("is neither text nor a mapping; put it in quotes")
    unknown = [str(key) for key in row if key not in _KEYS]
    if unknown:
        known = ", ".join(_KEYS)
        raise ValueError(f"{', '.join(unknown)}: unknown; known are {known} (a prompt with a colon needs quotes)")
    prompt, seed, negative = (row.get(key) for key in _KEYS)
    if not isinstance(prompt, str):
        raise ValueError("prompt must be text")
    if seed is not None and (type(seed) is not int or seed < 0):
        raise ValueError(f"seed: {seed!r} is not a whole number from 0 up")
    if negative is not None and not isinstance(negative, str):
        raise ValueError("negative_prompt must be text")
    return Part(" ".join(prompt.split()), seed, negative)


def _checked(path: Path, parts: list[tuple[str, Part]], problems: list[str]) -> tuple[Part, ...]:
    seen: dict[str, str] = {}
    for where, part in parts:
        if not part.prompt:
            problems.append(f"{where}: is empty")
        elif part.prompt in seen:
            problems.append(f"{where}: the same prompt as {seen[part.prompt]}; say what has changed")
        seen.setdefault(part.prompt, where)
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    return tuple(part for _, part in parts)
