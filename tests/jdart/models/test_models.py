"""The networks against diffusers and transformers on PyTorch, with the same weights, through real checkpoint files."""

import jittor as jt
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from contest.disk.files import read_json
from contest.errors import UserError
from jdart.models.config import read_config
from jdart.models.networks.text_encoder import TextConfig, TextEncoder
from jdart.models.networks.unet import UNet
from jdart.models.networks.unet_config import UNetConfig
from jdart.models.networks.vae import VAE, VAEConfig
from jdart.models.presets import PRESETS, build_network
from jdart.models.weights import load, slots_of, text_name, vae_name, weight_files

TOLERANCE = 1e-4

# The two families: SD 1.5 projects with 1x1 convolutions, SD 2.1 with linear layers and a head count a level.
UNETS = {
    "like sd15": dict(
        block_out_channels=(16, 32, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=2,
        attention_head_dim=4,
        cross_attention_dim=24,
        use_linear_projection=False,
        norm_num_groups=8,
        sample_size=16,
    ),
    "like sd21": dict(
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=(2, 4),
        cross_attention_dim=24,
        use_linear_projection=True,
        norm_num_groups=8,
        sample_size=16,
        upcast_attention=True,
    ),
}


def stirred(model, seed=0):
    """A PyTorch model whose norms and biases are not at their neutral start, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize("kind", UNETS)
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_unet_forward(kind, size, tmp_path, rng, close):
    theirs = stirred(UNet2DConditionModel(**UNETS[kind]))
    theirs.save_pretrained(tmp_path)
    ours = UNet(UNetConfig.from_dict(read_json(tmp_path / "config.json")))
    load(ours, weight_files(tmp_path, ("diffusion_pytorch_model",)))
    x, text = rng.standard_normal((2, 4, *size), np.float32), rng.standard_normal((2, 7, 24), np.float32)
    steps = np.array([7, 981])
    with torch.no_grad():
        expected = theirs(torch.tensor(x), torch.tensor(steps), torch.tensor(text)).sample.numpy()
    with jt.no_grad():
        assert close(ours(jt.array(x), steps, jt.array(text)).numpy(), expected) < TOLERANCE


@pytest.mark.parametrize("kind", UNETS)
def test_unet_gradients(kind, tmp_path, rng):
    theirs = stirred(UNet2DConditionModel(**UNETS[kind]))
    theirs.save_pretrained(tmp_path)
    ours = UNet(UNetConfig.from_dict(read_json(tmp_path / "config.json")))
    load(ours, weight_files(tmp_path, ("diffusion_pytorch_model",)))
    x, text = rng.standard_normal((2, 4, 16, 16), np.float32), rng.standard_normal((2, 7, 24), np.float32)
    steps = np.array([7, 981])
    (theirs(torch.tensor(x), torch.tensor(steps), torch.tensor(text)).sample ** 2).mean().backward()
    names, parameters = zip(*[(n, getattr(m, leaf)) for n, (m, leaf, _) in slots_of(ours)])
    gradients = jt.grad((ours(jt.array(x), steps, jt.array(text)) ** 2).mean(), list(parameters))
    expected = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}
    assert set(names) == set(expected)
    largest = max(np.abs(g).max() for g in expected.values())
    for name, gradient in zip(names, gradients):
        error = np.abs(gradient.numpy() - expected[name]).max()
        assert error < TOLERANCE * max(np.abs(expected[name]).max(), 0.01 * largest), name


def vae_pair(tmp_path):
    theirs = stirred(
        AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            scaling_factor=0.18215,
        )
    )
    theirs.save_pretrained(tmp_path)
    return VAE(VAEConfig.from_dict(read_json(tmp_path / "config.json"))), theirs


def test_vae_encode_and_decode(tmp_path, rng, close):
    ours, theirs = vae_pair(tmp_path)
    load(ours, weight_files(tmp_path, ("diffusion_pytorch_model",)), vae_name)
    picture, latents = (
        rng.uniform(-1, 1, (2, 3, 24, 32)).astype(np.float32),
        rng.standard_normal((2, 4, 12, 16), np.float32),
    )
    with torch.no_grad():
        posterior = theirs.encode(torch.tensor(picture)).latent_dist
        decoded = theirs.decode(torch.tensor(latents) / 0.18215).sample.numpy()
    with jt.no_grad():
        mean, deviation = ours.encode(jt.array(picture))
        assert close(mean.numpy(), 0.18215 * posterior.mean.numpy()) < TOLERANCE
        assert close(deviation.numpy(), 0.18215 * posterior.std.numpy()) < TOLERANCE
        assert close(ours.decode(jt.array(latents)).numpy(), decoded) < TOLERANCE


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_text_encoder(activation, tmp_path, rng, close):
    shape = dict(vocab_size=99, hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3)
    theirs = stirred(CLIPTextModel(CLIPTextConfig(hidden_act=activation, eos_token_id=98, **shape)))
    theirs.save_pretrained(tmp_path)
    ours = TextEncoder(TextConfig.from_dict(theirs.config.to_dict()))
    load(ours, weight_files(tmp_path, ("model",)), text_name)
    ids = rng.integers(0, 99, (2, 77)).astype(np.int32)
    with torch.no_grad():
        expected = theirs(torch.tensor(ids.astype(np.int64))).last_hidden_state.numpy()
    with jt.no_grad():
        assert close(ours(jt.array(ids)).numpy(), expected) < TOLERANCE


@pytest.mark.parametrize("preset", ["sd15", "sd21", "sd21-base", "tiny"])
@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_names_and_shapes_of_published_models(preset, part):
    """Every tensor of the full-size networks, without allocating them on either side."""
    config = PRESETS[preset][part]
    with torch.device("meta"):
        if part == "text_encoder":
            kept = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
            model = CLIPTextModel(CLIPTextConfig(**kept))
        else:
            model = (UNet2DConditionModel if part == "unet" else AutoencoderKL).from_config(config)
    expected = {name: tuple(value.shape) for name, value in model.named_parameters()}
    if part == "text_encoder":  # files keep this prefix whatever the library version calls the module
        expected = {name if name.startswith("text_model.") else f"text_model.{name}": s for name, s in expected.items()}
    assert {name: shape for name, (_, _, shape) in slots_of(build_network(part, config))} == expected
    if (preset, part) == ("sd21", "unet"):
        assert len(expected) == 686
        assert sum(int(np.prod(shape)) for shape in expected.values()) == 865_910_724


def test_group_norm_keeps_precision_at_a_large_mean(rng, close):
    from jdart.models.networks.layers import GroupNorm

    x = (100 + rng.standard_normal((2, 8, 16, 16))).astype(np.float32)
    expected = torch.nn.functional.group_norm(torch.tensor(x).double(), 4, eps=1e-5).float().numpy()
    assert close(GroupNorm(4, 8, 1e-5)(jt.array(x)).numpy(), expected) < TOLERANCE


@pytest.mark.parametrize(
    ("part", "change", "word"),
    [
        ("unet", {"class_embed_type": "timestep"}, "class_embed_type"),
        ("unet", {"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
        ("unet", {"attention_head_dim": [5, 10]}, "2 values for 4 blocks"),
        ("unet", {"down_block_types": ["AttnDownBlock2D"] * 4}, "AttnDownBlock2D"),
        ("vae", {"shift_factor": 0.1}, "shift_factor"),
        ("text_encoder", {"hidden_act": "relu"}, "relu"),
    ],
)
def test_a_variant_that_is_not_built_is_refused(part, change, word):
    with pytest.raises(UserError, match=word):
        build_network(part, {**PRESETS["sd21"][part], **change})


def test_read_config_reports_every_problem():
    with pytest.raises(UserError, match=r"a is 1.*b is 2"):
        read_config(VAEConfig, {"a": 1, "b": 2}, "VAE", fixed={"a": 0, "b": 0})


@pytest.mark.slow
def test_full_size_unet_forward(tmp_path, rng, close):
    """One forward of the whole SD 2.1 UNet at 512 px; prints its time and memory. About 11 GB."""
    import resource
    import time

    with torch.no_grad():
        theirs = UNet2DConditionModel.from_config(PRESETS["sd21"]["unet"]).eval()
        x, text = (
            rng.standard_normal((1, 4, 64, 64), np.float32),
            rng.standard_normal((1, 77, 1024), np.float32),
        )
        begun = time.perf_counter()
        expected = theirs(torch.tensor(x), torch.tensor([501]), torch.tensor(text)).sample.numpy()
        torch_seconds = time.perf_counter() - begun
    theirs.save_pretrained(tmp_path)
    del theirs
    ours = build_network("unet", PRESETS["sd21"]["unet"])
    load(ours, weight_files(tmp_path, ("diffusion_pytorch_model",)))
    with jt.no_grad():
        ours(jt.array(x), np.array([501]), jt.array(text)).sync()
        begun = time.perf_counter()
        result = ours(jt.array(x), np.array([501]), jt.array(text)).numpy()
    print(f"\njittor {time.perf_counter() - begun:.2f} s, PyTorch {torch_seconds:.2f} s (first call)")
    print(f"peak memory of both {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")
    assert close(result, expected) < TOLERANCE
