"""Which base a LoRA was trained on, by its notes. It fits every base of the same shapes, and draws well on its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contest.errors import UserError
from jdart.lora.formats.reading import load_lora, load_notes
from jdart.models.build import Base


def another_base(notes: Mapping[str, Any], base: Base) -> str | None:
    """What to say of a LoRA whose notes name other weights than those of `base`; None for the same or no notes."""
    if not isinstance(notes.get("base"), str) or notes["base"] == base.identity:
        return None
    noted, here = notes.get("prediction_type"), base.schedule.prediction_type
    if isinstance(noted, str) and noted != here:
        return f"was trained on another base, to predict {noted} where this one predicts {here}: expect noise"
    return "was trained on another base"


def from_another_base(path: Path, base: Base | Path) -> str | None:
    """What `another_base` says of a file, or of a folder of PEFT; None where the one or the other cannot be read."""
    try:
        notes = load_lora(path).settings if path.is_dir() else load_notes(path)
        return another_base(notes, base if isinstance(base, Base) else Base(base)) if "base" in notes else None
    except UserError:
        return None
