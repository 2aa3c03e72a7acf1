"""What a contest is: its styles and what to draw in each. Standard library and PyYAML only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from submission.errors import UserError
from submission.files import read_json

MAX_NAME = 200  # bytes; a file system takes 255 with the suffix
_FORBIDDEN = frozenset('/\\:*?"<>|')


@dataclass(frozen=True)
class Contest:
    """A contest's rules.

    `styles` maps a style's id to its prompts, in the contest's order; a prompt's picture is `<Prompt>.png`.
    `references` is the number of pictures to learn from in every style, or None where styles differ.
    """

    name: str
    styles: Mapping[str, tuple[str, ...]]
    references: int | None = None

    @property
    def pictures(self) -> int:
        """How many pictures a complete entry has."""
        return sum(len(prompts) for prompts in self.styles.values())

    def subset(self, styles: Iterable[str]) -> Contest:
        """The same contest with some styles only, in the contest's order. UserError names unknown ones."""
        wanted = list(styles)
        unknown = [style for style in wanted if style not in self.styles]
        if unknown:
            missing = ", ".join(map(repr, unknown))
            raise UserError(f"contest {self.name} has no style {missing}; it has {', '.join(self.styles)}")
        if not wanted:
            raise UserError(f"no style chosen; contest {self.name} has {', '.join(self.styles)}")
        return replace(self, styles={style: self.styles[style] for style in self.styles if style in wanted})


def shipped_contests() -> tuple[str, ...]:
    """Names of the contests that come with jdart."""
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.yaml")))


def load_contest(name_or_path: str | os.PathLike[str]) -> Contest:
    """A shipped contest by its name, or one from a YAML file:

        name: sample
        references: 10
        styles:
          "00": [Dolphin, Ice cream]

    UserError lists every problem of the file, or the names that exist.
    """
    text = os.fspath(name_or_path)
    if text in shipped_contests():
        return _from_yaml(_shipped_folder() / f"{text}.yaml")
    if text.endswith((".yaml", ".yml")) or Path(text).is_file():
        return _from_yaml(Path(text))
    raise UserError(f"no contest {text}; shipped: {', '.join(shipped_contests())}; or give a .yaml file")


def contest_from_references(folder: str | os.PathLike[str], name: str | None = None) -> Contest:
    """The contest that a references folder describes: `<folder>/<style>/prompt.json` and `images/`.

    `name` is the folder's name unless given. UserError lists every style that is not as it should be.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one that holds <style>/prompt.json")
    styles: dict[str, Any] = {}
    problems: list[str] = []
    counts: set[int] = set()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            styles[path.name] = _prompt_list(path / "prompt.json")
        except UserError as error:
            problems.append(str(error))
        counts.add(len(list((path / "images").glob("*.png"))))
    if not styles and not problems:
        raise UserError(f"{folder}: no style folders; expected <style>/prompt.json and <style>/images/*.png")
    name = folder.resolve().name if name is None else name
    alike = len(counts) == 1 and 0 not in counts  # prompts alone are enough to check an entry
    return _validated(name, styles, counts.pop() if alike else None, str(folder), problems)


def _shipped_folder() -> Path:
    installed = Path(__file__).parent / "contests"  # where setup.cfg puts them in a wheel
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs" / "contests"


def _prompt_list(path: Path) -> list[Any]:
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f'{path}: expected {{"0": "Dolphin", "1": "Ice cream", ...}}')
    if all(key.isdecimal() for key in data):  # the numbers say the order, wherever a tool has put "10" before "2"
        return [data[key] for key in sorted(data, key=int)]
    return list(data.values())


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where PyYAML would keep the last and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8. UserError: malformed, or a key that is given twice."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); save it in that encoding") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


def _from_yaml(path: Path) -> Contest:
    try:
        data = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; shipped contests: {', '.join(shipped_contests())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected name, references and styles")
    problems = [f"unknown setting {key}" for key in data if key not in ("name", "references", "styles")]
    problems += [f"{key} is missing" for key in ("name", "styles") if key not in data]
    styles = data.get("styles", {})
    if not isinstance(styles, dict):
        problems.append('styles must map each style to its prompts, such as "00": [Dolphin, Dog]')
        styles = {}
    elif not styles and "styles" in data:
        problems.append("styles is empty")
    return _validated(data.get("name", path.stem), styles, data.get("references"), str(path), problems)


def _validated(name: Any, styles: Mapping[Any, Any], references: Any, where: str, problems: list[str]) -> Contest:
    """Everything that both sources must keep to; names become file names, so they must be safe as such."""
    problems = list(problems)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        problems.append("name must be one line of text")
    if references is not None and (type(references) is not int or references < 1):
        problems.append("references must be a whole number above 0")
    for style, prompts in styles.items():
        if not isinstance(style, str):
            problems.append(f'style {style} must be text in quotes, such as "00"')
        elif (fault := _bad_name(style)) is not None:
            problems.append(f"style {style!r} {fault}")
        problems += [f"style {style}: {problem}" for problem in _prompt_problems(prompts)]
    if problems:
        raise UserError(f"{where}: " + "; ".join(problems))
    return Contest(name, {style: tuple(prompts) for style, prompts in styles.items()}, references)


def _prompt_problems(prompts: Any) -> list[str]:
    if not isinstance(prompts, Sequence) or isinstance(prompts, str) or not prompts:
        return ["its prompts must be a list with at least one"]
    problems = []
    seen: set[str] = set()
    for prompt in prompts:
        if not isinstance(prompt, str):
            problems.append(f"prompt {prompt} must be text in quotes")
            continue
        if (fault := _bad_name(prompt)) is not None:
            problems.append(f"prompt {prompt!r} {fault}")
        if prompt.casefold() in seen:
            problems.append(f"prompt {prompt!r} is given twice")
        seen.add(prompt.casefold())
    return problems


def _bad_name(name: str) -> str | None:
    """Why `name` cannot name a file everywhere, or None. CLIP-R reads a name up to its first dot."""
    if not name or name != name.strip() or "." in name:
        return "must not be empty, have a dot, or begin or end with a space"
    if len(name.encode("utf-8", "replace")) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    if not name.isprintable() or not _FORBIDDEN.isdisjoint(name):
        return "has a character that file names cannot have everywhere"
    return None
