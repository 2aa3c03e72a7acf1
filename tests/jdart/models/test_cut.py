"""Words beyond what the text encoder reads, against the tokenizer's own cut."""

import logging

import numpy as np
import pytest
from PIL import Image

from jdart.config import DataConfig, GenerateConfig
from jdart.data.captions import load_pictures
from jdart.generation.draw import Request, embeddings
from jdart.models.build import Base
from jdart.models.cut import lost_words, shortened
from jdart.training.examples import encode

LONG = "a red bus in the rain, " * 30 + "in style_00"


@pytest.fixture
def fresh(base_folder):
    return Base(base_folder)


TEXTS = [LONG, "x " * 76, "word" * 200, "画" * 40 + " style_00", "é" * 80, "a\tb\n" * 60, "a bus, " * 30 + "style_07"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_is_kept_and_lost_is_the_text(text, fresh):
    lost = lost_words(fresh.tokenizer, text)
    assert lost
    assert text.rstrip().endswith(lost)
    kept = text.rstrip()[: -len(lost)].rstrip()
    ids = fresh.tokens([text, kept])
    whole = fresh.tokenizer([kept])["input_ids"][0]
    assert len(whole) <= 77
    read = len(whole) - 2  # without the end mark, and the last letter, which without a space is another in a word's end
    np.testing.assert_array_equal(ids[0][:read], ids[1][:read])


@pytest.mark.parametrize("text", ["", "a bus", "x " * 75, "画" * 5])
def test_nothing_is_lost_of_what_fits(text, fresh):
    assert lost_words(fresh.tokenizer, text) == ""


def test_the_last_word_that_fits_is_kept(fresh):
    assert lost_words(fresh.tokenizer, "x " * 75 + "y z") == "y z"


def test_a_long_loss_is_shown_by_both_ends():
    shown = shortened(LONG)
    assert len(shown) < 180
    assert shown.startswith("a red bus")
    assert shown.endswith("in style_00")


def messages(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "jdart.models.cut" and r.levelno == logging.WARNING]


def test_training_names_the_picture_and_its_lost_words(fresh, tmp_path, caplog):
    Image.new("RGB", (32, 32)).save(tmp_path / "bus.png")
    (tmp_path / "bus.txt").write_text(LONG)
    pictures = load_pictures(tmp_path, "{object}", "00", "txt")
    for _ in range(2):
        encode(fresh, pictures, DataConfig(size=32), 0, frozen_text=True)
    (said,) = messages(caplog)
    assert "bus.png: its caption" in said
    assert said.endswith("in style_00")


def test_drawing_names_each_text_once(fresh, caplog):
    requests = [Request("a", LONG, 0, "plain " * 90), Request("b", "short", 1, "short")]
    settings = GenerateConfig(negative_prompt="bad " * 80, origin_scale=0.5)
    for _ in range(2):
        embeddings(fresh, requests, settings)
    said = messages(caplog)
    assert [text.partition(" '")[0] for text in said] == [
        "the negative prompt",
        "the prompt",
        "the prompt without the style",
    ]
