"""Contests from files: a YAML file, or the references folder itself. Every problem of a file is reported together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from contest.definition import Contest, Limits, Story
from contest.disk.files import read_json
from contest.disk.mvtec import defects_in, has_defects
from contest.disk.shipped import references_folder
from contest.disk.yaml_file import read_yaml
from contest.errors import UserError
from contest.references import where_references_lie

MAX_NAME = 200  # bytes; a file system takes 255 with the suffix
_DIGITS = 9  # of a prompt's number; Python refuses to read thousands
_FORBIDDEN = frozenset('/\\:*?"<>|')
_SETTINGS = ("name", "version", "references", "styles", "prompts", "size", "limits", "story", "package")


def shipped_contests() -> tuple[str, ...]:
    """Names of the contests that come with jdart."""
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.yaml")))


def load_contest(name_or_path: str | os.PathLike[str]) -> Contest:
    """A shipped contest by its name, or one from a YAML file:

        name: sample
        version: "1"             # goes into manifests
        references: 10           # pictures to learn from, in every style
        styles:
          "00": [Dolphin, Ice cream]
        size: [512, 512]         # asked of every picture; otherwise all must have one size
        limits: {files: 1000, file_bytes: 16777216, total_bytes: ..., archive_bytes: ..., side: 1024}

    Where prompts come with the references: `styles: ["00", "01"]` and `prompts: 25`. A contest of stories has, in place
    of styles, `story: {pictures: 8, prompts: prompts.csv, sheet: sheet.png, rows: 2, columns: 4, aesthetic: 6.0}`.

    What the section `package` says of an archive of code is read by `submission.package.rules`. UserError lists every
    problem of the file, or the names that exist.
    """
    return _from_yaml(contest_file(name_or_path))


def contest_file(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a shipped contest, or the one that is named. UserError: no such contest."""
    text = os.fspath(name_or_path)
    if text in shipped_contests():
        return _shipped_folder() / f"{text}.yaml"
    if text.endswith((".yaml", ".yml")) or os.path.isfile(text):
        return Path(text)
    raise UserError(f"no contest {text}; shipped: {', '.join(shipped_contests())}; or give a .yaml file")


def contest_from_references(folder: str | os.PathLike[str], name: str | None = None) -> Contest:
    """The contest that a references folder describes: `<folder>/<style>/prompt.json` and `images/`.

    A folder that lies as MVTec's is one of its defects. `name` is the folder's name unless given. UserError lists every
    style that is not as it should be.
    """
    folder = references_folder(folder)
    if not os.path.isdir(folder):
        what = "a file; give the folder" if os.path.isfile(folder) else "no such folder; give the one"
        raise UserError(f"{folder}: {what} that holds <style>/prompt.json")
    if not any(folder.glob("*/prompt.json")) and has_defects(folder):
        return contest_from_defects(folder, name)
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
    if not any(folder.glob("*/prompt.json")):
        raise UserError(f"{folder}: no style folders; {where_references_lie(folder)}")
    name = folder.resolve().name if name is None else name
    problems += _name_problems("name", name) + _style_problems(styles)
    if problems:
        raise UserError(f"{folder}: " + "; ".join(problems))
    alike = len(counts) == 1 and 0 not in counts  # prompts alone are enough to check an entry
    return Contest(name, {style: tuple(prompts) for style, prompts in styles.items()}, counts.pop() if alike else None)


def contest_from_defects(folder: str | os.PathLike[str], name: str | None = None) -> Contest:
    """Each defect of a folder that lies as MVTec's is a style, with what the category is as its one prompt.

    UserError as `defects_in` has it, and for names that cannot name files everywhere.
    """
    folder = references_folder(folder)
    styles = {style: (thing,) for style, thing in defects_in(folder).items()}
    name = folder.resolve().name if name is None else name
    problems = _name_problems("name", name) + _style_problems(styles)
    if problems:
        raise UserError(f"{folder}: " + "; ".join(problems))
    return Contest(name, styles)


def _shipped_folder() -> Path:
    installed = Path(__file__).parent / "contests"  # where setup.cfg puts them in a wheel
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs" / "contests"


def _prompt_list(path: Path) -> list[Any]:
    data = read_json(path, once=True)
    if not isinstance(data, dict):
        raise UserError(f'{path}: expected {{"0": "Dolphin", "1": "Ice cream", ...}}')
    # the numbers say the order, wherever a tool has put "10" before "2"
    if all(key.isdecimal() and len(key) <= _DIGITS for key in data):
        return [data[key] for key in sorted(data, key=int)]
    return list(data.values())


