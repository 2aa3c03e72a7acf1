"""Scripts and style sheets, and the constants of the scripts: texts and metrics, whose one definition is in Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from leaderboard.building.difference import LABELS, METRICS
from leaderboard.i18n import LANGUAGES, TAGS, catalogue
from leaderboard.metrics import SCORES, STYLE_SCORES
from leaderboard.pages.figures import LARGE

_STATIC = Path(__file__).parent.parent / "static"
_TEXTS = "texts.js"


@lru_cache
def static_files() -> Mapping[str, bytes]:
    """Name -> contents of everything in `static/`."""
    found = {path.name: path.read_bytes() for path in sorted(_STATIC.iterdir())}
    return {**found, _TEXTS: texts()}


@lru_cache
def static_place(name: str) -> str:
    """Where a page finds a file of `static/`: an address that changes with what it holds.

    Browsers keep files for a while, on GitHub Pages ten minutes: a page never meets scripts of an earlier jdart. The
    file's name stays, so that an earlier page that a browser has kept finds a script, too.
    """
    return f"static/{name}?{hashlib.sha256(static_files()[name]).hexdigest()[:10]}"


def texts() -> bytes:
    """A script of constants, since a page opened from a file may not read JSON."""
    digits = {metric.key: metric.digits for metric in SCORES}
    constants = {
        "jdartTags": TAGS,
        "jdartLanguageNames": LANGUAGES,
        "jdartMetrics": [[key, LABELS[key], digits[key]] for key in METRICS],
        "jdartPictureScores": [[metric.key, metric.label] for metric in STYLE_SCORES],
        "jdartLarge": LARGE,
        "jdartTexts": {language: dict(catalogue(language)) for language in LANGUAGES},
    }
    lines = [f"const {name} = {json.dumps(value, ensure_ascii=True, indent=0)};" for name, value in constants.items()]
    return ("\n".join(['"use strict";', *lines]) + "\n").encode()
