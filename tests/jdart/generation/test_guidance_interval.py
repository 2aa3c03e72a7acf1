"""Guidance in some of the steps only, against diffusers' own guider, UNet and schedulers."""

import dataclasses
import json

import jittor as jt
import numpy as np
import pytest
import torch
from driving_diffusers import Driver

from jdart.config import ColourConfig, GenerateConfig, StyleAlignedConfig
from jdart.config.problem import Problem
from jdart.config.sections.colour import TransportConfig
from jdart.generation.attention.sharing import shared_attention
from jdart.generation.draw import Request, draw
from jdart.generation.guided import Guided
from jdart.generation.references import References
from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.generation.sketch import sketch
from jdart.models.encode import encode_text
from jdart.planning.methods import dear_calls, in_every_step

STEPS, SCALE = 10, 5.0
SETTINGS = GenerateConfig(sampler="ddim", steps=STEPS, guidance_scale=SCALE, batch_size=2)
REQUESTS = [Request("a", "a red cat", 1), Request("b", "a blue dog", 2), Request("c", "a house", 3)]


def interval(*shares, **changes):
    return dataclasses.replace(SETTINGS, guidance_interval=shares, **changes)


def encoded(base, *texts):
    return np.concatenate([encode_text(base, base.tokens([text])) for text in texts])


@pytest.fixture
def rows(base, monkeypatch):
    """The sizes of the batches that the UNet is called with."""
    original, seen = type(base.unet).execute, []

    def spy(self, x, t, context):
        assert x.shape[0] == len(t) == context.shape[0]
        seen.append(x.shape[0])
        return original(self, x, t, context)

    monkeypatch.setattr(type(base.unet), "execute", spy)
    return seen


def by_diffusers(base_folder, name, shares, rescale, context, negative, noise):
    """The last latents, and in how many calls the guider asked for the half without text."""
    from diffusers import UNet2DConditionModel
    from diffusers.guiders import ClassifierFreeGuidance

    unet = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    config = json.loads((base_folder / "scheduler" / "scheduler_config.json").read_text())
    config["clip_sample"] = False  # as in Stable Diffusion's own; diffusers' DDIM would clip without a word about it
    driver = Driver(name, config, STEPS)
    calls, done, guided = len(driver.scheduler.timesteps), 0, 0
    first, last = shares
    guider = ClassifierFreeGuidance(SCALE, guidance_rescale=rescale, start=first, stop=last)

    def model(x, t):
        nonlocal done, guided
        guider.set_state(done, calls, torch.tensor(t))
        done += 1
        ask = lambda text: unet(torch.tensor(x), t, torch.tensor(text)).sample  # noqa: E731
        with torch.no_grad():
            without = ask(negative) if guider.num_conditions == 2 else None
            guided += without is not None
            return guider.forward(ask(context), without).pred.numpy()

    _, trajectory = driver.run(model, None, noise, None)
    return trajectory[-1], guided


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("shares", "rescale"), [((0.2, 0.6), 0.0), ((0.0, 0.4), 0.7), ((0.5, 1.0), 0.0)])
def test_latents_are_those_of_diffusers_guider(name, shares, rescale, base, base_folder, rows, rng, close):
    context, negative = encoded(base, "a red cat", "a house"), encoded(base, "lowres", "lowres")
    noise = rng.standard_normal((2, 4, 8, 8)).astype(np.float32)
    settings = interval(*shares, sampler=name, guidance_rescale=rescale)
    plan = sampling_plan(base.schedule, name, STEPS)
    # diffusers rounds its first and last call down, which differs where PNDM has one call more
    expected_shares = [min(1.0, np.ceil(share * plan.calls) / plan.calls + 1e-9) for share in shares]
    expected, guided = by_diffusers(base_folder, name, expected_shares, rescale, context, negative, noise)

    def last(settings):
        with jt.no_grad():
            x = plan.start(jt.array(noise))
            for step in plan.run(Guided(base, context, negative, settings, plan.calls), x):
                step.sync()
                x = step
            return x.numpy()

    found = last(settings)
    assert close(found, expected) < 1e-3
    assert [rows.count(size) for size in (4, 2)] == [guided, plan.calls - guided], "half the batch outside"
    assert close(last(dataclasses.replace(settings, guidance_interval=None)), expected) > 1e-2
    assert 0 < guided < plan.calls == settings.calls


