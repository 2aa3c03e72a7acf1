"""Drafts: the UNet's deep layers calculated in some calls only, against diffusers' UNet with the same features kept."""

import dataclasses

import jittor as jt
import numpy as np
import pytest
import torch
from driving_diffusers import Driver

from jdart.config import GenerateConfig
from jdart.generation.draw import Request, draw
from jdart.generation.guided import Guided
from jdart.generation.samplers import sampling_plan
from jdart.models.encode import encode_text
from jdart.models.networks.unet import DeepFeatures

SCALE = 5.0
SETTINGS = GenerateConfig(sampler="ddim", steps=7, guidance_scale=SCALE, batch_size=2)
REQUESTS = [Request("a", "a red cat", 1), Request("b", "a blue dog", 2), Request("c", "a house", 3)]


@pytest.fixture
def deep_calls(base, monkeypatch):
    """How often the middle of the network is calculated."""
    original, seen = type(base.unet.mid_block).execute, []

    def spy(self, x, *rest):
        seen.append(x.shape[0])
        return original(self, x, *rest)

    monkeypatch.setattr(type(base.unet.mid_block), "execute", spy)
    return seen


class Remembering:
    """diffusers' UNet, the input of whose last residual block has features of an earlier call."""

    def __init__(self, unet, interval):
        self.unet, self.interval, self.calls, self.kept = unet, interval, 0, None
        unet.up_blocks[-1].resnets[-1].register_forward_pre_hook(self.exchange)

    def exchange(self, module, arguments):
        x, *rest = arguments
        width = x.shape[1] - self.unet.conv_in.out_channels  # the map beside it is that of the first convolution
        if self.calls % self.interval == 0:
            self.kept = x[:, :width]
        self.calls += 1
        return (torch.cat([self.kept, x[:, width:]], dim=1), *rest)


@pytest.mark.parametrize("interval", [2, 3])
def test_latents_are_those_of_diffusers_with_features_kept(interval, base, base_folder, deep_calls, rng, close):
    import json

    from diffusers import UNet2DConditionModel

    context, negative = (encode_text(base, base.tokens([text] * 2)) for text in ("a red cat", "lowres"))
    noise = rng.standard_normal((2, 4, 8, 8)).astype(np.float32)
    plan = sampling_plan(base.schedule, "ddim", SETTINGS.steps)

    def last(interval):
        with jt.no_grad():
            x = plan.start(jt.array(noise))
            for step in plan.run(Guided(base, context, negative, SETTINGS, plan.calls, interval), x):
                step.sync()
                x = step
            return x.numpy()

    config = json.loads((base_folder / "scheduler" / "scheduler_config.json").read_text())
    config["clip_sample"] = False
    unet = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    remembering = Remembering(unet, interval)

    def model(x, t):
        with torch.no_grad():
            both = unet(torch.tensor(np.concatenate([x, x])), t, torch.tensor(np.concatenate([negative, context])))
            without, with_text = both.sample.numpy()[:2], both.sample.numpy()[2:]
        return without + (with_text - without) * np.float32(SCALE)

    _, trajectory = Driver("ddim", config, SETTINGS.steps).run(model, None, noise, None)
    found = last(interval)
    assert close(found, trajectory[-1]) < 1e-3
    assert remembering.calls == plan.calls and len(deep_calls) == -(-plan.calls // interval)
    assert close(last(1), trajectory[-1]) > 1e-2


def test_an_interval_of_one_is_the_picture_and_every_batch_begins_anew(base, deep_calls):
    plain = {r.name: picture for r, picture in draw(base, REQUESTS, SETTINGS, 32, None)}
    whole, deep_calls[:] = len(deep_calls), []
    drafts = {r.name: picture for r, picture in draw(base, REQUESTS, SETTINGS, 32, None, interval=4)}
    assert deep_calls == [4, 4, 2, 2] and whole == 14, "two batches of seven calls, the deep layers twice in each"
    alone = {r.name: picture for r, picture in draw(base, REQUESTS[2:], SETTINGS, 32, None, interval=4)}
    assert np.array_equal(alone["c"], drafts["c"]), "nothing is left of the batch before"
    assert any(not np.array_equal(drafts[name], plain[name]) for name in plain)


def test_the_features_are_made_anew_where_a_batch_changes_its_size(base, rng):
    deep = DeepFeatures(100)
    made = []

    def make(rows):
        made.append(rows)
        return jt.zeros((rows, 1))

    for rows in (4, 4, 2, 2, 4):
        deep.through(rows, lambda rows=rows: make(rows))
    assert made == [4, 2, 4]


def test_guidance_in_an_interval_of_the_steps(base, deep_calls):
    settings = dataclasses.replace(SETTINGS, guidance_interval=(0.3, 0.6))
    pictures = [picture for _, picture in draw(base, REQUESTS[:2], settings, 32, None, interval=3)]
    assert deep_calls == [2, 4, 2] and all(picture.shape == (32, 32, 3) for picture in pictures)
