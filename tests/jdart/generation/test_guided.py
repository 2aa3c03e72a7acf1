"""What the UNet is asked and what is made of its answers: guidance, its rescale and prompt fusion."""

import dataclasses

import jittor as jt
import numpy as np
import pytest
import torch

from jdart.config import GenerateConfig
from jdart.generation.draw import Request, draw
from jdart.generation.guided import rescale_guidance

SETTINGS = GenerateConfig(sampler="ddim", steps=2, guidance_scale=3.0, negative_prompt="lowres", batch_size=2)
REQUESTS = [
    Request("dog", "an image of dog in style_00", 1, "an image of dog"),
    Request("moon", "an image of moon in style_00", 2, "an image of moon"),
]


@pytest.fixture
def contexts(base, monkeypatch):
    """Call with settings: the (B, 77, D) contexts of the UNet's calls while REQUESTS are drawn."""
    original, seen = type(base.unet).execute, []

    def spy(self, x, t, context):
        seen.append(context.numpy())
        return original(self, x, t, context)

    monkeypatch.setattr(type(base.unet), "execute", spy)

    def call(requests=REQUESTS, **changes):
        seen.clear()
        assert len(list(draw(base, requests, dataclasses.replace(SETTINGS, **changes), 32, None))) == len(requests)
        return list(seen)

    return call


@pytest.fixture
def encoded(base_folder, base):
    """TE(text) (77, D) by transformers."""
    from transformers import CLIPTextModel

    network = CLIPTextModel.from_pretrained(base_folder / "text_encoder")

    def encode(text):
        with torch.no_grad():
            return network(torch.tensor(base.tokens([text]).astype(np.int64))).last_hidden_state[0].numpy()

    return encode


@pytest.mark.parametrize("amount", [0.3, 0.7, 1.0])
def test_rescaled_guidance_is_that_of_diffusers(amount, rng):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    with_text = 1.5 * rng.standard_normal((3, 4, 8, 8), np.float32) + 0.2
    guided = with_text + 6 * rng.standard_normal((3, 4, 8, 8), np.float32) - 0.5
    expected = rescale_noise_cfg(torch.tensor(guided), torch.tensor(with_text), amount).numpy()
    found = rescale_guidance(jt.array(guided), jt.array(with_text), amount).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - guided).max() > 0.1


def test_rescale_changes_the_picture(base):
    def picture(**changes):
        return next(draw(base, REQUESTS, dataclasses.replace(SETTINGS, guidance_scale=9.0, **changes), 32, None))[1]

    assert (picture() == picture(guidance_rescale=0.0)).all()
    assert (picture() != picture(guidance_rescale=0.7)).any()


def test_guidance_zero_is_a_value(base):
    """Neither "no guidance", which is 1, nor "not set", which is the default."""

    def picture(scale):
        return next(draw(base, REQUESTS, dataclasses.replace(SETTINGS, guidance_scale=scale), 32, None))[1]

    zero = picture(0.0)
    for other in (1.0, GenerateConfig().guidance_scale):
        assert (zero != picture(other)).any()
    negative = [Request("n", SETTINGS.negative_prompt, r.seed) for r in REQUESTS]
    only = dataclasses.replace(SETTINGS, guidance_scale=1.0)
    difference = zero.astype(int) - next(draw(base, negative, only, 32, None))[1]
    assert np.abs(difference).max() <= 1, "0 is the output for the negative prompt alone"


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_the_unet_sees_fused_prompts(share, contexts, encoded, close):
    """(1 - w) TE(styled) + w TE(plain), for the negative prompt with the empty one as the plain."""
    texts = [("lowres", "")] * 2 + [(request.prompt, request.plain) for request in REQUESTS]
    expected = np.stack([(1 - share) * encoded(styled) + share * encoded(plain) for styled, plain in texts])
    seen = contexts(origin_scale=share)
    assert len(seen) == SETTINGS.steps
    for context in seen:
        assert close(context, expected) < 1e-4
    assert close(contexts(origin_scale=0.0)[0], expected) > 0.01


def test_without_fusion_the_texts_are_seen_as_they_are(contexts, encoded, close):
    plainless = [dataclasses.replace(request, plain=None) for request in REQUESTS]
    expected = np.stack([encoded(text) for text in ("lowres", "lowres", *(r.prompt for r in REQUESTS))])
    seen, alone = contexts(origin_scale=0.0)[0], contexts(plainless)[0]
    assert close(seen, expected) < 1e-4
    assert (seen == alone).all(), "and the plain text makes no difference"


def test_fusion_reaches_a_picture_without_guidance(contexts, encoded, close):
    expected = np.stack([0.75 * encoded(r.prompt) + 0.25 * encoded(r.plain) for r in REQUESTS])
    assert close(contexts(guidance_scale=1.0, origin_scale=0.25)[0], expected) < 1e-4


def test_fusion_without_the_plain_text_is_refused(base):
    request = Request("a", "an image of a dog in style_00", 0)
    with pytest.raises(ValueError, match="plain text of every request"):
        list(draw(base, [request], dataclasses.replace(SETTINGS, origin_scale=0.5), 32, None))