def test_every_batch_is_halved_outside_and_the_whole_range_is_off(base, rows):
    pictures = [picture for _, picture in draw(base, REQUESTS, interval(0.2, 0.5), 32, None)]
    assert rows == [2] * 2 + [4] * 3 + [2] * 5 + [1] * 2 + [2] * 3 + [1] * 5
    plain = [picture for _, picture in draw(base, REQUESTS, SETTINGS, 32, None)]
    every = [picture for _, picture in draw(base, REQUESTS, interval(0.0, 1.0), 32, None)]
    assert np.array_equal(every, plain) and not np.array_equal(pictures, plain)


def test_a_narrowed_batch_goes_on(base, rows):
    """The survivor of a sketch is the picture drawn at once, in both halves and outside of the interval."""
    settings = interval(0.3, 0.7, batch_size=3)
    whole = [picture for _, picture in draw(base, REQUESTS, settings, 32, None)]
    rows.clear()
    (found,) = sketch(base, REQUESTS, settings, 32, None, {}, 0.5)
    ((request, picture),) = found.drawn([1])
    assert rows == [3] * 3 + [6] * 2 + [2] * 2 + [1] * 3
    assert request.name == "b" and np.abs(picture.astype(int) - whole[1]).max() <= 1


def test_outside_a_shared_attention_is_that_of_scale_1(base, rng):
    """StyleAligned reads its reference with the text alone there."""
    shared = StyleAlignedConfig(prompt="a tree")
    plan = sampling_plan(base.schedule, "ddim", STEPS)
    context, negative = encoded(base, "a cat", "a dog"), encoded(base, "", "")
    x = rng.standard_normal((2, 4, 8, 8)).astype(np.float32)
    pictures = {"one.png": rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)}

    def first_call(settings):
        with jt.no_grad():
            around = shared_attention(base, plan, settings, References(base, pictures))
            model = around(Guided(base, context, negative, settings, plan.calls))
            return model(jt.array(x), plan.timesteps[0]).numpy()

    alone = first_call(dataclasses.replace(SETTINGS, style_aligned=shared, guidance_scale=1.0))
    assert np.abs(first_call(interval(0.5, 1.0, style_aligned=shared)) - alone).max() < 1e-5
    guided = first_call(dataclasses.replace(SETTINGS, style_aligned=shared))
    assert np.abs(first_call(interval(0.0, 0.5, style_aligned=shared)) - guided).max() == 0
    assert np.abs(guided - alone).max() > 1e-2


def test_with_colour_and_a_reference_it_draws(base, rows):
    colour = ColourConfig(transport=TransportConfig())
    settings = interval(0.2, 0.5, style_aligned=StyleAlignedConfig(), colour=colour)
    pictures = {"one.png": np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)}
    made = [picture for _, picture in draw(base, REQUESTS[:1], settings, 32, None, pictures)]
    assert len(made) == 1 and rows[-2 * STEPS :: 2] == [1] * STEPS and rows[-2 * STEPS + 1 :: 2].count(2) == 3


@pytest.mark.parametrize("shares", [(0.2,), (0.2, 0.5, 0.8), (0.5, 0.5), (-0.1, 0.5), (0.2, 1.1), (0.91, 0.99)])
def test_what_is_no_range_of_the_steps_is_refused(shares):
    with pytest.raises(Problem, match="guidance_interval: "):
        interval(*shares)


def test_a_plan_counts_half_a_call_outside():
    settings = interval(0.2, 0.5)
    assert dear_calls(settings) == 3 + 7 / 2
    assert dear_calls(in_every_step(settings)) == dear_calls(SETTINGS) == STEPS
    assert dear_calls(dataclasses.replace(settings, guidance_scale=1.0)) == STEPS