def _from_yaml(path: Path) -> Contest:
    try:
        data = read_yaml(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; shipped contests: {', '.join(shipped_contests())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected name, references and styles")
    problems = [f"unknown setting {key}" for key in data if key not in _SETTINGS]
    if "name" not in data:
        problems.append("name is missing")
    problems += _name_problems("name", data.get("name", "contest")) + _name_problems(
        "version", data.get("version", "1")
    )
    problems += [
        f"{key} must be a whole number above 0" for key in ("references", "prompts") if not _is_count(data, key)
    ]
    size = data.get("size")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(_is_whole(side) for side in size)):
        problems.append("size must be [width, height] in pixels")
    styles, story = data.get("styles"), data.get("story")
    if styles is None and story is None and "package" in data:
        raise UserError(f"{path}: asks for an archive of code, not for pictures; see: jdart-submit package --help")
    if (styles is None) == (story is None):
        problems.append("styles is missing" if styles is None else "a story has no styles; leave one of them out")
    elif story is not None:
        problems += part_problems("story", story, Story) + (
            [] if _has(story, "pictures") else ["story.pictures is missing"]
        )
    elif isinstance(styles, list):
        problems += _open_style_problems(styles, data.get("prompts"))
    else:
        problems += _style_problems(styles)
        if "prompts" in data:
            problems.append("prompts says how many come with the references; here styles lists them, so leave it out")
    problems += part_problems("limits", data.get("limits", {}), Limits)
    if problems:
        raise UserError(f"{path}: " + "; ".join(problems))
    if isinstance(styles, list):
        named: dict[str, tuple[str, ...]] = dict.fromkeys(styles, ())
    else:
        named = {} if styles is None else {style: tuple(prompts) for style, prompts in styles.items()}
    return Contest(
        name=data["name"],
        styles=named,
        references=data.get("references"),
        version=str(data.get("version", "1")),
        prompts=data.get("prompts"),
        size=None if size is None else (size[0], size[1]),
        limits=Limits(**data.get("limits", {})),
        story=None if story is None else Story(**story),
    )


def part_problems(key: str, value: Any, kind: type) -> list[str]:
    """What is wrong with a mapping of the fields of `kind`: Limits or Story."""
    if not isinstance(value, dict):
        return [f"{key} must be a mapping of {', '.join(item.name for item in fields(kind))}"]
    known = {item.name: str(item.type) for item in fields(kind)}
    problems = [f"unknown setting {key}.{name}" for name in value if name not in known]
    for name, one in value.items():
        if known.get(name) == "int" and not _is_whole(one):
            problems.append(f"{key}.{name} must be a whole number above 0")
        elif known.get(name) == "str" and (not isinstance(one, str) or _bad_name(one.rpartition(".")[0]) is not None):
            problems.append(f"{key}.{name} must be the name of a file")
        elif known.get(name) == "Optional[float]" and (isinstance(one, bool) or not isinstance(one, (int, float))):
            problems.append(f"{key}.{name} must be a number")
    return problems


def _open_style_problems(styles: Sequence[Any], prompts: Any) -> list[str]:
    problems = [] if prompts is not None else ["prompts is missing: how many come with each style's references"]
    if not styles:
        problems.append("styles is empty")
    problems += _style_problems(
        {style if isinstance(style, str) else repr(style): ["any"] for style in styles} if styles else {"00": ["any"]}
    )
    problems += [
        f'style {style} must be text in quotes, such as "00"' for style in styles if not isinstance(style, str)
    ]
    if len(set(map(str, styles))) < len(styles):
        problems.append("a style is given twice")
    return problems


def _style_problems(styles: Any) -> list[str]:
    """Names become file names, so they must be safe as such."""
    if not isinstance(styles, dict):
        return ['styles must map each style to its prompts, such as "00": [Dolphin, Dog]']
    problems = [] if styles else ["styles is empty"]
    for style, prompts in styles.items():
        if not isinstance(style, str):
            problems.append(f'style {style} must be text in quotes, such as "00"')
        elif (fault := _bad_name(style)) is not None:
            problems.append(f"style {style!r} {fault}")
        problems += [f"style {style}: {problem}" for problem in _prompt_problems(prompts)]
    return problems


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


def _name_problems(key: str, value: Any) -> list[str]:
    good = isinstance(value, str) and value.strip() and value.isprintable()
    return [] if good else [f"{key} must be one line of text"]


def _bad_name(name: str) -> str | None:
    """Why `name` cannot name a file everywhere, or None. CLIP-R reads a name up to its first dot."""
    if not name or name != name.strip() or "." in name:
        return "must not be empty, have a dot, or begin or end with a space"
    if len(name.encode("utf-8", "replace")) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    if not name.isprintable() or not _FORBIDDEN.isdisjoint(name):
        return "has a character that file names cannot have everywhere"
    return None


def _is_whole(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_count(data: Mapping[str, Any], key: str) -> bool:
    return data.get(key) is None or _is_whole(data[key])


def _has(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value
