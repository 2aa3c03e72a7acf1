"""StyleAligned and visual style prompting against their formulas in diffusers' UNet; what bad input is told."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from contest.errors import UserError
from jdart.config import GenerateConfig, StyleAlignedConfig, StyleIDConfig, StylePromptingConfig
from jdart.config.problem import Problem
from jdart.generation.attention.inversion import inverted
from jdart.generation.attention.layers import numbered, self_attentions
from jdart.generation.attention.sharing import shared_attention
from jdart.generation.draw import Request, draw
from jdart.generation.guided import Guided
from jdart.generation.references import References
from jdart.generation.samplers import SAMPLERS, sampling_plan
from jdart.models.encode import encode_text
from jdart.models.networks.unet_config import UNetConfig
from jdart.models.presets import PRESETS
from jdart.models.schedule import NoiseSchedule

ALIGNED = StyleAlignedConfig()
PROMPTING = StylePromptingConfig(layers=(-2, -1), first=0.0)
REQUESTS = [Request("a", "a red cat", 1), Request("b", "a blue dog", 2), Request("c", "a house", 3)]


def picture(seed):
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((32, 32)))


PICTURES = {"one.png": picture(1), "two.png": picture(2)}


def settings_for(method, **changes):
    name = "style_aligned" if isinstance(method, StyleAlignedConfig) else "style_prompting"
    return GenerateConfig(**{"sampler": "ddim", "steps": 4, "guidance_scale": 4.0, name: method, **changes})


def drawn(base, settings, requests=REQUESTS[:1], pictures=PICTURES, average=None):
    return np.stack([found for _, found in draw(base, requests, settings, 32, average, pictures)]).astype(int)


# --- which attentions there are


def test_the_attentions_are_diffusers_and_in_the_order_of_the_way(base_folder):
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    passed = []
    for name, module in unet.named_modules():
        if name.endswith(".attn1"):
            module.register_forward_hook(lambda *_, name=name: passed.append(name))
    with torch.no_grad():
        unet(torch.zeros(1, 4, 8, 8), 5, torch.zeros(1, 77, 32))
    assert list(self_attentions(UNetConfig.from_dict(PRESETS["tiny"]["unet"]))) == passed


@pytest.mark.parametrize("preset", ["sd15", "sd21"])
def test_stable_diffusion_has_sixteen(preset):
    every = self_attentions(UNetConfig.from_dict(PRESETS[preset]["unet"]))
    assert len(every) == 16
    blocks = [name.split(".attentions")[0] for name in every]
    assert blocks[5:8] == ["down_blocks.2", "mid_block", "up_blocks.1"]


def test_numbers_count_from_both_ends():
    config = UNetConfig.from_dict(PRESETS["sd21"]["unet"])
    every = self_attentions(config)
    assert numbered(config, (0, -1, 15), "k") == (every[0], every[15])
    assert numbered(config, None, "k") == every
    for number in (16, -17):
        with pytest.raises(UserError, match=rf"^k: {number}; this base has the self-attentions 0 to 15"):
            numbered(config, (number,), "k")


# --- one call of the network, in PyTorch


def with_torch(folder, latent, x, t, texts, reference_texts, settings, chosen):
    """The UNet's output (2, ...) at x with the reference's latent beside it, by the formulas written out anew."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    store = {}

    class Processor:
        reading = True

        def __init__(self, name):
            self.name = name

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
            q, k, v = (
                layer(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2)
                for layer in (attn.to_q, attn.to_k, attn.to_v)
            )  # B,heads,N,d
            depth, bias = q.shape[-1], 0
            if Processor.reading:
                store[self.name] = (q, k, v)
            elif isinstance(settings, StyleAlignedConfig):
                rows = [0, 0, 1, 1] if len(q) == 4 else [0, 0]
                rq, rk, rv = (part[rows] for part in store[self.name])

                def adain(own, other):
                    one, two = (torch.std_mean(y, dim=2, keepdim=True, unbiased=False) for y in (own, other))
                    return (own - one[1]) / one[0] * two[0] + two[1]

                if settings.adain:
                    q, k = adain(q, rq), adain(k, rk)
                bias = torch.cat([torch.full((rk.shape[2],), settings.shift), torch.zeros(k.shape[2])])
                k, v = torch.cat([rk * settings.scale, k], dim=2), torch.cat([rv, v], dim=2)
            else:
                rows = [0, 0, 1, 1] if len(q) == 4 else [0, 0]
                k, v = (part[rows] for part in store[self.name][1:])
            weights = (q @ k.transpose(2, 3) / depth**0.5 + bias).softmax(-1)
            return attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))

    unet.set_attn_processor({n: Processor(n) if n in chosen else p for n, p in unet.attn_processors.items()})
    with torch.no_grad():
        unet(torch.tensor(np.concatenate([latent] * len(reference_texts))), t, torch.tensor(reference_texts))
        Processor.reading = False
        return unet(torch.tensor(x), t, torch.tensor(texts)).sample.numpy()


