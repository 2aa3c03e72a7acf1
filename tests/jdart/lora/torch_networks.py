"""diffusers' own miniature networks in double precision, and what they give with deltas added to their weights."""

from contextlib import contextmanager

import numpy as np
import torch

NETWORKS = ("unet", "text_encoder")


def make_pipeline(base_folder, conv_projections):
    """A pipeline of the base's shapes; with 1x1 convolutions around its transformers, as SD 1 has them, if asked."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    pipe = StableDiffusionPipeline.from_pretrained(base_folder)
    if conv_projections:
        torch.manual_seed(5)
        pipe.unet = UNet2DConditionModel.from_config({**pipe.unet.config, "use_linear_projection": False})
    pipe.unet.double().eval()
    pipe.text_encoder.double().eval()
    return pipe


def layers(network):
    """Layer name in the checkpoint -> its module, of every linear layer and convolution."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    named = {name: module for name, module in network.named_modules() if isinstance(module, kinds)}
    flat = any(name.startswith("encoder.layers.") for name in named)  # transformers 5
    return {f"text_model.{name}" if flat else name: module for name, module in named.items()}


def outputs(pipe):
    """What both networks give for a fixed input."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.float64)
    text = torch.randn(1, 7, pipe.unet.config.cross_attention_dim, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        return {
            "unet": pipe.unet(x, torch.tensor([300]), text).sample.numpy(),
            "text_encoder": pipe.text_encoder(torch.tensor([[49406, 320, 1929, 49407]])).last_hidden_state.numpy(),
        }


@contextmanager
def added(pipe, pairs):
    """The networks with B A alpha/rank (alpha/sqrt(rank) with rsLoRA) in their weights, computed here in double."""
    kept = []
    for network, own in pairs.items():
        modules = layers(getattr(pipe, network))
        for name, pair in own.items():
            weight = modules[name].weight
            kept.append((weight, weight.detach().clone()))
            weight.data += torch.from_numpy(delta(pair)).reshape(weight.shape)
    yield
    for weight, plain in kept:
        weight.data.copy_(plain)


def delta(pair):
    rank = len(pair.a)
    scale = pair.alpha / (rank**0.5 if pair.rslora else rank)
    product = pair.b.reshape(len(pair.b), -1).astype(np.float64) @ pair.a.reshape(rank, -1).astype(np.float64)
    return scale * product
