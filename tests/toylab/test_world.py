"""The toy world: nouns of CLIP-R's list, pictures that differ, captions that keep the noun."""

import numpy as np
import pytest

from evaluator.metrics.clip_r import read_vocabulary
from toylab.contest import picture
from toylab.eyes.sights import CLEAN, damage, look, sights
from toylab.nouns import SEEN, TAUGHT
from toylab.pictures import NOUNS, scene, scenes, sheet, to_array
from toylab.styles import STYLES
from toylab.world import caption


def test_nouns_are_clip_rs_and_none_stands_twice():
    listed = {name.lower() for name in read_vocabulary()}
    assert {noun.lower() for noun in (*TAUGHT, *SEEN)} <= listed
    assert len(TAUGHT) >= 48
    assert not set(TAUGHT) & set(SEEN)
    assert len({*TAUGHT.values(), *SEEN.values()}) == len(TAUGHT) + len(SEEN)


@pytest.mark.usefixtures("font")
def test_a_scene_depends_on_its_seed_and_number_alone():
    few, many = (to_array([one.picture for one in scenes(4, count, 0.5)]) for count in (3, 8))
    assert np.array_equal(few, many[:3])
    assert not np.array_equal(few, to_array([one.picture for one in scenes(5, 3, 0.5)]))


@pytest.mark.usefixtures("font")
def test_every_noun_has_a_glyph_of_its_own():
    drawn = [np.asarray(scene(np.random.default_rng(1), noun, 0.0).picture) for noun in (*TAUGHT, *SEEN)]
    assert len({one.tobytes() for one in drawn}) == len(drawn)
    assert min(one.std() for one in drawn) > 8, "a missing glyph is a flat picture"


def test_captions_name_the_noun_or_nothing():
    rng = np.random.default_rng(0)
    captions = [caption("Cat", "pink", rng) for _ in range(2000)]
    assert 0.07 < captions.count("") / 2000 < 0.13
    assert all("Cat" in one for one in captions if one)
    assert 0.4 < sum("in style_" in one for one in captions) / 2000 < 0.6
    assert any(one.endswith("on pink") for one in captions)


@pytest.mark.usefixtures("font")
def test_styles_change_colours_and_treatments_name_themselves():
    flat = {style: np.asarray(picture(style, "Cat", [0, 0]), float) for style in STYLES}
    assert all(one.shape == (64, 64, 3) for one in flat.values())
    assert flat["00"][..., 2].mean() > 1.5 * flat["00"][..., 0].mean(), "blueprint is blue"
    assert flat["01"].mean() > 180, "risograph is on light paper"
    shown = scenes(1, 40, 1.0)
    rng = np.random.default_rng(0)
    assert sum(f"in {one.treatment}" in one.caption(rng) for one in shown) > 25


@pytest.mark.usefixtures("font")
def test_damage_is_known_and_seen_in_the_look():
    shown = scenes(2, 30, 0.0)[0].picture
    worse = [damage(shown, np.random.default_rng(i)) for i in range(200)]
    assert 0.4 < sum(good == CLEAN for _, good in worse) / 200 < 0.8
    assert all((np.asarray(one) == np.asarray(shown)).all() for one, good in worse if good == CLEAN)
    assert all((np.asarray(one) != np.asarray(shown)).any() for one, good in worse if good < 0.6)


@pytest.mark.usefixtures("font")
def test_looks_are_standardised_and_follow_the_picture():
    seen = sights(3, 200)
    assert seen.looks.shape == (200, 16)
    assert seen.looks.mean(0).abs().max() < 1e-4
    grey = to_array([one.picture.convert("L").convert("RGB") for one in scenes(2, 4, 0.0)])
    import torch

    assert look(torch.from_numpy(grey))[:, 9].abs().max() == 0, "no saturation"


def test_estranged_pictures_are_as_they_are_recoloured_or_edges():
    import torch

    from toylab.eyes.sights import estranged

    pictures = torch.rand((90, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    pictures[:, :, :, 8:] = 0.25  # nothing to see: no edge either
    made = estranged(pictures, torch.Generator().manual_seed(2))
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, estranged(pictures, torch.Generator().manual_seed(2)))
    as_they_are = (made == pictures).flatten(1).all(1)
    flat = made[:, :, :, 9:].flatten(2)
    assert torch.allclose(flat, flat[..., :1].expand_as(flat)), "what is flat stays flat"
    assert 15 < as_they_are.sum() < 45


def test_sheet_fills_its_last_row_with_white():
    pictures = np.zeros((13, 3, 64, 64), np.uint8)
    made = np.asarray(sheet(pictures))
    assert made.shape == (128, 11 * 64, 3)
    assert made[64:, 2 * 64 :].min() == 255
    assert made[:, : 2 * 64].max() == 0


def test_pictures_hold_every_noun():
    assert set(NOUNS) == set(TAUGHT)
