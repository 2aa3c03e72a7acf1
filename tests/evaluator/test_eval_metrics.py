from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from evaluator.backbones.squeezenet import maps_to_product
from evaluator.extractors.base import unit
from evaluator.extractors.histograms import pixels_to_hsv_histogram, pixels_to_rgb_histogram
from evaluator.metrics.aesthetic import features_to_aesthetic
from evaluator.metrics.clip_iqa import features_to_quality
from evaluator.metrics.clip_r import cosines_to_ranking, name_of, read_vocabulary
from evaluator.metrics.dino import features_to_mean_cosine
from evaluator.metrics.fid import features_to_moments, moments_to_fid
from evaluator.metrics.hist import histograms_to_correlation
from evaluator.metrics.kid import features_to_kid
from evaluator.scoring.formula import metrics_to_scores


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(rng.integers(0, 100), rng.integers(150, 257), (70, 50, 3)).astype(np.uint8)


def opencv_rgb_histogram(pixels: np.ndarray) -> np.ndarray:
    """With every step in bytes, overflow included."""
    blue, green, red = (np.ascontiguousarray(pixels[..., channel]) // np.uint8(16) for channel in (2, 1, 0))
    with np.errstate(over="ignore"):
        index = blue * np.uint8(0) + green * np.uint8(16) + red  # 256 is 0 in a byte
    return cv2.calcHist([index], [0], None, [4096], [0, 4096])


def opencv_hsv_histogram(pixels: np.ndarray) -> np.ndarray:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hue = hsv[..., 0] << np.uint8(1)
    classes = np.zeros(hue.shape, np.uint8)
    for number, (low, high) in enumerate([(20, 40), (40, 75), (75, 155), (155, 190), (190, 270)], 1):
        classes[(hue > low) & (hue.astype(int) <= high)] = number
    thirds = [np.where(x <= 51, 0, np.where(x <= 178, 1, 2)).astype(np.uint8) for x in (hsv[..., 1], hsv[..., 2])]
    return cv2.calcHist([9 * classes + 3 * thirds[0] + thirds[1]], [0], None, [72], [0, 71])


@pytest.mark.parametrize("seed", range(6))
def test_histograms_and_correlation_equal_opencv(seed):
    pixels, other = picture(seed), picture(seed + 50)
    for ours, opencv in (
        (pixels_to_rgb_histogram, opencv_rgb_histogram),
        (pixels_to_hsv_histogram, opencv_hsv_histogram),
    ):
        counts, official = ours(pixels), opencv(pixels)
        np.testing.assert_array_equal(counts, official[: len(counts), 0])
        assert not official[len(counts) :].any()
        expected = cv2.compareHist(official, opencv(other), cv2.HISTCMP_CORREL)
        assert histograms_to_correlation(counts, ours(other), len(official)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_true_histograms_have_all_colours_and_all_hues(seed):
    pixels = picture(seed)
    expected = np.zeros((16, 16, 16))
    for red, green, blue in pixels.reshape(-1, 3) // 16:
        expected[blue, green, red] += 1
    np.testing.assert_array_equal(pixels_to_rgb_histogram(pixels, true=True), expected.ravel())
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).reshape(-1, 3).astype(int)
    counts = np.zeros(72)
    for hue, saturation, value in hsv:
        degrees = 2 * hue
        ends = [20, 40, 75, 155, 190, 270, 295, 315]
        kind = next((place for place, end in enumerate(ends) if degrees <= end), 0)
        counts[9 * kind + 3 * (0 if saturation <= 51 else 1 if saturation <= 178 else 2)
               + (0 if value <= 51 else 1 if value <= 178 else 2)] += 1  # fmt: skip
    np.testing.assert_array_equal(pixels_to_hsv_histogram(pixels, true=True), counts)


def test_correlation_of_flat_histograms_is_one():
    flat, other = np.ones(72, np.float32), np.arange(72, dtype=np.float32)
    assert histograms_to_correlation(flat, other, 72) == 1.0
    assert cv2.compareHist(flat, other, cv2.HISTCMP_CORREL) == 1.0


def test_mean_cosine_equals_all_pairs():
    rng = np.random.default_rng(1)
    outputs, references = torch.tensor(rng.normal(size=(7, 16))), torch.tensor(rng.normal(size=(5, 16)))
    pairs = torch.nn.functional.cosine_similarity(outputs[:, None], references[None], dim=-1)
    ours = features_to_mean_cosine(outputs.numpy(), unit(references.numpy()).mean(axis=0))
    np.testing.assert_allclose(ours, pairs.mean(1).numpy(), atol=1e-14)


def test_lpips_equals_all_pairs():
    generator = torch.Generator().manual_seed(2)
    shapes = [(8, 9, 7), (6, 5, 5), (4, 3, 3)]
    outputs = [torch.rand(3, *shape, generator=generator) for shape in shapes]
    references = [torch.rand(4, *shape, generator=generator) for shape in shapes]
    heads = [torch.rand(shape[0], generator=generator) for shape in shapes]
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for a, b, head in zip(outputs, references, heads):
        squares = (a[:, None].double() - b[None].double()) ** 2
        expected += (squares * head.double()[:, None, None]).sum(2).mean((2, 3))
    means = [b.mean(0, keepdim=True) for b in references]
    ours = maps_to_product(outputs, outputs, heads) + maps_to_product(references, references, heads).mean()
    ours -= 2 * maps_to_product(outputs, means, heads)
    torch.testing.assert_close(ours, expected.mean(1), rtol=0, atol=1e-6)


def features_to_fid(real: np.ndarray, generated: np.ndarray) -> float:
    return moments_to_fid(features_to_moments(real), features_to_moments(generated))


def test_kid_equals_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    rng = np.random.default_rng(8)
    real, generated = rng.normal(size=(20, 64)), rng.normal(size=(25, 64)) * 1.3
    # its sums are over sets of one size; with all pictures in one subset it is the same unbiased estimate
    expected = float(poly_mmd(torch.tensor(real), torch.tensor(generated[:20])))
    assert features_to_kid(real, generated[:20]) == pytest.approx(expected, rel=1e-9)
    pairs = [(a @ b / 64 + 1) ** 3 for place, a in enumerate(generated) for b in np.delete(generated, place, 0)]
    cross = [(a @ b / 64 + 1) ** 3 for a in generated for b in real]
    own = [(a @ b / 64 + 1) ** 3 for place, a in enumerate(real) for b in np.delete(real, place, 0)]
    assert features_to_kid(real, generated) == pytest.approx(np.mean(pairs) + np.mean(own) - 2 * np.mean(cross))


def test_aesthetic_is_a_linear_head_on_unit_features():
    rng = np.random.default_rng(9)
    features, head = torch.tensor(rng.normal(size=(4, 12))), torch.nn.Linear(12, 1).double()
    expected = head(torch.nn.functional.normalize(features, dim=1))[:, 0].detach()
    ours = features_to_aesthetic(features.numpy(), head.weight[0].detach().numpy(), head.bias.item())
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-12)


