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


def test_every_other_picture_is_recoloured():
    import torch

    from toylab.eyes.sights import recoloured

    pictures = torch.rand((400, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    pictures[:, :, :4] = 0.5  # which mixing leaves as it is
    made = recoloured(pictures, torch.Generator().manual_seed(2))
    assert torch.equal(made, recoloured(pictures, torch.Generator().manual_seed(2)))
    same = (made == pictures).flatten(1).all(1)
    assert 150 < same.sum() < 250
    assert (made[:, :, :4] - 0.5).abs().max() < 1e-6
    assert made.min() >= 0 and made.max() <= 1


@pytest.mark.usefixtures("font")
def test_treatments_keep_the_shape_of_the_thing():
    """Where a contour is drawn, the cut-out has an edge near."""
    from toylab.drawing import SIDE, contours, shape
    from toylab.world import Place, cut_out

    thing = cut_out("Key", Place())
    drawn = np.asarray(contours(thing, 3, 255)) > 0
    inside = np.asarray(shape(thing)) > 0
    edges = inside ^ np.roll(inside, 1, 0) | inside ^ np.roll(inside, 1, 1)
    assert 0.02 < drawn.mean() < 0.3
    assert drawn[edges].mean() > 0.95
    assert not drawn[0].any() and not drawn[SIDE - 1].any()


@pytest.mark.usefixtures("font")
def test_panes_have_one_colour_and_the_thing_keeps_its_own():
    from toylab.drawing import panes
    from toylab.world import Place, cut_out

    lead, ground = (1, 2, 3), (200, 220, 240)
    picture = np.asarray(panes(cut_out("Banana", Place()), [ground], lead, 5, 3, np.random.default_rng(0)))
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    found = {tuple(colour): int(count) for colour, count in zip(colours.tolist(), counts)}
    assert len(found) < 2 + 25 and found[lead] > 500 and found[ground] > 2000
    red, green, blue = max((one for one in found if one not in (lead, ground)), key=found.get)
    assert min(red, green) > blue + 60, "a banana is yellow"


@pytest.mark.usefixtures("font")
def test_a_halftone_has_ink_in_proportion_to_the_tone():
    from PIL import Image

    from toylab.drawing import SIDE, halftone

    shares = [
        np.asarray(halftone(Image.new("L", (SIDE, SIDE), tone), 12, 0.4)).mean() / 255 for tone in (0, 90, 160, 255)
    ]
    assert shares[0] < 0.02 and shares[-1] > 0.98
    assert shares == sorted(shares) and shares[2] > shares[1] + 0.2


def test_sheet_fills_its_last_row_with_white():
    pictures = np.zeros((13, 3, 64, 64), np.uint8)
    made = np.asarray(sheet(pictures))
    assert made.shape == (128, 11 * 64, 3)
    assert made[64:, 2 * 64 :].min() == 255
    assert made[:, : 2 * 64].max() == 0


def test_pictures_hold_every_noun():
    assert set(NOUNS) == set(TAUGHT)
