"""YAML as people write it: in UTF-8, and no key twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from contest.disk.files import read_text
from contest.errors import UserError


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


def parse_yaml(text: str) -> Any:
    """The value that a YAML text spells. ValueError says in one line what is wrong with it."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split()).replace('in "<unicode string>", ', "")  # what PyYAML calls any text
        raise ValueError(what) from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8, with or without a mark before the text. UserError: malformed, or a key twice."""
    try:
        return parse_yaml(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML ({error}); mend the file") from error
