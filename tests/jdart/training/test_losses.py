"""Losses against torch autograd, diffusers and closed forms, with a UNet of known output."""

import jittor as jt
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from diffusers.training_utils import compute_snr

from jdart.config import from_mapping
from jdart.training.examples import Examples
from jdart.training.learner import Learner
from jdart.training.losses import style_loss
from jdart.training.validation import validation_loss


@pytest.fixture
def calls(base, monkeypatch):
    """What the UNet is given; it answers with zeros."""
    seen = []

    def answer(self, x, timesteps, context):
        seen.append((x.numpy(), np.asarray(timesteps)))
        return jt.zeros(x.shape)

    monkeypatch.setattr(type(base.unet), "execute", answer)
    return seen


def flat_examples(count=4, deviation=0.0):
    """Grey pictures: latents of zero, so that the noise alone is left."""
    means = np.zeros((count, 4, 8, 8), np.float32)
    return Examples(
        means, means + np.float32(deviation), np.array(["x"] * count), np.zeros((count, 77, 32), np.float32)
    )


def losses(base, count=1, examples=None, prior=None, **settings):
    config = from_mapping({"train": {"batch_size": 4, **settings}})
    learner = Learner(base, config, "00", flat_examples() if examples is None else examples, prior)
    found = [learner.loss(number).item() for number in range(count)]
    learner.close()
    return found


def noises(base, calls):
    return [x / (1 - base.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1)) ** 0.5 for x, t in calls]


def test_offset_noise_is_the_same_all_over_a_channel(base, calls):
    losses(base, 40)
    losses(base, 40, noise_offset=0.5)
    found = noises(base, calls)
    offsets = np.stack([b - a for a, b in zip(found[:40], found[40:])])  # 40,B,C,h,w
    assert offsets.std(axis=(3, 4)).max() < 1e-4
    assert offsets.std() == pytest.approx(0.5, rel=0.1)


def test_the_vae_sample_and_the_noise_are_different_draws(base, calls):
    """Trap 10: one integer seed for two draws makes the VAE sample and the diffusion noise equal."""
    losses(base, 20)
    losses(base, 20, examples=flat_examples(deviation=1.0))
    pure = noises(base, calls[:20])
    alphas = [base.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1) ** 0.5 for _, t in calls[20:]]
    samples = [(b - a) / alpha for (a, _), (b, _), alpha in zip(calls[:20], calls[20:], alphas)]
    assert np.std(samples) == pytest.approx(1, rel=0.05)
    assert abs(np.corrcoef(np.ravel(samples), np.ravel(pure))[0, 1]) < 0.03


def test_timesteps_stay_in_their_range_and_fill_it(base, calls):
    losses(base, 60, min_timestep=300, max_timestep=310)
    assert set(np.concatenate([t for _, t in calls])) == set(range(300, 310))


def test_validation_looks_at_the_same_noise_levels_whichever_are_trained(base, calls):
    for kind in ("uniform", "style_friendly"):
        config = from_mapping({"train": {"batch_size": 4, "timesteps": kind}})
        learner = Learner(base, config, "00", flat_examples(), None)
        validation_loss(learner, flat_examples(), 3)
        learner.loss(0)
        learner.close()
    seen = [t.tolist() for _, t in calls]
    assert seen[:3] == seen[4:7]
    assert seen[3] != seen[7]


def test_the_target_follows_the_scheduler_config_of_the_base(base, calls, monkeypatch):
    """Trap 5: prediction_type is read from the base; an epsilon loss on SD 2.1 learns the wrong thing.

    With latents of zero the velocity is alpha * noise, so that the two losses differ by alpha squared.
    """
    assert base.schedule.prediction_type == "v_prediction"
    found = losses(base)
    x, t = calls[0]
    noise = noises(base, calls)[0]
    theirs = DDPMScheduler.from_pretrained(base.folder / "scheduler")
    velocity = theirs.get_velocity(torch.zeros(x.shape), torch.tensor(noise), torch.tensor(t)).numpy()
    assert found[0] == pytest.approx(float((velocity**2).mean()), rel=1e-4)
    assert found[0] != pytest.approx(float((noise**2).mean()), rel=0.1)


