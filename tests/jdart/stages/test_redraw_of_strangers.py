"""What a stranger's picture says of itself is not drawn before it fits the picture."""

import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from contest.errors import UserError
from jdart.generation.notes import KEY
from jdart.stages.redraw import FACTS, Sources, redraw


@pytest.mark.parametrize("size", [64, 10**9, None, "8"])
def test_a_size_that_the_picture_has_not_is_refused_at_once(tmp_path, size):
    info = PngInfo()
    info.add_text(KEY, json.dumps({**dict.fromkeys(FACTS), "size": size}))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(UserError, match="not of the size"):
        redraw(tmp_path / "a.png", Sources())
