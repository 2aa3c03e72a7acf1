"""What is wrong with one setting."""

from __future__ import annotations


class Problem(ValueError):
    """One setting that cannot be used; the text says why and what would do."""


def check(good: bool, text: str) -> None:
    """Raise Problem with `text` unless the setting is good."""
    if not good:
        raise Problem(text)


def check_template(name: str, text: str) -> None:
    """Raise Problem unless setting `name` is a text in which nothing but {object} and {id} stands in braces."""
    try:
        text.format(object="dog", id="00")
    except (KeyError, IndexError, ValueError, AttributeError):
        raise Problem(f"{name}: only {{object}} and {{id}} can stand in braces") from None