def test_fid_equals_the_matrix_square_root_form():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(3)
    real, generated = rng.normal(size=(200, 8)), rng.normal(size=(300, 8)) * 1.5 + 0.3
    product = np.cov(real.T) @ np.cov(generated.T)
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum()
    expected += np.trace(np.cov(real.T) + np.cov(generated.T) - 2 * sqrtm(product).real)
    assert features_to_fid(real, generated) == pytest.approx(expected, rel=1e-6)


def test_fid_does_not_depend_on_order():
    rng = np.random.default_rng(4)
    real, generated = (rng.normal(size=(count, 64)).astype(np.float32) for count in (8, 12))
    forwards, backwards = features_to_fid(real, generated), features_to_fid(real[::-1], generated[::-1])
    assert forwards == pytest.approx(backwards, abs=1e-5)
    assert features_to_fid(real, real) == pytest.approx(0, abs=1e-5)


def test_quality_equals_softmax():
    rng = np.random.default_rng(5)
    images, anchors = torch.tensor(rng.normal(size=(6, 12))), torch.tensor(rng.normal(size=(2, 12)))
    units, poles = (x / x.norm(dim=1, keepdim=True) for x in (images, anchors))
    expected = (100 * units @ poles.T).softmax(1)[:, 0]
    np.testing.assert_allclose(features_to_quality(images.numpy(), anchors.numpy()), expected.numpy(), atol=1e-14)


def test_vocabulary():
    vocabulary = read_vocabulary()
    assert len(vocabulary) == len(set(vocabulary)) == 215
    assert {"watch", "cat"} <= set(vocabulary)
    assert list(vocabulary) == sorted(vocabulary)


@pytest.mark.parametrize(
    ("file", "name"),
    [("Dolphin.png", "dolphin"), ("Ice cream.png", "ice cream"), ("A.b.png", "a"), (".png", "")],
)
def test_own_name_ends_at_the_first_dot(file, name):
    assert name_of(file) == name


def test_ranking_follows_the_cosines_and_then_the_alphabet():
    texts = ("a", "b", "c", "d", "e", "f", "g")
    ranking = cosines_to_ranking(np.float32([1, 5, 3, 3, 2, 0, 4]), texts, "a")
    assert (ranking.rank, ranking.correct, ranking.top) == (6, False, ("b", "g", "c", "d", "e"))
    assert cosines_to_ranking(np.zeros(7, np.float32), texts, "e").correct
    assert not cosines_to_ranking(np.zeros(7, np.float32), texts, "f").correct


def test_formula_at_the_published_point():
    scores = metrics_to_scores(
        dino=0.120226, hist=0.779055, fid=1.674596, lpips=0.428658, clip_iqa=0.757711, clip_r=0.930667
    )
    assert round(scores.style, 4) == 0.5642
    assert round(scores.text, 4) == 0.4653
    assert round(scores.quality, 4) == 0.4423
    assert scores.final == pytest.approx(0.512078, abs=1e-6)


def test_formula_is_bounded_where_the_contest_bounds_it():
    worst = metrics_to_scores(dino=0, hist=0, fid=300, lpips=1.7, clip_iqa=0, clip_r=0)
    assert (worst.style, worst.quality, worst.final) == (0, 0, 0)
    assert metrics_to_scores(dino=-1, hist=-1, fid=0, lpips=0, clip_iqa=1, clip_r=1).final == pytest.approx(-0.2)
