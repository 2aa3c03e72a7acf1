"""Settings as a run, a picture and a LoRA file say them: those that came later only where they are set.

What was made without a setting stays the same to the byte when jdart learns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

LATER: Mapping[str, Any] = MappingProxyType({"later": True})  # the metadata of such a field


def said(settings: Any) -> Any:
    """A dataclass of settings as plain data, in the order of its fields, without later ones at their default."""
    if is_dataclass(settings):
        return {
            field.name: said(value)
            for field in fields(settings)
            if (value := getattr(settings, field.name)) != field.default or "later" not in field.metadata
        }
    if isinstance(settings, Mapping):
        return {key: said(value) for key, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [said(value) for value in settings]
    return settings
