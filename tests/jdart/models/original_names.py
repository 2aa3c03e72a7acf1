"""Miniature Stable Diffusion 1 and 2 as one file, under the names of CompVis' and Stability's code."""

from types import SimpleNamespace

import numpy as np
import torch
from diffusers.loaders import single_file_utils as theirs
from safetensors.numpy import load_file

WIDTHS, TIME, TEXT = (64, 128), 256, 64


def shapes_of(version, layers=2):
    """Name -> shape; version 2 has linear projections and OpenCLIP's tower, with one layer that is not read."""
    words = clip(layers) if version == 1 else open_clip(layers)
    return {**unet(version == 2), **vae(), **words}


def checkpoint(version, layers=2):
    """Name -> float32 array."""
    rng = np.random.default_rng(version)
    return {name: drawn(rng, shape) for name, shape in shapes_of(version, layers).items()}


def drawn(rng, shape):
    return rng.standard_normal(shape).astype(np.float32) * 0.05


def presets(version):
    """The same shapes as configurations of a folder, for `jdart.models.presets.PRESETS`."""
    from jdart.models.presets import CROSS, SD21_TEXT, SD21_UNET, SD_SCHEDULER, SD_TEXT, SD_UNET, SD_VAE, V_PREDICTION

    second = version == 2
    ends = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    blocks = {"down_block_types": [CROSS, "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]}
    heads = {"attention_head_dim": [1, 2] if second else 8, "cross_attention_dim": TEXT, "sample_size": 64}
    words = {"hidden_size": TEXT, "intermediate_size": 4 * TEXT, "num_attention_heads": 1, "num_hidden_layers": 2}
    return {
        "unet": {**(SD21_UNET if second else SD_UNET), "block_out_channels": list(WIDTHS), **blocks, **heads},
        "vae": {**SD_VAE, "block_out_channels": [32, 64], "layers_per_block": 1, **ends},
        "text_encoder": {**(SD21_TEXT if second else SD_TEXT), **words},
        "scheduler": V_PREDICTION if second else SD_SCHEDULER,
    }


def as_one_file(folder, version):
    """Name -> array of a folder's base as one file, by diffusers' own conversion of numbers that stand for names."""
    shapes = shapes_of(version)
    names = list(shapes)
    numbers = {name: torch.tensor(float(number)).expand(shapes[name]) for number, name in enumerate(names)}
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=TEXT))
    converted = {
        "unet": theirs.convert_ldm_unet_checkpoint(numbers, {"layers_per_block": 2}),
        "vae": theirs.convert_ldm_vae_checkpoint(numbers, {"down_block_types": [0, 0], "up_block_types": [0, 0]}),
        "text_encoder": theirs.convert_ldm_clip_checkpoint(numbers)
        if version == 1
        else theirs.convert_open_clip_checkpoint(model, numbers),
    }
    found = {name: [] for name in names}  # what goes into each tensor, in its order
    for part, targets in converted.items():
        tensors = load_file(next((folder / part).glob("*.safetensors")))
        for target, number in targets.items():
            if target in tensors:
                found[names[int(number.reshape(-1)[0])]].append(tensors[target])
    rng = np.random.default_rng(version)
    return {  # a layer that is not read is in no folder
        name: np.concatenate(pieces).reshape(shapes[name]) if pieces else drawn(rng, shapes[name])
        for name, pieces in found.items()
    }


def linear(name, out, into, bias=True):
    return {f"{name}.weight": (out, into), **({f"{name}.bias": (out,)} if bias else {})}


