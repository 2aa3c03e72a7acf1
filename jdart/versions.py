"""Versions of what is installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence


def version_of(distribution: str) -> str | None:
    """The version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def at_odds(distribution: str, extras: Sequence[str]) -> list[tuple[str, str]]:
    """What installed packages ask of each other's versions and do not get: in words, and what to install instead.

    Looked at are a distribution with these extras, and what that needs, and so on. What is not installed is no part of
    it. ModuleNotFoundError without `packaging`, which comes with transformers.
    """
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    left = [(distribution, tuple(extras))]
    while left:
        name, wanted = left.pop()
        version = version_of(name)
        if version is None or (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        needed = importlib.metadata.requires(name)
        for text in [] if needed is None else needed:
            need = Requirement(text)
            marker = need.marker
            if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            there = version_of(need.name)
            if there is not None and not need.specifier.contains(there, prereleases=True):
                found[f"{name} {version} needs {need.name}{need.specifier}, and {there} is here"] = (
                    f"{need.name}{need.specifier}"
                )
            left.append((need.name, tuple(sorted(need.extras))))
    return list(found.items())
