"""What is trained, how fast, and from which pictures and captions."""

import logging
import math

import jittor as jt
import numpy as np
import pytest
from PIL import Image

from contest.errors import UserError
from jdart.config import DataConfig, from_mapping
from jdart.data.captions import Picture, load_pictures
from jdart.training.captions import Texts
from jdart.training.examples import Examples, cut, encode
from jdart.training.learner import Learner
from jdart.training.loop import train


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("references")
    for number in range(2):
        noise = np.random.default_rng(number).integers(60, 255, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC).save(folder / f"thing_{number}.png")
    return load_pictures(folder, "an image of {object} in <style>, bold", "00")


def blank(count=2):
    zeros = np.zeros((count, 4, 8, 8), np.float32)
    return Examples(zeros, zeros, np.array(["x"] * count), np.zeros((count, 77, 32), np.float32))


def rates(base, **train):
    raw = {"lora": {"r": 2, "rank_pattern": {"to_k": 8}}, "train": {"learning_rate": 0.01, **train}}
    learner = Learner(base, from_mapping(raw), "00", blank(), None)
    found = {t.name: (t.learning_rate, t.value.shape) for t in learner.trainables}
    learner.close()
    return found


def test_loraplus_makes_b_faster_and_never_a(base):
    for name, (rate, _) in rates(base, loraplus_lr_ratio=16.0).items():
        assert rate == pytest.approx(0.16 if name.endswith("lora_B") else 0.01), name
    wide = rates(base, loraplus_gamma=0.5)
    seen = set()
    for name, (rate, shape) in wide.items():
        if name.endswith("lora_A"):
            assert rate == 0.01
            rank, width = shape
            ratio = max(1.0, 0.5 * math.sqrt(width / rank))
            assert wide[name[:-1] + "B"][0] == pytest.approx(0.01 * ratio)
            seen.add(ratio)
    assert len(seen) > 2, "widths and ranks differ"
    assert 1.0 in seen


def test_a_target_that_did_not_move_is_named(base):
    """Trap 7: to_out.0 silently not trained. One still layer among others has its honest reasons."""
    learner = Learner(base, from_mapping({"lora": {"r": 2}}), "00", blank(), None)
    with pytest.raises(UserError, match="moved no adapter of unet to_q"):
        learner.require_trained()
    last = [adapter for name, adapter in learner.adapters["unet"].items() if name.endswith("to_out.0")]
    for adapter in learner.adapters["unet"].values():
        if adapter not in last:
            adapter.lora_B = jt.ones(adapter.lora_B.shape)
    with pytest.raises(UserError, match=r"moved no adapter of unet to_out\.0"):
        learner.require_trained()
    last[0].lora_B = jt.ones(last[0].lora_B.shape)
    learner.require_trained()
    learner.close()


def test_only_the_token_and_the_adapters_move(base, pictures):
    raw = {
        "data": {"size": 32, "template": "an image of {object} in <style>"},
        "lora": {"r": 2},
        "token": {"vectors": 2, "learning_rate": 0.01},
        "train": {"steps": 3, "batch_size": 2},
    }
    config = from_mapping(raw)
    plain = base.text_encoder.text_model.embeddings.token_embedding.weight.numpy()
    learner = Learner(base, config, "00", encode(base, pictures, config.data, 0, config.frozen_text), None)
    assert learner.trainables[-1].name == "token"
    assert learner.trainables[-1].learning_rate == 0.01
    _, before = learner.learnt_words()
    assert len(list(train(learner, config.train))) == 3
    word, after = learner.learnt_words()
    learner.close()
    assert word == "<style>"
    assert before.shape == after.shape == (2, 32)
    moved = np.abs(after - before).max(axis=1)
    assert (moved > 0.001).all()
    assert not np.allclose(after[0], after[1]), "the vectors start alike and part"
    assert (base.text_encoder.text_model.embeddings.token_embedding.weight.numpy() == plain).all()


def test_a_new_caption_is_encoded_once_and_alone(base, pictures, monkeypatch):
    calls = []
    original = type(base.text_encoder).execute
    monkeypatch.setattr(
        type(base.text_encoder), "execute", lambda self, ids: calls.append(ids.shape[0]) or original(self, ids)
    )
    examples = encode(base, pictures, DataConfig(size=32), 0, True)
    texts = Texts(base, True, [examples])
    calls.clear()
    known = texts(list(examples.captions)).numpy()
    assert calls == []
    assert (known == examples.contexts).all()
    first = texts(["", "new"]).numpy()
    assert calls == [1, 1]
    again = texts(["new", examples.captions[0], ""]).numpy()
    assert calls == [1, 1]
    assert (again[[2, 0]] == first).all()


def test_a_mirrored_picture_says_so(base, pictures):
    told = encode(base, pictures, DataConfig(size=32, flip=True, flip_caption=", mirrored"), 0, False)
    silent = encode(base, pictures, DataConfig(size=32, flip=True), 0, False)
    caption = "an image of thing 0 in <style>, bold"
    assert told.captions[:2].tolist() == [caption, caption + ", mirrored"]
    assert silent.captions[:2].tolist() == [caption, caption]
    assert (told.means == silent.means).all()
    assert not (told.means[0] == told.means[1]).all()


def test_no_corner_shows_at_any_angle(tmp_path):
    """On a white picture every pixel stays white: the black that surrounds it never comes in."""
    for shape in ((40, 40), (40, 90), (200, 50)):
        Image.fromarray(np.full((*shape, 3), 255, np.uint8)).save(tmp_path / "white.png")
        picture = Picture(tmp_path / "white.png", "white", "white")
        for seed in range(10):
            squares = list(cut(picture, DataConfig(size=32, rotation=180.0, crops=3), seed))
            assert len(squares) == 3
            assert all(square.shape == (32, 32, 3) and square.min() == 255 for square in squares)


def test_a_picture_is_turned_by_the_angle_and_not_stretched(tmp_path):
    """The direction of a straight edge through the middle, found by its gradient."""
    edge = np.where(np.arange(200) > 100, 200, 60).astype(np.uint8)
    Image.fromarray(np.tile(edge[None, :, None], (200, 1, 3))).save(tmp_path / "edge.png")
    picture = Picture(tmp_path / "edge.png", "edge", "edge")
    angles = []
    for square in cut(picture, DataConfig(size=64, rotation=20.0, crops=40), 0):
        dy, dx = np.gradient(square[4:-4, 4:-4, 0].astype(float))
        angles.append(-math.degrees(math.atan2(dy.sum(), dx.sum())))
    assert max(np.abs(angles)) < 21
    assert max(angles) > 12
    assert min(angles) < -12


def test_rotation_is_off_and_warns_of_the_leak(base, pictures, caplog):
    """Trap 6: rotation as augmentation leaks into the style."""
    with caplog.at_level(logging.WARNING):
        plain = encode(base, pictures, DataConfig(size=32), 0, False)
        assert caplog.text == ""
        turned = encode(base, pictures, DataConfig(size=32, rotation=10.0), 0, False)
    assert "style learns tilted pictures" in caplog.text
    assert plain.means.shape == turned.means.shape
    assert not (plain.means == turned.means).all()
