"""Sliced Wasserstein guidance: against the definition, finite differences, and least squares."""

import jittor as jt
import numpy as np
import pytest

from jdart.config.sections.colour import ColourGuidanceConfig
from jdart.generation.colour.guidance import WAYS, ThroughDecoder
from jdart.generation.colour.linear import fitted_map
from jdart.generation.colour.sliced import Palette
from jdart.generation.references import References


def picture(seed, low=0, high=255):
    return np.random.default_rng(seed).integers(low, high, (16, 16, 3)).astype(np.uint8)


@pytest.fixture
def references(base):
    return References(base, {"1.png": picture(1, 100, 255), "2.png": picture(2, 0, 120)})


def latents(base, count, seed=5, side=4):
    return np.random.default_rng(seed).standard_normal((count, 4, side, side)).astype(np.float32)


def test_distance_is_that_of_sorted_projections(rng):
    """As many colours as the palette has: no quantile is between two of them."""
    target, colours = rng.uniform(-1, 1, (50, 3)), rng.uniform(-1, 1, (50, 3))
    palette = Palette(target, 2)
    assert palette.directions.shape == (3, 9)
    np.testing.assert_allclose(np.linalg.norm(palette.directions, axis=0), 1)
    each = [np.mean((np.sort(colours @ d) - np.sort(target @ d)) ** 2) for d in palette.directions.T]
    assert palette.distance(colours) == pytest.approx(np.mean(each), rel=1e-9)
    assert palette.distance(rng.permutation(target)) == pytest.approx(0, abs=1e-12)


def test_moves_are_the_negative_gradient_of_the_distance(rng):
    palette, colours = Palette(rng.uniform(-1, 1, (300, 3)), 3), rng.uniform(-1, 1, (20, 3))
    moves, step = palette.moves(colours), 1e-6
    for n, c in ((0, 0), (7, 1), (19, 2)):
        apart = np.zeros_like(colours)
        apart[n, c] = step
        slope = (palette.distance(colours + apart) - palette.distance(colours - apart)) / (2 * step)
        assert moves[n, c] == pytest.approx(-1.5 * len(colours) * slope, rel=1e-4)


def test_along_three_axes_one_move_is_all_of_the_way(rng):
    target, colours = rng.uniform(-1, 1, (40, 3)), rng.uniform(-1, 1, (40, 3))
    palette = Palette(target, 0)
    np.testing.assert_allclose(np.sort(colours + palette.moves(colours), axis=0), np.sort(target, axis=0), atol=1e-12)


def test_a_palette_of_one_colour_and_of_one_pixel():
    for count in (1, 30):
        palette = Palette(np.tile([0.1, -0.2, 0.3], (count, 1)), 2)
        colours = np.random.default_rng(0).uniform(-1, 1, (10, 3))
        np.testing.assert_allclose(colours + palette.moves(colours), np.tile([0.1, -0.2, 0.3], (10, 1)), atol=1e-12)


def test_the_linear_map_is_found_where_there_is_one(base, references):
    rng = np.random.default_rng(3)
    matrix, offset = rng.standard_normal((3, 4)) / 8, np.array([0.1, 0.0, -0.1])
    made = rng.standard_normal((2, 4, 4, 4))
    colours = np.einsum("ij,njhw->nihw", matrix, made) + offset[:, None, None]
    pixels = np.rint((colours + 1) * 127.5).repeat(4, axis=2).repeat(4, axis=3).transpose(0, 2, 3, 1)

    class Made:
        latents, pictures = made.astype(np.float32), list(pixels)

    found = fitted_map(Made)
    np.testing.assert_allclose(found[0], matrix, atol=0.01)
    np.testing.assert_allclose(found[1], offset, atol=0.01)


@pytest.mark.parametrize("through", list(WAYS))
def test_the_distance_falls(through, base, references):
    # the miniature autoencoder has random weights: its encoder is no inverse, and only the distance it sees can fall
    rate = {"linear": 0.5, "vae": 0.02, "encoder": 0.5}[through]
    settings = ColourGuidanceConfig(through=through, matching="sliced", rate=rate, iterations=1)
    guidance, palette = WAYS[through](references, settings), Palette(references.pixels / 127.5 - 1, 4)
    z = latents(base, 1)

    def seen(z):
        if through == "linear":
            return np.tensordot(guidance.map, z[0], 1) + guidance.offset[:, None, None]
        with jt.no_grad():
            return base.vae.decode(jt.array(z)).numpy()[0]

    def distance(z):
        return palette.distance(seen(z).reshape(3, -1).T)

    with jt.no_grad():
        moved = guidance(jt.array(z), 0.9).numpy()
    assert moved.shape == z.shape and (moved != z).any()
    if through != "encoder":
        assert distance(moved) < distance(z)


def test_gradient_through_the_decoder_agrees_with_finite_differences(base, references):
    guidance = ThroughDecoder(references, ColourGuidanceConfig(through="vae", matching="sliced", rate=0.02))
    palette = Palette(references.pixels / 127.5 - 1, 4)
    z = latents(base, 1)
    gradient, rng = guidance.gradient(z), np.random.default_rng(1)

    def distance(z):
        with jt.no_grad():
            decoded = base.vae.decode(jt.array(z.astype(np.float32))).numpy()[0]
        return palette.distance(decoded.reshape(3, -1).T) * decoded[0].size * 1.5

    for _ in range(3):
        direction = rng.standard_normal(z.shape)
        slope = (distance(z + 1e-2 * direction) - distance(z - 1e-2 * direction)) / 2e-2
        assert (gradient * direction).sum() == pytest.approx(-slope, rel=0.03, abs=0.02 * np.abs(gradient).sum() ** 0.5)


def test_it_works_within_its_steps_only(base, references):
    guidance = WAYS["linear"](references, ColourGuidanceConfig(through="linear", first=0.2, last=0.6))
    x0 = jt.array(latents(base, 1))
    assert guidance(x0, 0.19) is x0 and guidance(x0, 0.6) is x0
    assert guidance(x0, 0.2) is not x0


def test_entropic_matching_moves_a_decoded_picture_as_the_finish_would(base, references):
    from jdart.config.sections.colour import FinishConfig
    from jdart.data.pictures import to_model_range, to_pixels
    from jdart.generation.colour.finish import finisher

    guidance = WAYS["encoder"](references, ColourGuidanceConfig(balance=0.9))
    seen = np.random.default_rng(2).uniform(-1.2, 1.2, (1, 3, 8, 8)).astype(np.float32)
    finish = finisher(FinishConfig(strength=1.0, balance=0.9), references.pictures)
    expected = to_model_range(finish(to_pixels(seen[0])))
    np.testing.assert_allclose(seen[0] + guidance.moves(seen)[0], expected, atol=1e-6)


@pytest.mark.parametrize("through", list(WAYS))
def test_a_picture_does_not_depend_on_its_batch(through, base, references):
    guidance = WAYS[through](references, ColourGuidanceConfig(through=through, rate=0.1, iterations=2))
    z = latents(base, 3)
    with jt.no_grad():
        together = guidance(jt.array(z), 0.9).numpy()
        for place in range(3):
            alone = guidance(jt.array(z[place : place + 1]), 0.9).numpy()
            np.testing.assert_array_equal(alone[0], together[place])
