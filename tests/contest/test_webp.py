"""Small pictures where Pillow has no WebP: told, and nothing grey is published."""

import numpy as np
import pytest
from PIL import features

from contest.entry import webp
from contest.errors import UserError
from evaluator.inputs.images import to_thumbnail
from leaderboard.building.webp import resized


@pytest.fixture
def without_webp(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    webp.require_webp.cache_clear()
    yield
    webp.require_webp.cache_clear()


def test_it_is_told(without_webp):
    with pytest.raises(UserError, match="WebP library: give more memory"):
        to_thumbnail(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="WebP library: give more memory"):
        resized(b"", 160)
