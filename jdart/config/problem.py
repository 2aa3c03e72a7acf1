"""What is wrong with one setting."""

from __future__ import annotations

from string import Formatter


class Problem(ValueError):
    """One setting that cannot be used; the text says why and what would do."""


def check(good: bool, text: str) -> None:
    """Raise Problem with `text` unless the setting is good."""
    if not good:
        raise Problem(text)


def check_template(name: str, text: str) -> None:
    """Raise Problem unless setting `name` is a text in which nothing but {object} and {id} stands in braces."""
    if not is_template(text):
        raise Problem(f"{name}: only {{object}} and {{id}} can stand in braces")


def is_template(text: str) -> bool:
    """Whether nothing but {object} and {id} stands in braces, as they are: {object:>99} would add spaces."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return False
    plain = (None, "", None), ("object", "", None), ("id", "", None)
    return all((field, "" if spec is None else spec, conversion) in plain for _, field, spec, conversion in parts)
