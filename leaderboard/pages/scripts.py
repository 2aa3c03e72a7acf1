"""What the scripts have to know: texts and metrics, whose one definition is in Python and the catalogues."""

from __future__ import annotations

import json

from leaderboard.difference import LABELS, METRICS
from leaderboard.i18n import LANGUAGES, TAGS, catalogue
from leaderboard.metrics import SCORES, STYLE_SCORES
from leaderboard.pages.figures import LARGE


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
