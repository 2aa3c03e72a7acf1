"""Pictures drawn with a style's colours: each setting does something, and a picture depends on its request alone."""

import dataclasses
import json

import numpy as np
import pytest

from jdart.config import ColourConfig, ColourGuidanceConfig, GenerateConfig, StartConfig, TransportConfig, said
from jdart.config.problem import Problem
from jdart.generation.draw import Request, draw
from jdart.generation.references import References
from jdart.models.build import Base
from jdart.models.presets import write_base

PLAIN = GenerateConfig(sampler="ddim", steps=4, guidance_scale=3.0, batch_size=2)
REQUESTS = [Request(word, word, 100 + n) for n, word in enumerate(("dog", "moon"))]
WAYS = {
    "mean": {"start": StartConfig()},
    "pixel": {"start": StartConfig(leak="pixel")},
    "dct": {"start": StartConfig(leak="dct")},
    "transport": {"colour": ColourConfig(transport=TransportConfig(last=1.0))},
    "linear": {"colour": ColourConfig(guidance=ColourGuidanceConfig(through="linear", matching="sliced", first=0.0))},
    "encoder": {"colour": ColourConfig(guidance=ColourGuidanceConfig(first=0.7))},
    "vae": {
        "colour": ColourConfig(guidance=ColourGuidanceConfig(through="vae", matching="sliced", rate=0.05, first=0.7))
    },
}


def picture(seed):
    return np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype(np.uint8)


PICTURES = {f"{n}.png": picture(n) for n in range(3)}


def drawn(base, settings, requests=REQUESTS, average=None, pictures=PICTURES):
    return [made for _, made in draw(base, requests, settings, 32, average, pictures)]


@pytest.fixture(scope="module")
def epsilon_base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "epsilon"
    write_base(folder, "tiny", seed=3)
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps({**json.loads(scheduler.read_text()), "prediction_type": "epsilon"}))
    return Base(folder)


@pytest.mark.parametrize("way", WAYS)
def test_it_changes_the_picture_and_draws_it_the_same_again(way, base):
    settings = dataclasses.replace(PLAIN, **WAYS[way])
    first, again = drawn(base, settings), drawn(base, settings)
    for one, same, plain in zip(first, again, drawn(base, PLAIN)):
        np.testing.assert_array_equal(one, same)
        assert np.abs(one.astype(int) - plain.astype(int)).mean() > 1
    other = {"another.png": picture(9) // 3}
    assert (drawn(base, settings, pictures=other)[0] != first[0]).any(), "one reference, and another"


@pytest.mark.parametrize("way", ["dct", "transport", "linear"])
def test_a_base_that_predicts_noise_is_steered_too(way, epsilon_base):
    plain, made = drawn(epsilon_base, PLAIN), drawn(epsilon_base, dataclasses.replace(PLAIN, **WAYS[way]))
    assert all(np.abs(a.astype(int) - b.astype(int)).mean() > 1 for a, b in zip(plain, made))


def test_in_the_last_step_the_transported_latent_is_the_picture(base):
    """At weight 1 in the only step that DDIM goes to the end with, whatever the network predicts."""
    import jittor as jt

    from jdart.generation.colour.gaussian import channel_moments

    settings = TransportConfig(weight=1.0, last=1.0)
    whole = dataclasses.replace(PLAIN, sampler="unipc", colour=ColourConfig(transport=settings))
    mean, _ = channel_moments(References(base, PICTURES).latents)
    decoded = []
    decode = base.vae.decode

    def watched(latents):
        decoded.append(latents.numpy())
        return decode(latents)

    base.vae.decode = watched
    with jt.no_grad():
        drawn(base, whole)
    for latents in decoded[-1]:
        np.testing.assert_allclose(latents.mean((1, 2)), mean, atol=1e-4)


def test_a_drawn_signal_takes_the_place_of_the_average_picture(base):
    settings = dataclasses.replace(PLAIN, strength=0.5, start=StartConfig(leak="pixel"))
    one = drawn(base, settings, average=picture(20))
    other = drawn(base, settings, average=picture(21))
    np.testing.assert_array_equal(one, other)
    without = drawn(base, dataclasses.replace(settings, start=None), average=picture(20))
    assert (one[0] != without[0]).any()


def test_what_is_not_set_is_not_said():
    assert not {"start", "colour"} & set(said(PLAIN))
    assert said(dataclasses.replace(PLAIN, start=StartConfig()))["start"] == {"mean": 1.0, "leak": None}


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: StartConfig(mean=2.5), r"mean: 2.5 is not in \[0, 2\]"),
        (lambda: StartConfig(leak="fourier"), "leak: 'fourier'; there are pixel, dct"),
        (lambda: TransportConfig(weight=0), r"weight: 0 is not in \(0, 1\]"),
        (lambda: TransportConfig(method="ot"), "method: 'ot'; there are whitening, adain"),
        (lambda: TransportConfig(first=0.7, last=0.7), "first, last: 0.7, 0.7 are no range"),
        (lambda: ColourGuidanceConfig(through="unet"), "through: 'unet'; there are linear, vae, encoder"),
        (lambda: ColourGuidanceConfig(rate=1.5), r"rate: 1.5 is not in \(0, 1\]"),
        (lambda: ColourGuidanceConfig(iterations=0), "iterations: 0 is below 1"),
        (
            lambda: dataclasses.replace(PLAIN, colour=ColourConfig(transport=TransportConfig(first=0.8, last=0.9))),
            r"colour.transport.first, last: none of 4 steps lies in \[0.8, 0.9\)",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, line):
    with pytest.raises(Problem, match=line):
        make()
