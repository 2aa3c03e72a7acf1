"""IP-Adapters and image encoders in miniature, in the public layout, with random numbers that do something."""

import numpy as np
import torch

WIDTH, PROJECTED, SIDE = 24, 20, 16  # of the image encoder: hidden, projected, pixels
WORDS = 32  # of the miniature base
KINDS = ("base", "plus", "full")


def clip_folder(folder, seed=0, size=SIDE, projected=PROJECTED):
    """A CLIP vision model with projection, as transformers writes it; returns the folder and the model."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=48, projection_dim=projected, num_hidden_layers=3, num_attention_heads=4,
        image_size=size, patch_size=8, initializer_factor=8.0,
    )  # fmt: skip
    model = CLIPVisionModelWithProjection(config).eval()
    model.save_pretrained(folder)
    return folder, model


def dino_folder(folder, seed=0):
    """A DINOv2 with its preprocessing; returns the folder and the model."""
    import json

    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(seed)
    config = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=32, patch_size=8
    )
    model = Dinov2Model(config).eval()
    model.save_pretrained(folder)
    size = {"size": {"shortest_edge": 18}, "crop_size": {"height": SIDE, "width": SIDE}}
    colours = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (folder / "preprocessor_config.json").write_text(json.dumps({**size, **colours, "resample": 3}))
    return folder, model


def image_proj(kind, rng, words=WORDS):
    """Tensors of a projection, under the public names."""

    def draw(*shape, around=0.0):
        return (around + rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def norm(name, width):
        return {f"{name}.weight": draw(width, around=1), f"{name}.bias": draw(width)}

    if kind == "base":
        tensors = {"proj.weight": draw(4 * words, PROJECTED), "proj.bias": draw(4 * words), **norm("norm", words)}
    elif kind == "full":
        tensors = {
            "proj.0.weight": draw(WIDTH, WIDTH), "proj.0.bias": draw(WIDTH),
            "proj.2.weight": draw(words, WIDTH), "proj.2.bias": draw(words), **norm("proj.3", words),
        }  # fmt: skip
    else:
        inner = 40
        tensors = {
            "latents": draw(1, 3, inner), "proj_in.weight": draw(inner, WIDTH), "proj_in.bias": draw(inner),
            "proj_out.weight": draw(words, inner), "proj_out.bias": draw(words), **norm("norm_out", words),
        }  # fmt: skip
        for layer in ("layers.0", "layers.1", "layers.2", "layers.3"):  # diffusers' network has four
            tensors.update(norm(f"{layer}.0.norm1", inner))
            tensors.update(norm(f"{layer}.0.norm2", inner))
            tensors[f"{layer}.0.to_q.weight"] = draw(128, inner)
            tensors[f"{layer}.0.to_kv.weight"] = draw(256, inner)
            tensors[f"{layer}.0.to_out.weight"] = draw(inner, 128)
            tensors.update(norm(f"{layer}.1.0", inner))
            tensors[f"{layer}.1.1.weight"] = draw(4 * inner, inner)
            tensors[f"{layer}.1.3.weight"] = draw(inner, 4 * inner)
    return {name: torch.from_numpy(array) for name, array in tensors.items()}


def adapter(kind, unet, seed=0, words=WORDS):
    """{"image_proj": ..., "ip_adapter": ...} for diffusers' `unet`."""
    rng = np.random.default_rng(seed)
    projection = image_proj(kind, rng, words)
    attentions, number = {}, 1
    for name in unet.attn_processors:  # diffusers' own order
        if "attn2" in name:
            width = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for leaf in ("to_k_ip", "to_v_ip"):
                drawn = rng.standard_normal((width, words)) / np.sqrt(words)
                attentions[f"{number}.{leaf}.weight"] = torch.from_numpy(drawn.astype(np.float32))
            number += 2
    return {"image_proj": projection, "ip_adapter": attentions}


def save(state, path):
    """Write an adapter in the layout that the ending of `path` names."""
    from safetensors.torch import save_file

    if path.suffix == ".bin":
        torch.save(state, path)
    else:
        save_file({f"{part}.{name}": tensor for part, own in state.items() for name, tensor in own.items()}, path)
    return path


def picture(seed, size=(20, 26)):
    """(H, W, 3) uint8 with broad shapes in it."""
    from PIL import Image

    small = np.random.default_rng(seed).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    return np.array(Image.fromarray(small).resize(size[::-1]))
