"""What is wrong with one setting."""

from __future__ import annotations


class Problem(ValueError):
    """One setting that cannot be used; the text says why and what would do."""


def check(good: bool, text: str) -> None:
    """Raise Problem with `text` unless the setting is good."""
    if not good:
        raise Problem(text)
