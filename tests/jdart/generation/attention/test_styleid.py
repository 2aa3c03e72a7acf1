"""DDIM inversion and StyleID against diffusers' inverse scheduler, closed forms and attention processors in PyTorch."""

import json

import numpy as np
import pytest
import torch

from jdart.config import StyleIDConfig
from jdart.data.pictures import to_model_range, to_pixels
from jdart.generation.attention.inversion import inversion_plan, invert
from jdart.generation.attention.layers import of_the_decoder
from jdart.generation.attention.styleid import adain, inject, read_style
from jdart.models.schedule import NoiseSchedule

SCHEDULER = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
SMALL = StyleIDConfig(steps=4)


def picture(seed):
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((32, 32)))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("to_one", [False, True])
def test_inversion_steps_as_diffusers_does(kind, to_one, rng):
    from diffusers import DDIMInverseScheduler

    config = {**SCHEDULER, "prediction_type": kind, "set_alpha_to_one": to_one}
    theirs = DDIMInverseScheduler(**config, clip_sample=False, timestep_spacing="leading")
    theirs.set_timesteps(10)
    outputs = rng.standard_normal((10, 1, 4, 3, 3)).astype(np.float32)
    x0 = rng.standard_normal((1, 4, 3, 3)).astype(np.float32)
    expected, x = [], torch.tensor(x0)
    for t, output in zip(theirs.timesteps, outputs):
        x = theirs.step(torch.tensor(output), t, x).prev_sample
        expected.append(x.numpy())
    asked = []

    def model(x, t):
        asked.append(t)
        return outputs[len(asked) - 1]

    ours = list(invert(model, x0, inversion_plan(NoiseSchedule.from_config(config), 10)))
    assert asked == theirs.timesteps.tolist()
    for a, b in zip(ours, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_inverting_and_drawing_comes_back_where_the_output_depends_on_the_time_alone(rng):
    """Then the step up is the exact inverse of the step down, whatever the number of steps."""
    plan = inversion_plan(NoiseSchedule.from_config({**SCHEDULER, "prediction_type": "v_prediction"}), 7)
    x0 = rng.standard_normal((2, 4, 3, 3)).astype(np.float32)

    # noise that depends on t alone: v = (eps - sigma x) / alpha at the level the latent stands at
    def model_at(levels):
        steps = iter(levels)

        def model(x, t):
            s = next(steps)
            alpha = 1 / np.sqrt(1 + s**2)
            return ((np.sin(t) - s * alpha * x) / alpha).astype(np.float32)

        return model

    *_, noise = invert(model_at(plan.sigmas[:0:-1]), x0, plan)
    *_, back = plan.run(model_at(plan.sigmas[:-1]), noise)
    np.testing.assert_allclose(back, x0, atol=1e-4)


def test_finer_steps_come_back_nearer(rng):
    """The noise of a Gaussian's score, in closed form: inversion and drawing cancel as the steps become small."""
    schedule = NoiseSchedule.from_config({**SCHEDULER, "prediction_type": "epsilon"})
    x0 = rng.standard_normal((1, 4, 4, 4)).astype(np.float32)

    def model(x, t):  # data of deviation 1/2: eps = sigma x / (alpha^2 / 4 + sigma^2)
        s = float(schedule.sigma_ratio(t))
        return x * (s * np.sqrt(1 + s**2) / (0.25 + s**2))

    errors = []
    for steps in (10, 50, 200):
        plan = inversion_plan(schedule, steps)
        *_, noise = invert(model, x0, plan)
        *_, back = plan.run(model, noise)
        errors.append(np.abs(back - x0).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


def test_adain_gives_the_statistics_of_the_style(rng):
    content, style = rng.standard_normal((2, 1, 4, 8, 8)) * [[[[[3.0]]]], [[[[0.5]]]]] + 1
    mixed = adain(content, style)
    np.testing.assert_allclose(mixed.mean((2, 3)), style.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(mixed.std((2, 3)), style.std((2, 3)), rtol=1e-4)
    np.testing.assert_allclose(adain(content, content), content, atol=1e-5)


def test_layers_are_the_last_of_the_decoder():
    """In Stable Diffusion they are layers 7 to 11 of the paper: up_blocks[i // 3].attentions[i % 3]."""
    from jdart.models.networks.unet_config import UNetConfig
    from jdart.models.presets import PRESETS

    paper = [f"up_blocks.{i // 3}.attentions.{i % 3}.transformer_blocks.0.attn1" for i in range(7, 12)]
    assert list(of_the_decoder(UNetConfig.from_dict(PRESETS["sd21"]["unet"]), 5)) == paper
    assert len(of_the_decoder(UNetConfig.from_dict(PRESETS["tiny"]["unet"]), 5)) == 2


def _with_torch(folder, content, style, settings):
    """StyleID in PyTorch: diffusers' networks, an attention processor of its own, the formulas written out anew."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    ids = CLIPTokenizer.from_pretrained(folder / "tokenizer")([""], padding="max_length", return_tensors="pt")
    empty = CLIPTextModel.from_pretrained(folder / "text_encoder")(ids["input_ids"])[0]
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    betas = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, 1000) ** 2
    abar = np.cumprod(1 - betas)
    assert config["prediction_type"] == "v_prediction" and not config["set_alpha_to_one"]
    stride = 1000 // settings.steps
    levels = [int(i * stride) + 1 for i in range(settings.steps)]
    below = {t: abar[max(t - stride, 0)] for t in levels}
    scaling = vae.config.scaling_factor

    class Processor:
        mode, store, key = "read", None, None

        def __init__(self, name):
            self.name = name

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
            q, k, v = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
            place = (Processor.key, self.name)
            if Processor.mode == "read":
                Processor.store[place] = (q, k, v)
            else:
                q = settings.temperature * (settings.gamma * Processor.store[0][place][0] + (1 - settings.gamma) * q)
                k, v = Processor.store[1][place][1:]
            split = [x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v)]
            weights = (split[0] @ split[1].transpose(2, 3) / split[0].shape[-1] ** 0.5).softmax(-1)
            return attn.to_out[0]((weights @ split[2]).transpose(1, 2).flatten(2))

    chosen = [n for n in unet.attn_processors if n.startswith("up_blocks") and ".attn1." in n][-settings.layers :]
    unet.set_attn_processor({n: Processor(n) if n in chosen else p for n, p in unet.attn_processors.items()})

    def read(image):
        Processor.mode, Processor.store = "read", {}
        z = vae.encode(torch.tensor(to_model_range(image))[None]).latent_dist.mean * scaling
        for t in levels:
            Processor.key = t
            a, b = below[t], abar[t]
            v = unet(z, t, empty).sample
            x0, eps = a**0.5 * z - (1 - a) ** 0.5 * v, a**0.5 * v + (1 - a) ** 0.5 * z
            z = b**0.5 * x0 + (1 - b) ** 0.5 * eps
        return z, Processor.store

    with torch.no_grad():
        (z_content, of_content), (z_style, of_style) = read(content), read(style)
        Processor.mode, Processor.store = "inject", (of_content, of_style)
        axes, keep = (2, 3), {"keepdim": True, "unbiased": False}
        z = (z_content - z_content.mean(axes, True)) / (z_content.var(axes, **keep) + 1e-6).sqrt()
        z = z * (z_style.var(axes, **keep) + 1e-6).sqrt() + z_style.mean(axes, True)
        for t in reversed(levels):
            Processor.key = t
            a, b = abar[t], below[t]
            v = unet(z, t, empty).sample
            x0, eps = a**0.5 * z - (1 - a) ** 0.5 * v, a**0.5 * v + (1 - a) ** 0.5 * z
            z = b**0.5 * x0 + (1 - b) ** 0.5 * eps
        return to_pixels(vae.decode(z / scaling).sample[0].numpy())


@pytest.mark.parametrize("settings", [SMALL, StyleIDConfig(steps=4, gamma=0.3, temperature=1.0, layers=1)], ids=str)
def test_injection_agrees_with_pytorch(settings, base, base_folder):
    content, style = picture(1), picture(2)
    ours = inject(base, content, read_style(base, style, settings), settings).astype(int)
    expected = _with_torch(base_folder, content, style, settings).astype(int)
    assert expected.std() > 10
    assert np.abs(ours - expected).max() <= 2, "float16 in what is kept"


def test_every_option_of_injection_changes_the_picture(base):
    content, style = picture(1), picture(2)
    first = inject(base, content, read_style(base, style, SMALL), SMALL)
    for change in ({"gamma": 0.2}, {"temperature": 1.0}, {"layers": 1}, {"steps": 3}):
        settings = StyleIDConfig(**{"steps": 4, **change})
        other = inject(base, content, read_style(base, style, settings), settings)
        assert (other != first).any(), change


def test_a_picture_in_its_own_style_is_itself_again(base):
    """gamma 1 and temperature 1: attention is that of the inversion, and nearer to it than another style's."""
    settings = StyleIDConfig(steps=40, gamma=1.0, temperature=1.0)
    content = picture(1)
    own = inject(base, content, read_style(base, content, settings), settings).astype(int)
    other = inject(base, content, read_style(base, picture(2), settings), settings).astype(int)
    plain = _reconstruct(base, content, settings.steps).astype(int)
    assert np.abs(own - plain).mean() < 0.2 * np.abs(other - plain).mean()


def _reconstruct(base, image, steps):
    import jittor as jt

    from jdart.generation.attention.inversion import Unguided

    plan, model = inversion_plan(base.schedule, steps), Unguided(base)
    with jt.no_grad():
        x, _ = base.vae.encode(jt.array(to_model_range(image)[None]))
        for step in invert(model, x, plan):
            step.sync()
            x = step
        for step in plan.run(model, x):
            step.sync()
            x = step
        return to_pixels(base.vae.decode(x).numpy()[0])


def test_the_unet_is_itself_again_afterwards(base):
    before = [type(m).__name__ for m in base.unet.modules()]
    inject(base, picture(1), read_style(base, picture(2), SMALL), SMALL)
    assert [type(m).__name__ for m in base.unet.modules()] == before
