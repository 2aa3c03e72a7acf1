"""Signal leak against moments written out anew, an explicit cosine transform, and many draws."""

import numpy as np
import pytest

from contest.errors import UserError
from jdart.config.sections.colour import StartConfig
from jdart.data.seeds import rng_for
from jdart.generation.colour.leak import Leak, dct_matrix


def latents(count, channels=4, side=5, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((channels, channels))
    return np.einsum("cd,ndhw->nchw", mixing, rng.standard_normal((count, channels, side, side))).astype(np.float32)


def draws(leak, count=6000):
    rng = rng_for("many", 1)
    return np.stack([leak.draw(rng) for _ in range(count)])


def test_pixel_has_mean_and_variance_of_the_references_at_each_pixel():
    references = latents(8)
    drawn = draws(Leak(references, StartConfig(leak="pixel")))
    deviation = references.std(axis=0, ddof=1)
    np.testing.assert_allclose(drawn.mean(0), references.mean(0), atol=0.08 * deviation.max())
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.06)


def test_dct_draws_the_lowest_coefficients_jointly():
    """Their covariance, across channels too, is the references'; SciPy-free: the cosines are written out."""
    references = latents(9, channels=2, side=4)
    basis = np.array(
        [[np.sqrt((1 if k == 0 else 2) / 4) * np.cos(np.pi * (n + 0.5) * k / 4) for n in range(4)] for k in range(4)]
    )
    coefficients = np.einsum("ih,nchw,jw->ncij", basis, references.astype(np.float64), basis)
    drawn = np.einsum("ih,nchw,jw->ncij", basis, draws(Leak(references, StartConfig(leak="dct")), 20000), basis)
    low, expected = (x[:, :, :3, :3].reshape(len(x), -1) for x in (drawn, coefficients))
    scale = np.cov(expected.T).max()
    np.testing.assert_allclose(low.mean(0), expected.mean(0), atol=0.05 * np.sqrt(scale))
    np.testing.assert_allclose(np.cov(low.T), np.cov(expected.T), atol=0.05 * scale)
    # what is left is drawn pixel by pixel: nearly as the references' rest varies, in sum exactly but for its low part
    high, rest = (x.copy() for x in (drawn, coefficients))
    high[:, :, :3, :3] = rest[:, :, :3, :3] = 0
    pixelwise = np.einsum("ih,ncij,jw->nchw", basis, rest, basis).var(axis=0, ddof=1)
    kept = np.eye(16) - np.kron(basis[:3].T @ basis[:3], basis[:3].T @ basis[:3])  # 16 pixels: less the low part
    expected = np.stack([np.diag(kept @ np.diag(v.ravel()) @ kept).reshape(4, 4) for v in pixelwise])
    made = np.einsum("ih,ncij,jw->nchw", basis, high, basis).var(axis=0)
    np.testing.assert_allclose(made, expected, atol=0.05 * expected.max())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_few_references_the_mirror_images_are_samples_and_the_channels_vary_together(count):
    references = latents(count)
    both = np.concatenate([references, references[:, :, :, ::-1]]).astype(np.float64)
    apart = (both - both.mean(0)).transpose(1, 0, 2, 3).reshape(4, -1)
    covariance = apart @ apart.T / (apart.shape[1] * (1 - 1 / len(both)))
    drawn = draws(Leak(references, StartConfig(leak="pixel")), 3000) - both.mean(0)
    found = np.cov(drawn.transpose(1, 0, 2, 3).reshape(4, -1))
    np.testing.assert_allclose(found, covariance, atol=0.03 * np.abs(covariance).max())
    assert np.isfinite(Leak(references, StartConfig(leak="dct")).draw(rng_for("x", 1))).all()


def test_without_a_leak_it_is_the_share_of_the_mean():
    references = latents(5)
    for share in (0.0, 0.5, 1.0):
        drawn = Leak(references, StartConfig(mean=share)).draw(rng_for("x", 1))
        np.testing.assert_allclose(drawn, share * references.astype(np.float64).mean(0), atol=1e-12)


@pytest.mark.parametrize("kind", ["pixel", "dct"])
def test_references_without_any_variation_give_their_mean(kind):
    flat = np.full((4, 4, 5, 5), 0.25, np.float32)
    np.testing.assert_allclose(Leak(flat, StartConfig(leak=kind)).draw(rng_for("x", 1)), flat[0], atol=1e-12)


def test_a_draw_depends_on_its_seed_alone():
    leak = Leak(latents(6), StartConfig(leak="dct"))
    first = leak.draw(rng_for("signal leak", 3))
    leak.draw(rng_for("signal leak", 4))
    np.testing.assert_array_equal(leak.draw(rng_for("signal leak", 3)), first)
    assert (leak.draw(rng_for("signal leak", 4)) != first).any()


def test_more_coefficients_than_latent_pixels_are_refused():
    with pytest.raises(UserError, match=r"dct takes 3 x 3 coefficients.*2 x 2.*take pixel"):
        Leak(latents(4, side=2), StartConfig(leak="dct"))
    Leak(latents(4, side=2), StartConfig(leak="pixel"))
    Leak(latents(4, side=3), StartConfig(leak="dct"))


def test_the_cosine_transform_is_orthonormal():
    np.testing.assert_allclose(dct_matrix(7) @ dct_matrix(7).T, np.eye(7), atol=1e-12)
