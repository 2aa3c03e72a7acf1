"""Versions of what is installed."""

from __future__ import annotations

import importlib.metadata


def version_of(distribution: str) -> str | None:
    """The version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
