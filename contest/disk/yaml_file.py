"""YAML as people write it: in UTF-8, and no key twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from contest.disk.files import read_text
from contest.errors import UserError

MOST = 1_000_000  # values in a file; a contest of 20,000 pictures has a fiftieth


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
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _require_small(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split()).replace('in "<unicode string>", ', "")  # what PyYAML calls any text
        raise ValueError(what) from error
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML checks no value that has a tag before it: !!bool, !!int and !!timestamp of other texts
        raise ValueError("a value is not of the type that the tag before it says (!!...)") from error


def _require_small(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for once each *alias is written out; ValueError for more than MOST.

    A few lines of aliases of aliases stand for billions, which no message about them could hold. An alias inside of
    what it stands for would have no end.
    """
    if id(node) in sizes:
        if sizes[id(node)] == 0:  # being counted
            raise ValueError("an alias (*name) stands inside of what it is an alias of")
        return sizes[id(node)]
    sizes[id(node)] = 0
    parts = node.value if isinstance(node, yaml.CollectionNode) else ()
    inner = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
    total = 1
    for part in inner:
        total += _require_small(part, sizes)
        if total > MOST:
            raise ValueError(f"its aliases (*name) stand for more than {MOST} values; write them out")
    sizes[id(node)] = total
    return total


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8, with or without a mark before the text. UserError: malformed, or a key twice."""
    try:
        return parse_yaml(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML ({error}); mend the file") from error
