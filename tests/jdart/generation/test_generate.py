"""Drawing: the whole pipeline against diffusers', and what a picture may and may not depend on."""

import dataclasses

import numpy as np
import pytest
import torch

from jdart.config import GenerateConfig
from jdart.data.seeds import rng_for
from jdart.generation.draw import Request, draw

SETTINGS = GenerateConfig(sampler="ddim", steps=6, guidance_scale=3.0, negative_prompt="lowres", batch_size=2)
REQUESTS = [
    Request(str(n), f"an image of {word} in style_00", 100 + n) for n, word in enumerate(("dog", "ice cream", "moon"))
]


def pictures(base, settings=SETTINGS, requests=REQUESTS, average=None, size=32):
    return [picture for _, picture in draw(base, requests, settings, size, average)]


def test_diffusers_draws_the_same_pictures(base, base_folder):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(base_folder, safety_checker=None, requires_safety_checker=False)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.set_progress_bar_config(disable=True)
    latents = np.stack([rng_for("noise", r.seed).standard_normal((4, 8, 8), np.float32) for r in REQUESTS])
    expected = pipe(
        [request.prompt for request in REQUESTS],
        negative_prompt=["lowres"] * 3,
        num_inference_steps=6,
        guidance_scale=3.0,
        latents=torch.tensor(latents),
        height=32,
        width=32,
        output_type="np",
    ).images
    ours = np.stack(pictures(base))
    difference = np.abs(ours.astype(int) - np.rint(expected * 255).astype(int))
    assert difference.max() <= 1
    assert ours.std() > 10


def test_a_picture_depends_on_its_request_alone(base):
    whole = pictures(base)
    alone = [pictures(base, requests=[request])[0] for request in REQUESTS]
    reverse = pictures(base, requests=REQUESTS[::-1])[::-1]
    larger = pictures(base, dataclasses.replace(SETTINGS, batch_size=3))
    for other in (alone, reverse, larger):
        for a, b in zip(whole, other):
            assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_the_seed_decides_the_noise(base):
    a = pictures(base, requests=[Request("a", "x", 0)])[0]
    again = pictures(base, requests=[Request("b", "x", 0)])[0]
    other = pictures(base, requests=[Request("a", "x", 1)])[0]
    assert (a == again).all()
    assert (a != other).any()


@pytest.mark.parametrize(
    "change",
    [
        {"sampler": "euler"},
        {"steps": 4},
        {"guidance_scale": 0.0},
        {"guidance_scale": 1.0},
        {"negative_prompt": "blue"},
    ],
    ids=str,
)
def test_every_option_changes_the_picture(change, base):
    assert (pictures(base)[0] != pictures(base, dataclasses.replace(SETTINGS, **change))[0]).any()


def test_guidance_zero_ignores_the_prompt_and_one_ignores_the_negative(base):
    zero = dataclasses.replace(SETTINGS, guidance_scale=0.0)
    texts = [[Request("a", text, 5)] for text in ("a dog", "the moon")]
    one, two = (pictures(base, zero, requests)[0] for requests in texts)
    assert (one == two).all()
    guided = dataclasses.replace(SETTINGS, guidance_scale=1.0)
    negatives = [pictures(base, dataclasses.replace(guided, negative_prompt=n), texts[0])[0] for n in ("", "red")]
    assert (negatives[0] == negatives[1]).all()


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc", "euler", "pndm"])
def test_average_image_start(sampler, base, monkeypatch):
    """The UNet runs floor(N * strength) steps, and a weaker start stays nearer to the average picture."""
    average = np.zeros((32, 32, 3), np.uint8)
    average[:, 16:] = 255
    calls = []
    original = type(base.unet).execute
    monkeypatch.setattr(type(base.unet), "execute", lambda self, *a: calls.append(1) or original(self, *a))
    weak = dataclasses.replace(SETTINGS, sampler=sampler, steps=10, strength=0.3)
    pictures(base, weak, REQUESTS[:1], average)
    assert len(calls) == 3 + (sampler == "pndm")
    strong = dataclasses.replace(weak, strength=0.9)
    decoded = _round_trip(base, average)
    near, far = (pictures(base, s, REQUESTS[:1], average)[0].astype(float) for s in (weak, strong))
    assert np.abs(near - decoded).mean() < np.abs(far - decoded).mean()


def _round_trip(base, picture):
    import jittor as jt

    from jdart.data.pictures import to_model_range, to_pixels

    with jt.no_grad():
        mean, _ = base.vae.encode(jt.array(to_model_range(picture)[None]))
        return to_pixels(base.vae.decode(mean).numpy()[0]).astype(float)


def test_vae_sample_and_noise_are_different_draws():
    request = REQUESTS[0]
    a, b = (rng_for(purpose, request.seed).standard_normal(1000) for purpose in ("vae sample", "noise"))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