METHODS = [
    ALIGNED,
    dataclasses.replace(ALIGNED, prompt="a tree"),
    StyleAlignedConfig(shift=-1.5, scale=0.6, adain=False, layers=(0, -1)),
    PROMPTING,
    dataclasses.replace(PROMPTING, prompt="a tree", layers=None),
]


@pytest.mark.parametrize("scale", [1.0, 4.0])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_one_call_agrees_with_pytorch(method, scale, base, base_folder, rng):
    import jittor as jt

    settings = settings_for(method, guidance_scale=scale)
    plan = sampling_plan(base.schedule, "ddim", 4)
    texts = [encode_text(base, base.tokens([text])) for text in ("", method.prompt, "a cat", "a dog")]
    x = rng.standard_normal((2, 4, 8, 8)).astype(np.float32)
    t = plan.timesteps[1]
    with jt.no_grad():
        around = shared_attention(base, plan, settings, References(base, PICTURES))
        latent = around.__self__.latents[t].numpy()
        model = Guided(base, np.concatenate(texts[2:]), np.concatenate([texts[0]] * 2), settings, 4)
        ours = around(model)(jt.array(x), t).numpy()
        plain = model(jt.array(x), t).numpy()
    chosen = [f"{name}.processor" for name in numbered(base.configs["unet"], method.layers, "")]
    pictures, of_reference = (texts[2:], texts[1:2]) if scale == 1 else ([texts[0], texts[0], *texts[2:]], texts[:2])
    expected = with_torch(
        base_folder, latent, np.concatenate([x] * (len(pictures) // 2)), t,
        np.concatenate(pictures), np.concatenate(of_reference), method, chosen,
    )  # fmt: skip
    if scale != 1:
        expected = expected[:2] + (expected[2:] - expected[:2]) * scale
    assert np.abs(ours - expected).max() < 1e-4
    assert np.abs(ours - plain).max() > 1e-2, "the method does something"


@pytest.mark.parametrize("queries", [None, 24])
def test_attention_in_two_lists_is_that_to_both(queries, rng, monkeypatch):
    """Without kernels too, in slices of queries; the whole softmax is PyTorch's."""
    import jittor as jt

    from jdart.models.networks import layers

    q, k, v = (rng.standard_normal((2, n, 16)).astype(np.float32) * 3 for n in (64, 40, 40))
    tensors = [torch.tensor(a).unflatten(2, (4, 4)).transpose(1, 2) for a in (q, k, v)]
    logits = tensors[0] @ tensors[1].transpose(2, 3) / 2
    expected = (logits.softmax(-1) @ tensors[2]).transpose(1, 2).flatten(2)
    for kernels in (True, False):
        if not kernels:
            monkeypatch.setattr(layers, "serves", lambda *inputs: False)
        with jt.no_grad():
            out, sums = layers.attention_with_sums(*(jt.array(a) for a in (q, k, v)), 4, queries)
        np.testing.assert_allclose(out.numpy(), expected, atol=2e-5)
        np.testing.assert_allclose(sums.numpy(), logits.logsumexp(-1), rtol=1e-5, atol=1e-5)


# --- the reference at every timestep


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("strength", [None, 0.6])
def test_the_reference_is_inverted_over_the_timesteps_that_the_sampler_asks_for(sampler, kind, strength, rng):
    """Gaussian data of deviation 1/2 has a closed solution: a latent keeps its place among those of its level."""
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": kind}
    schedule = NoiseSchedule.from_config({**config, "steps_offset": 1})
    plan = sampling_plan(schedule, sampler, 100, strength)

    def model(x, t):
        s = float(schedule.sigma_ratio(t))
        alpha, sigma = 1 / np.sqrt(1 + s**2), s / np.sqrt(1 + s**2)
        eps = x * (sigma / (alpha**2 / 4 + sigma**2))
        return eps if kind == "epsilon" else (eps - sigma * x) / alpha

    asked = []

    def drawing(x, t):
        asked.append(t)
        return model(x, t)

    *_, _ = plan.run(drawing, rng.standard_normal((1, 2)))
    x0 = rng.standard_normal((1, 6)) / 2
    found = inverted(model, x0, plan)
    assert set(found) == set(asked)
    for t, x in found.items():
        s = float(schedule.sigma_ratio(t))
        deviation = np.sqrt((0.25 + s**2) / (1 + s**2))
        np.testing.assert_allclose(x, x0 * 2 * deviation, rtol=0.1, atol=0.02)


# --- drawing


@pytest.mark.parametrize("method", [ALIGNED, PROMPTING], ids=str)
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_pictures_do_not_depend_on_their_batch(method, kind, base_folder):
    from jdart.models.build import Base

    base = Base(base_folder)
    config = json.loads((base_folder / "scheduler" / "scheduler_config.json").read_text())
    base.__dict__["schedule"] = NoiseSchedule.from_config({**config, "prediction_type": kind})
    settings = settings_for(method, sampler="dpmpp_2m", batch_size=3)
    together = drawn(base, settings, REQUESTS)
    alone = np.concatenate([drawn(base, settings, [request]) for request in REQUESTS])
    assert np.abs(together - alone).max() <= 1
    plain = drawn(base, dataclasses.replace(settings, style_aligned=None, style_prompting=None), REQUESTS)
    assert np.abs(together - plain).mean() > 1


def test_every_setting_changes_the_picture(base):
    for method, changes in (
        (ALIGNED, ({"shift": -3.0}, {"scale": 0.3}, {"adain": False})),
        (PROMPTING, ()),
    ):
        first = drawn(base, settings_for(method))
        common = ({"reference": "two.png"}, {"reference": "average"}, {"prompt": "a tree"}, {"layers": (0,)})
        for change in (*changes, *common, {"first": 0.5}, {"last": 0.5}):
            other = drawn(base, settings_for(dataclasses.replace(method, **change)))
            assert (other != first).any(), change


def test_the_first_picture_is_the_reference_and_the_average_of_one_is_itself(base):
    first = drawn(base, settings_for(ALIGNED))
    for reference in ("one.png", None):
        same = drawn(base, settings_for(dataclasses.replace(ALIGNED, reference=reference)))
        assert (same == first).all()
    alone = drawn(base, settings_for(dataclasses.replace(ALIGNED, reference="average")), pictures={"x": picture(1)})
    assert (alone == first).all()


def test_it_draws_from_the_average_picture_and_with_pndm(base):
    settings = settings_for(ALIGNED, sampler="pndm", steps=5, strength=0.7)
    plain = dataclasses.replace(settings, style_aligned=None)
    assert (drawn(base, settings, average=picture(3)) != drawn(base, plain, average=picture(3))).any()


def test_the_unet_is_itself_again_also_after_an_error(base):
    before = [type(m).__name__ for m in base.unet.modules()]
    with pytest.raises(UserError):
        drawn(base, settings_for(dataclasses.replace(ALIGNED, reference="three.png")))
    drawn(base, settings_for(ALIGNED))
    assert [type(m).__name__ for m in base.unet.modules()] == before


# --- bad input


def test_a_reference_that_is_none_and_a_layer_that_is_none(base):
    with pytest.raises(UserError, match=r"^generate.style_aligned.reference: 'x.png' is no picture of the style; "):
        drawn(base, settings_for(dataclasses.replace(ALIGNED, reference="x.png")))
    with pytest.raises(UserError, match=r"^generate.style_prompting.layers: 4; this base has the self-attentions 0"):
        drawn(base, settings_for(dataclasses.replace(PROMPTING, layers=(4,))))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StyleAlignedConfig(reference=""), "reference: "),
        (lambda: StyleAlignedConfig(layers=()), "layers: "),
        (lambda: StyleAlignedConfig(first=0.5, last=0.5), "first, last: "),
        (lambda: StyleAlignedConfig(shift=21.0), "shift: "),
        (lambda: StyleAlignedConfig(scale=0.0), "scale: "),
        (lambda: StylePromptingConfig(last=1.1), "first, last: "),
        (lambda: settings_for(dataclasses.replace(ALIGNED, first=0.99)), "style_aligned.first, last: none of 4 steps"),
        (lambda: settings_for(ALIGNED, style_prompting=PROMPTING), "style_aligned, style_prompting: "),
    ],
)
def test_settings_out_of_range(make, said):
    with pytest.raises(Problem) as problem:
        make()
    assert str(problem.value).startswith(said)


def test_it_goes_with_styleid_which_comes_after():
    settings = settings_for(ALIGNED, styleid=StyleIDConfig())
    assert settings.looks_at_references and settings.styleid is not None
