"""Latent transport against its formula, with matrix powers found another way."""

import jittor as jt
import numpy as np
import pytest

from jdart.config.sections.colour import TransportConfig
from jdart.generation.colour.transport import RIDGE, Transport


def latents(count, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = scale * rng.standard_normal((4, 4))
    values = np.einsum("cd,ndhw->nchw", mixing, rng.standard_normal((count, 4, 6, 6)))
    return (values + rng.standard_normal((4, 1, 1))).astype(np.float32)


def moments(values):
    flat = values.astype(np.float64).swapaxes(0, 1).reshape(values.shape[1], -1)
    return flat.mean(1), np.cov(flat, bias=True)


def square_root(matrix):
    """Denman-Beavers: both roots by iteration, without eigenvectors."""
    y, z = matrix, np.eye(len(matrix))
    for _ in range(60):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    return y, z


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("method", ["whitening", "adain"])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_agrees_with_the_formula(count, method, weight):
    references, pictures = latents(count, 1), latents(3, 2, 0.5)
    edit = Transport(references, TransportConfig(weight=weight, method=method))
    moved = edit(jt.array(pictures), 0.0).numpy()
    mean_r, cov_r = moments(references)
    for one, x0 in zip(moved, pictures):
        mean, cov = moments(x0[None])
        if method == "adain":
            deviations = np.sqrt(np.diag(cov_r) / (np.diag(cov) + RIDGE))
            goal = (x0 - mean[:, None, None]) * deviations[:, None, None] + mean_r[:, None, None]
        else:
            matrix = square_root(cov_r)[0] @ square_root(cov + RIDGE * np.eye(4))[1]
            goal = np.einsum("cd,dhw->chw", matrix, x0 - mean[:, None, None]) + mean_r[:, None, None]
        np.testing.assert_allclose(one, (1 - weight) * x0 + weight * goal, atol=2e-5)


def test_at_full_weight_a_picture_has_the_references_moments():
    references, pictures = latents(4, 1), latents(2, 2, 30.0)  # the ridge is nothing beside them
    for one in Transport(references, TransportConfig(weight=1.0))(jt.array(pictures), 0.0).numpy():
        for found, expected in zip(moments(one[None]), moments(references)):
            np.testing.assert_allclose(found, expected, atol=2e-2 * np.abs(expected).max())


def test_it_works_within_its_steps_only():
    edit = Transport(latents(4, 1), TransportConfig(first=0.2, last=0.6))
    x0 = jt.array(latents(1, 2))
    assert edit(x0, 0.19) is x0 and edit(x0, 0.6) is x0
    assert edit(x0, 0.2) is not x0 and edit(x0, 0.59) is not x0


def test_references_of_one_colour_and_a_picture_of_one_colour():
    flat = np.broadcast_to(np.float32([0.5, -1, 2, 0])[:, None, None], (1, 4, 6, 6))
    moved = Transport(flat, TransportConfig(weight=1.0))(jt.array(latents(1, 2)), 0.0).numpy()
    np.testing.assert_allclose(moved, flat, atol=1e-5)
    moved = Transport(latents(3, 1), TransportConfig())(jt.array(flat), 0.0).numpy()
    assert np.isfinite(moved).all()


def test_a_picture_does_not_depend_on_its_batch():
    edit, pictures = Transport(latents(4, 1), TransportConfig()), latents(5, 2)
    together = edit(jt.array(pictures), 0.0).numpy()
    for place in range(5):
        np.testing.assert_array_equal(edit(jt.array(pictures[place : place + 1]), 0.0).numpy()[0], together[place])
