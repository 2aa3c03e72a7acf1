"""Numbers as people read them, rounded; what rounds to nothing has no sign."""

from __future__ import annotations


def decimal(value: float, digits: int, plus: bool = False) -> str:
    """`value` with so many digits behind the point; with `plus` a gain has its sign, too. Never "-0.0000"."""
    text = f"{value:.{digits}f}"
    if not plus and text[0] != "-":  # nearly all, and there are very many
        return text
    if float(text) == 0:
        return text.lstrip("-")
    return f"+{text}" if plus and value > 0 else text


def span(low: float, high: float, digits: int, plus: bool = False) -> str:
    """The ends of an interval."""
    return f"{decimal(low, digits, plus)} to {decimal(high, digits, plus)}"