def conv(name, out, into, size=3):
    return {f"{name}.weight": (out, into, size, size), f"{name}.bias": (out,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def res(name, into, out):
    skip = conv(f"{name}.skip_connection", out, into, 1) if into != out else {}
    return {
        **norm(f"{name}.in_layers.0", into),
        **conv(f"{name}.in_layers.2", out, into),
        **linear(f"{name}.emb_layers.1", out, TIME),
        **norm(f"{name}.out_layers.0", out),
        **conv(f"{name}.out_layers.3", out, out),
        **skip,
    }


def transformer(name, width, linear_projection):
    block = f"{name}.transformer_blocks.0"
    project = linear if linear_projection else (lambda n, a, b: conv(n, a, b, 1))
    found = {**norm(f"{name}.norm", width), **project(f"{name}.proj_in", width, width)}
    for attention, context in (("attn1", width), ("attn2", TEXT)):
        found.update(linear(f"{block}.{attention}.to_q", width, width, False))
        for leaf in ("to_k", "to_v"):
            found.update(linear(f"{block}.{attention}.{leaf}", width, context, False))
        found.update(linear(f"{block}.{attention}.to_out.0", width, width))
    found.update(linear(f"{block}.ff.net.0.proj", 8 * width, width))
    found.update(linear(f"{block}.ff.net.2", width, 4 * width))
    for number in (1, 2, 3):
        found.update(norm(f"{block}.norm{number}", width))
    return {**found, **project(f"{name}.proj_out", width, width)}


def unet(linear_projection, into=4):
    """Two levels of two layers: attention at the first alone, as the last of Stable Diffusion has none."""
    (a, b), attend = WIDTHS, lambda name, width: transformer(name, width, linear_projection)
    found = {
        **linear("time_embed.0", TIME, a),
        **linear("time_embed.2", TIME, TIME),
        **conv("input_blocks.0.0", a, into),
    }
    for place in (1, 2):
        found.update({**res(f"input_blocks.{place}.0", a, a), **attend(f"input_blocks.{place}.1", a)})
    found.update(conv("input_blocks.3.0.op", a, a))
    found.update({**res("input_blocks.4.0", a, b), **res("input_blocks.5.0", b, b)})
    found.update({**res("middle_block.0", b, b), **attend("middle_block.1", b), **res("middle_block.2", b, b)})
    for place, skip in enumerate((b, b, a)):
        found.update(res(f"output_blocks.{place}.0", b + skip, b))
    found.update(conv("output_blocks.2.1.conv", b, b))
    for place, below in ((3, b), (4, a), (5, a)):
        found.update({**res(f"output_blocks.{place}.0", below + a, a), **attend(f"output_blocks.{place}.1", a)})
    found.update({**norm("out.0", a), **conv("out.2", 4, a)})
    return {f"model.diffusion_model.{name}": shape for name, shape in found.items()}


def vae(latent=4, prefix="first_stage_model."):
    (a, b), found = (32, 64), {}

    def block(name, into, out):
        shortcut = conv(f"{name}.nin_shortcut", out, into, 1) if into != out else {}
        found.update({**norm(f"{name}.norm1", into), **conv(f"{name}.conv1", out, into)})
        found.update({**norm(f"{name}.norm2", out), **conv(f"{name}.conv2", out, out), **shortcut})

    for side, into, out in (("encoder", 3, 2 * latent), ("decoder", latent, 3)):
        found.update(conv(f"{side}.conv_in", a if side == "encoder" else b, into))
        for number in (1, 2):
            block(f"{side}.mid.block_{number}", b, b)
        found.update(norm(f"{side}.mid.attn_1.norm", b))
        for leaf in ("q", "k", "v", "proj_out"):
            found.update(conv(f"{side}.mid.attn_1.{leaf}", b, b, 1))
        last = b if side == "encoder" else a
        found.update({**norm(f"{side}.norm_out", last), **conv(f"{side}.conv_out", out, last)})
    block("encoder.down.0.block.0", a, a)
    found.update(conv("encoder.down.0.downsample.conv", a, a))
    block("encoder.down.1.block.0", a, b)
    for number in (0, 1):  # the decoder counts from the picture: level 1 comes first
        block(f"decoder.up.1.block.{number}", b, b)
        block(f"decoder.up.0.block.{number}", b if number == 0 else a, a)
    found.update(conv("decoder.up.1.upsample.conv", b, b))
    found.update({**conv("quant_conv", 2 * latent, 2 * latent, 1), **conv("post_quant_conv", latent, latent, 1)})
    return {f"{prefix}{name}": shape for name, shape in found.items()}


def clip(layers, width=TEXT):
    prefix = "cond_stage_model.transformer.text_model."
    found = {"embeddings.token_embedding.weight": (49408, width), "embeddings.position_embedding.weight": (77, width)}
    for number in range(layers):
        layer = f"encoder.layers.{number}"
        for leaf in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found.update(linear(f"{layer}.self_attn.{leaf}", width, width))
        found.update({**norm(f"{layer}.layer_norm1", width), **norm(f"{layer}.layer_norm2", width)})
        found.update({**linear(f"{layer}.mlp.fc1", 4 * width, width), **linear(f"{layer}.mlp.fc2", width, 4 * width)})
    found.update(norm("final_layer_norm", width))
    return {f"{prefix}{name}": shape for name, shape in found.items()}


def open_clip(layers, width=TEXT):
    found = {"token_embedding.weight": (49408, width), "positional_embedding": (77, width)}
    for number in range(layers + 1):
        layer = f"transformer.resblocks.{number}"
        found.update({f"{layer}.attn.in_proj_weight": (3 * width, width), f"{layer}.attn.in_proj_bias": (3 * width,)})
        found.update(linear(f"{layer}.attn.out_proj", width, width))
        found.update({**norm(f"{layer}.ln_1", width), **norm(f"{layer}.ln_2", width)})
        found.update(linear(f"{layer}.mlp.c_fc", 4 * width, width))
        found.update(linear(f"{layer}.mlp.c_proj", width, 4 * width))
    found.update({**norm("ln_final", width), "text_projection": (width, width), "logit_scale": (1,)})
    return {f"cond_stage_model.model.{name}": shape for name, shape in found.items()}
