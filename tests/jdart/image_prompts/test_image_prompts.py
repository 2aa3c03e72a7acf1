"""Image prompts against diffusers on miniature weights; files and encoders that do not fit."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from miniature_adapters import KINDS, WORDS, adapter, clip_folder, dino_folder, picture, save

from contest.errors import UserError
from jdart.config import GenerateConfig, IPAdapterConfig, StyleAlignedConfig, WeightedImage, WeightedLayer
from jdart.config.problem import Problem
from jdart.generation.draw import Request, draw
from jdart.generation.guided import Guided
from jdart.image_prompts.adapter import cross_attentions, read_adapter
from jdart.image_prompts.encoder import ImageEncoder
from jdart.image_prompts.prompt import beside, prompted, read_prompt
from jdart.models.encode import encode_text
from jdart.models.networks.unet_config import UNetConfig
from jdart.models.presets import PRESETS

PICTURES = [picture(1), picture(2)]
REQUESTS = [Request("a", "a red cat", 1), Request("b", "a blue dog", 2), Request("c", "a house", 3)]


def unet_of(folder):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(folder / "unet").eval()


def prompt_for(base, path, folder, settings=None, pictures=PICTURES, kind="clip"):
    settings = IPAdapterConfig(weights=str(path)) if settings is None else settings
    return read_prompt(
        base, read_adapter(path, base.configs["unet"]), ImageEncoder(folder, kind), pictures, settings, {}
    )


def ours(base, prompt, x, t, scale=3.0):
    """The guided output at x (B, ...) with the same text for each."""
    import jittor as jt

    context, negative = (np.repeat(encode_text(base, base.tokens([text])), len(x), 0) for text in ("a cat", ""))
    settings = GenerateConfig(sampler="ddim", guidance_scale=scale)
    with jt.no_grad(), prompted(base, prompt):
        model = Guided(base, beside(context, prompt.tokens), beside(negative, prompt.without), settings, 1)
        return model(jt.array(x), t).numpy()


def theirs(base, folder, adapters, images, scales, model, x, t, scale=3.0):
    """The same by diffusers: `images` of each of the `adapters` (state dicts), scales as its pipeline takes them."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPImageProcessor

    unet = unet_of(folder)
    side = model.config.image_size
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", clip_sample=False)
    pipe = StableDiffusionPipeline(
        AutoencoderKL.from_pretrained(folder / "vae"), None, None, unet, scheduler, None,
        CLIPImageProcessor(size=side, crop_size=side), model, requires_safety_checker=False,
    )  # fmt: skip
    pipe.load_ip_adapter(adapters, subfolder=[""] * len(adapters), weight_name=[""] * len(adapters))
    pipe.set_ip_adapter_scale(scales)
    embeds = pipe.prepare_ip_adapter_image_embeds(images, None, "cpu", len(x), True)
    text = [np.repeat(encode_text(base, base.tokens([words])), len(x), 0) for words in ("", "a cat")]
    with torch.no_grad():
        both = unet(
            torch.tensor(np.concatenate([x, x])), t, torch.tensor(np.concatenate(text)),
            added_cond_kwargs={"image_embeds": embeds},
        ).sample.numpy()  # fmt: skip
    half = len(x)
    return both[:half] + (both[half:] - both[:half]) * scale


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 4, 8, 8)).astype(np.float32)


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Folder and model of an image encoder."""
    return clip_folder(tmp_path_factory.mktemp("clip") / "image_encoder")


# --- one call of the network beside diffusers'


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_pictures_agree_with_diffusers(kind, suffix, base, base_folder, clip, tmp_path, x):
    from PIL import Image

    folder, model = clip
    state = adapter(kind, unet_of(base_folder))
    path = save(state, tmp_path / f"adapter{suffix}")
    prompt = prompt_for(base, path, folder, IPAdapterConfig(weights=str(path), scale=0.7))
    found = ours(base, prompt, x, 500)
    images = [[Image.fromarray(each) for each in PICTURES]]
    expected = theirs(base, base_folder, [state], images, 0.7, model, x, 500)
    assert np.abs(found - expected).max() < 1e-4
    plain = dataclasses.replace(prompt, scales=dict.fromkeys(prompt.scales, 0.0))
    assert np.abs(found - ours(base, plain, x, 500)).max() > 1e-2, "the pictures do something"


def test_layers_have_weights_of_their_own_as_in_diffusers(base, base_folder, clip, tmp_path, x):
    from PIL import Image

    folder, model = clip
    state = adapter("base", unet_of(base_folder))
    path = save(state, tmp_path / "adapter.bin")
    names = list(cross_attentions(base.configs["unet"]))
    assert len(names) >= 4
    layers = (WeightedLayer("up", 0.5), WeightedLayer("up.0.0", 2.0), WeightedLayer("down", 0.25))
    prompt = prompt_for(base, path, folder, IPAdapterConfig(weights=str(path), layers=layers, scale=2.0))
    scale = {"down": 0.5, "up": {"block_0": [4.0, 1.0]}}
    expected = theirs(base, base_folder, [state], [[Image.fromarray(each) for each in PICTURES]], scale, model, x, 300)
    assert prompt.scales[names[-1]] == 0 and names[-1].startswith("mid_block")
    assert np.abs(ours(base, prompt, x, 300) - expected).max() < 1e-4


def test_added_pictures_are_several_adapters_of_diffusers(base, base_folder, clip, tmp_path, x):
    from PIL import Image

    folder, model = clip
    state = adapter("plus", unet_of(base_folder))
    path = save(state, tmp_path / "adapter.bin")
    images = (WeightedImage("one", 0.3), WeightedImage("two", 1.5))
    settings = IPAdapterConfig(weights=str(path), images=images, combine="add", scale=0.5)
    shown = [Image.fromarray(each) for each in PICTURES]
    expected = theirs(base, base_folder, [state, state], shown, [0.15, 0.75], model, x, 300)
    assert np.abs(ours(base, prompt_for(base, path, folder, settings), x, 300) - expected).max() < 1e-4


@pytest.mark.parametrize("kernels", [True, False])
def test_a_weight_is_a_number_of_copies(kernels, base, base_folder, clip, tmp_path, x, monkeypatch):
    from PIL import Image

    from jdart.models.networks import layers

    if not kernels:
        monkeypatch.setattr(layers, "serves", lambda *inputs: False)
    folder, model = clip
    state = adapter("base", unet_of(base_folder))
    path = save(state, tmp_path / "adapter.bin")
    settings = IPAdapterConfig(weights=str(path), images=(WeightedImage("one"), WeightedImage("two", 3.0)))
    images = [[Image.fromarray(each) for each in (PICTURES[0], *[PICTURES[1]] * 3)]]
    expected = theirs(base, base_folder, [state], images, 1.0, model, x, 300)
    assert np.abs(ours(base, prompt_for(base, path, folder, settings), x, 300) - expected).max() < 1e-4


def test_dinov2_sees_what_transformers_sees(tmp_path):
    from transformers import BitImageProcessor

    folder, model = dino_folder(tmp_path / "dino")
    encoder = ImageEncoder(folder, "dino")
    pixels = BitImageProcessor.from_pretrained(folder)(PICTURES[0], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = model(pixels).last_hidden_state[0].numpy()
    np.testing.assert_allclose(encoder.features(PICTURES[0], True), expected, atol=1e-4)
    np.testing.assert_allclose(encoder.features(PICTURES[0], False), expected[0], atol=1e-4)
    assert not encoder.features(None, False).any() and encoder.features(None, False).shape == expected[0].shape


def test_stable_diffusion_has_sixteen_and_the_middle_comes_last():
    every = cross_attentions(UNetConfig.from_dict(PRESETS["sd15"]["unet"]))
    assert list(every.values()) == [320] * 2 + [640] * 2 + [1280] * 5 + [640] * 3 + [320] * 3 + [1280]


# --- drawing


@pytest.fixture
def shown(base, base_folder, clip, tmp_path):
    """Call with settings: an image prompt."""
    path = save(adapter("base", unet_of(base_folder)), tmp_path / "adapter.bin")
    return lambda **changes: prompt_for(base, path, clip[0], IPAdapterConfig(weights=str(path), **changes))


def drawn(base, prompt, requests=REQUESTS, **changes):
    settings = GenerateConfig(**{"sampler": "dpmpp_2m", "steps": 3, "guidance_scale": 3.0, "batch_size": 3, **changes})
    with prompted(base, prompt):
        pictures = {"one.png": np.ascontiguousarray(np.resize(PICTURES[0], (32, 32, 3)))}
        made = draw(base, requests, settings, 32, None, pictures, images=prompt)
        return np.stack([found for _, found in made]).astype(int)


def test_pictures_do_not_depend_on_their_batch_and_the_base_is_itself_again(base, shown):
    plain = drawn(base, None)
    prompt = shown()
    together = drawn(base, prompt)
    alone = np.concatenate([drawn(base, prompt, [request]) for request in REQUESTS])
    assert np.abs(together - alone).max() <= 1 and np.abs(together - plain).mean() > 1
    assert (drawn(base, None) == plain).all()


def test_a_scale_of_zero_is_the_plain_picture(base, shown):
    assert (drawn(base, shown(scale=0.0)) == drawn(base, None)).all()


def test_it_goes_with_shared_attention_without_guidance_and_with_sketches(base, shown):
    from jdart.generation.sketch import sketch

    prompt, aligned = shown(), StyleAlignedConfig()
    assert (drawn(base, prompt, guidance_scale=1.0) != drawn(base, None, guidance_scale=1.0)).any()
    assert (drawn(base, prompt, style_aligned=aligned) != drawn(base, None, style_aligned=aligned)).any()
    settings = GenerateConfig(sampler="ddim", steps=3, guidance_scale=3.0, batch_size=3)
    with prompted(base, prompt):
        (resting,) = sketch(base, REQUESTS, settings, 32, None, {}, 0.5, prompt)
        kept = np.stack([found for _, found in resting.drawn([2])]).astype(int)
    whole = drawn(base, prompt, sampler="ddim")
    assert np.abs(kept - whole[2:]).max() <= 1


# --- what does not fit


def test_an_adapter_for_another_base(base_folder, tmp_path):
    state = adapter("base", unet_of(base_folder), words=48)
    path = save(state, tmp_path / "other.bin")
    config = UNetConfig.from_dict(PRESETS["tiny"]["unet"])
    with pytest.raises(UserError, match=r"an IP-Adapter for another base: its tokens have 48 numbers, .* words 32"):
        read_adapter(path, config)
    with pytest.raises(UserError, match=r"there are no public IP-Adapters for Stable Diffusion 2\.1"):
        read_adapter(path, UNetConfig.from_dict(PRESETS["sd21"]["unet"]))


def changed(state, part, **changes):
    """`state` with tensors of a part in place of its own; None takes one out. Dots are written as __."""
    own = {**state[part], **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    return {**state, part: {name: tensor for name, tensor in own.items() if tensor is not None}}


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("ip_adapter", {"1__to_k_ip__weight": None}, "1 missing: 1.to_k_ip.weight"),
        ("ip_adapter", {"99__to_k_ip__weight": torch.zeros(2)}, "1 unexpected: 99.to_k_ip.weight"),
        ("ip_adapter", {"1__to_v_ip__weight": torch.zeros(3, WORDS)}, "1 mis-shaped: 1.to_v_ip.weight is"),
        ("ip_adapter", {"0__to_q_lora__down__weight": torch.zeros(2)}, "of another kind, such as one of faces"),
        ("image_proj", {"proj__bias": None}, "damaged: 1 missing: proj.bias"),
        ("image_proj", {"norm__weight": None}, "damaged ('norm.weight')"),
        ("image_proj", {"proj__weight": None}, "of another kind, such as one of faces"),
    ],
)
def test_tensors_that_are_missing_or_strange(part, changes, said, base, base_folder, tmp_path):
    path = save(changed(adapter("base", unet_of(base_folder)), part, **changes), tmp_path / "adapter.safetensors")
    with pytest.raises(UserError) as error:
        read_adapter(path, base.configs["unet"])
    assert said in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_none(base, tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a file was executed",))

    config = base.configs["unet"]
    (tmp_path / "evil.bin").write_bytes(pickle.dumps({"image_proj": Evil(), "ip_adapter": {}}, 2))
    torch.save({"image_proj": {"a": Evil()}, "ip_adapter": {}}, tmp_path / "evil-zip.bin")
    torch.save({"unet.up.to_q.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "lora.bin")
    (tmp_path / "cut.safetensors").write_bytes(b"\x99" * 30)
    said = ("no such file", "not a PyTorch file", "nothing was run", "a LoRA", "cut.safetensors")
    for name, words in zip(("none.bin", "evil.bin", "evil-zip.bin", "lora.bin", "cut.safetensors"), said):
        with pytest.raises(UserError, match=words):
            read_adapter(tmp_path / name, config)


def test_encoders_that_do_not_fit(base, base_folder, clip, tmp_path):
    path = save(adapter("base", unet_of(base_folder)), tmp_path / "adapter.bin")
    other, _ = clip_folder(tmp_path / "other", projected=28)
    with pytest.raises(UserError, match="gives 28 numbers, the IP-Adapter takes 20; name the image encoder"):
        prompt_for(base, path, other)
    with pytest.raises(UserError, match="no folder of an image encoder"):
        ImageEncoder(tmp_path / "nowhere", "clip")
    with pytest.raises(UserError, match="is of 'clip_vision_model', not 'dinov2'"):
        ImageEncoder(clip[0], "dino")
    from safetensors.torch import load_file, save_file

    weights = load_file(other / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"its weights lack 1 tensors \(visual_projection.weight\)"):
        ImageEncoder(other, "clip").features(PICTURES[0], False)


def test_a_layer_that_the_base_has_not(base, shown):
    with pytest.raises(
        UserError, match=r"generate.ip_adapter.layers: up.7; this base's cross-attentions are down\.1\.0, up\.0\.0"
    ):
        shown(layers=(WeightedLayer("up.7"),))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: IPAdapterConfig(), "weights: "),
        (lambda: IPAdapterConfig(weights="a", encoder="siglip"), "encoder: "),
        (lambda: IPAdapterConfig(weights="a", image_encoder=""), "image_encoder: "),
        (lambda: IPAdapterConfig(weights="a", images=()), "images: "),
        (lambda: IPAdapterConfig(weights="a", layers=()), "layers: "),
        (lambda: IPAdapterConfig(weights="a", combine="mean"), "combine: "),
        (lambda: IPAdapterConfig(weights="a", scale=11.0), "scale: "),
        (lambda: WeightedImage("a", 0.0), "weight: "),
        (lambda: WeightedImage(""), "path: "),
        (lambda: WeightedLayer("side.1"), "name: "),
        (lambda: WeightedLayer("up.1.0.2"), "name: "),
    ],
)
def test_settings_out_of_range(make, said):
    with pytest.raises(Problem) as problem:
        make()
    assert str(problem.value).startswith(said)
