"""The toy lab draws with a font that not every machine has."""

import pytest

from toylab.world import FONT


@pytest.fixture(scope="session")
def font():
    if not FONT.is_file():
        pytest.skip("the font is not installed: apt-get install fonts-noto-color-emoji")


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    from transformers import CLIPTokenizer

    from jdart.models.presets import write_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder)