def test_min_snr_weighs_each_picture_as_diffusers_does(base, calls):
    plain = losses(base)[0]
    found = losses(base, snr_gamma=5.0)[0]
    _, t = calls[0]
    theirs = DDPMScheduler.from_pretrained(base.folder / "scheduler")
    snr = compute_snr(theirs, torch.tensor(t)).numpy()
    alpha = base.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1) ** 0.5
    squares = ((noises(base, calls)[0] * alpha) ** 2).mean((1, 2, 3))
    assert plain == pytest.approx(squares.mean(), rel=1e-4)
    assert found == pytest.approx((np.minimum(snr, 5.0) / (snr + 1) * squares).mean(), rel=1e-4)


def test_style_loss_and_its_gradient_equal_torchs(base, base_folder, rng, close):
    clean, predicted = (rng.standard_normal((2, 4, 8, 8)).astype(np.float32) for _ in range(2))
    vae = AutoencoderKL.from_pretrained(base_folder / "vae")

    def grams(latents):
        x = vae.encoder.conv_in(vae.decode(latents / vae.config.scaling_factor).sample)
        for block in vae.encoder.down_blocks:
            x = block(x)
            features = x.flatten(2)
            yield features @ features.transpose(1, 2) / (x.shape[1] * x.shape[2] * x.shape[3])

    variable = torch.tensor(predicted, requires_grad=True)
    wanted = [gram.detach() for gram in grams(torch.tensor(clean))]
    expected = sum(((a - b) ** 2)[1].sum() for a, b in zip(grams(variable), wanted))
    expected.backward()

    ours = jt.array(predicted)
    found = style_loss(base.vae, ours, clean, [1])
    gradient = jt.grad(found, ours).numpy()
    assert found.item() == pytest.approx(expected.item(), rel=1e-3)
    assert close(gradient, variable.grad.numpy()) < 1e-3
    assert np.abs(gradient[1]).max() > 0
    assert (gradient[0] == 0).all(), "a row at high noise is left out"
    assert style_loss(base.vae, jt.array(clean), clean, [0, 1]).item() < 1e-6 * expected.item()


def test_style_loss_counts_for_the_styles_own_pictures_at_low_noise(base, calls, monkeypatch):
    """Its rows are those below the limit, among the instance half only; x0 is that of diffusers' scheduler."""
    asked = []
    monkeypatch.setattr(
        "jdart.training.learner.style_loss",
        lambda vae, predicted, clean, rows: asked.append((predicted.numpy(), rows)) or jt.array([8.0]),
    )
    config = from_mapping(
        {
            "train": {"batch_size": 4, "style_loss_weight": 0.5, "style_loss_max_timestep": 600},
            "prior": {"weight": 1.0},
        }
    )
    learner = Learner(base, config, "00", flat_examples(), flat_examples())
    with_style = learner.loss(0).item()
    learner.close()
    x, t = calls[0]
    predicted, rows = asked[0]
    assert rows == [i for i in range(4) if t[i] < 600]
    assert 0 < len(rows) < 8
    theirs = DDPMScheduler.from_pretrained(base.folder / "scheduler", clip_sample=False)
    for row in range(8):
        x0 = theirs.step(torch.zeros(1, 4, 8, 8), int(t[row]), torch.tensor(x[row : row + 1])).pred_original_sample
        assert np.abs(predicted[row] - x0[0].numpy()).max() < 1e-4
    squares = (noises(base, calls)[0] ** 2) * base.schedule.alphas_cumprod[t].reshape(-1, 1, 1, 1)
    assert with_style == pytest.approx(squares[:4].mean() + squares[4:].mean() + 0.5 / 4 * 8.0, rel=1e-4)
