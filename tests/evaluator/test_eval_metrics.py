from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from evaluator.metrics.clip_iqa import features_to_quality
from evaluator.metrics.clip_r import logits_to_ranking, name_of, read_vocabulary
from evaluator.metrics.dino import features_to_mean_cosine
from evaluator.metrics.fid import features_to_fid
from evaluator.metrics.hist import (
    histograms_to_correlation,
    pixels_to_hsv_histogram,
    pixels_to_rgb_histogram,
)
from evaluator.metrics.lpips import maps_to_energy, maps_to_product
from evaluator.score import metrics_to_scores


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
        np.testing.assert_array_equal(ours(pixels), opencv(pixels)[:, 0])
        expected = cv2.compareHist(opencv(pixels), opencv(other), cv2.HISTCMP_CORREL)
        assert histograms_to_correlation(ours(pixels), ours(other)) == pytest.approx(expected, abs=1e-12)


def test_correlation_of_flat_histograms_is_one():
    flat, other = np.ones(72, np.float32), np.arange(72, dtype=np.float32)
    assert histograms_to_correlation(flat, other) == 1.0
    assert cv2.compareHist(flat, other, cv2.HISTCMP_CORREL) == 1.0


def test_mean_cosine_equals_all_pairs():
    rng = np.random.default_rng(1)
    outputs, references = torch.tensor(rng.normal(size=(7, 16))), torch.tensor(rng.normal(size=(5, 16)))
    pairs = torch.nn.functional.cosine_similarity(outputs[:, None], references[None], dim=-1)
    ours = features_to_mean_cosine(outputs.numpy(), references.numpy())
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
    ours = maps_to_energy(outputs, heads) + maps_to_energy(references, heads).mean()
    ours -= 2 * maps_to_product(outputs, means, heads)
    torch.testing.assert_close(ours, expected.mean(1), rtol=0, atol=1e-6)


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


def test_ranking_follows_the_logits_and_then_the_alphabet():
    texts = ("a", "b", "c", "d", "e", "f", "g")
    ranking = logits_to_ranking(np.float32([1, 5, 3, 3, 2, 0, 4]), texts, "a")
    assert (ranking.rank, ranking.correct, ranking.top) == (6, False, ("b", "g", "c", "d", "e"))
    assert logits_to_ranking(np.zeros(7, np.float32), texts, "e").correct
    assert not logits_to_ranking(np.zeros(7, np.float32), texts, "f").correct


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
