"""Pictures that rest part of the way."""

import dataclasses

import jittor as jt
import numpy as np
import pytest

from jdart.config import GenerateConfig
from jdart.data.pictures import to_pixels
from jdart.generation.draw import Request, draw, embeddings
from jdart.generation.guided import Guided
from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.generation.sketch import sketch
from jdart.generation.start import first_latent

SETTINGS = GenerateConfig(sampler="ddim", steps=6, guidance_scale=3.0, negative_prompt="lowres", batch_size=3)
REQUESTS = [
    Request(str(n), f"an image of {word} in style_00", 100 + n)
    for n, word in enumerate(("dog", "ice cream", "moon", "sun"))
]


def whole(base, settings=SETTINGS, average=None):
    return {request.name: picture for request, picture in draw(base, REQUESTS, settings, 32, average)}


def rested(base, settings=SETTINGS, average=None, at=1 / 3):
    return sketch(base, REQUESTS, settings, 32, average, {}, at)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_that_goes_on_whole_is_as_if_it_had_not_rested(base, sampler, rng):
    settings = dataclasses.replace(SETTINGS, sampler=sampler, strength=0.9)
    average = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
    plain = whole(base, settings, average)
    drawn = {}
    for each in rested(base, settings, average):
        drawn |= {request.name: picture for request, picture in each.drawn(range(len(each.previews)))}
    assert drawn.keys() == plain.keys()
    for name, picture in plain.items():
        off = np.abs(drawn[name].astype(int) - picture.astype(int))
        assert off.max() <= 1 and (off > 0).mean() < 0.01, "looking at it changes a float's last digits, no more"


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_some_of_a_batch_go_on_as_they_would_have_with_the_others(base, sampler, scale):
    settings = dataclasses.replace(SETTINGS, sampler=sampler, guidance_scale=scale)
    plain = whole(base, settings)
    first, second = rested(base, settings)
    drawn = {request.name: picture for request, picture in [*first.drawn([0, 2]), *second.drawn([])]}
    assert list(drawn) == ["0", "2"]
    for name, picture in drawn.items():
        assert np.abs(picture.astype(int) - plain[name].astype(int)).max() <= 1


def test_a_preview_is_the_picture_that_the_network_predicts(base):
    """By hand, out of the second call of the network."""
    preview = rested(base, dataclasses.replace(SETTINGS, batch_size=4))[0].previews
    plan = sampling_plan(base.schedule, "ddim", 6)
    text = embeddings(base, REQUESTS, SETTINGS)
    guided = Guided(
        base, np.stack([text[r.prompt] for r in REQUESTS]), np.stack([text["lowres"]] * 4), SETTINGS, plan.calls
    )
    with jt.no_grad():
        x = jt.array(np.stack([first_latent(plan, r.seed, (4, 8, 8), None) for r in REQUESTS]))
        x1 = next(plan.run(guided, x))
        t = plan.timesteps[1]
        alpha = base.schedule.alphas_cumprod[int(t)] ** 0.5
        v = guided(x1, t).numpy()  # what this base predicts (2202.00512)
        x0 = alpha * x1.numpy() - (1 - alpha**2) ** 0.5 * v
        expected = [to_pixels(picture) for picture in base.vae.decode(jt.array(x0.astype(np.float32))).numpy()]
    for own, by_hand in zip(preview, expected):
        assert np.abs(own.astype(int) - by_hand.astype(int)).max() <= 1
    assert np.ptp(np.stack(preview)) > 50


def test_a_rest_is_never_before_the_first_step_or_after_the_last(base):
    settings = dataclasses.replace(SETTINGS, steps=2)
    for at in (0.01, 0.99):
        each = rested(base, settings, at=at)[0]
        assert len(each.drawn(range(len(each.previews)))) == 3
