"""The IP-Adapter that is trained here: where it begins, its gradients beside PyTorch's, its file in diffusers."""

import numpy as np
import pytest
import torch
from miniature_adapters import WORDS

from jdart.config import IPAdapterTrainConfig, from_mapping
from jdart.image_prompts.adapter import read_adapter
from jdart.image_prompts.learning import LearntAdapter, save_adapter
from jdart.models.encode import encode_text
from jdart.training.examples import Examples
from jdart.training.learner import Learner
from jdart.training.loop import train

FEATURES = np.random.default_rng(7).standard_normal((3, 6)).astype(np.float32)


def config(**changes):
    raw = {
        "lora": {"r": 2},
        "train": {"steps": 3, "batch_size": 2, "learning_rate": 1e-3, "ip_adapter": {"learning_rate": 1e-2}},
        "generate": {"ip_adapter": {"encoder": "dino"}},
    }
    return from_mapping({**raw, **changes})


def examples(count=3):
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((count, 4, 8, 8)).astype(np.float32)
    return Examples(latents, np.zeros_like(latents), np.array(["a cat", "a dog", "a tree"][:count]), None)


def unet_output(base, context):
    import jittor as jt

    x = np.random.default_rng(2).standard_normal((len(context), 4, 8, 8)).astype(np.float32)
    with jt.no_grad():
        return base.unet(jt.array(x), np.full(len(context), 300), jt.array(context)).numpy()


def test_the_beginning_is_the_base_as_it_is_and_the_end_too(base, rng):
    import jittor as jt

    text = encode_text(base, base.tokens(["a cat", "a dog"]))
    plain = unet_output(base, text)
    own = LearntAdapter(base, FEATURES, IPAdapterTrainConfig(), rng)
    with jt.no_grad():
        context = own.beside(jt.array(text), 2, rng).numpy()
    assert context.shape == (2, 77 + 4, WORDS)
    assert (unet_output(base, context) == plain).all()
    own.close()
    assert (unet_output(base, text) == plain).all()


def test_pictures_of_the_prior_and_dropped_ones_have_no_image_prompt(base, rng):
    import jittor as jt

    text = jt.zeros((5, 77, WORDS))
    own = LearntAdapter(base, FEATURES, IPAdapterTrainConfig(drop=0.0), rng)
    none = own.prompt().without[:4]
    tokens = own.beside(text, 3, rng).numpy()[:, 77:]
    assert [bool(np.allclose(each, none)) for each in tokens] == [False] * 3 + [True] * 2
    own.settings = IPAdapterTrainConfig(drop=0.999)
    assert np.allclose(own.beside(text, 5, rng).numpy()[:, 77:], none)
    own.close()


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_agree_with_pytorch(recompute, base, base_folder):
    """Of the whole loss, through diffusers' UNet with the same adapter in it."""
    import jittor as jt
    from diffusers import UNet2DConditionModel

    learner = Learner(
        base, config(memory={"gradient_checkpointing": recompute}), "00", examples(), None, looks=FEATURES
    )
    values = learner.images.values
    for name, value in values.items():
        if "to_v_ip" in name:  # at zero the keys would have no gradient
            drawn = np.random.default_rng(len(name)).standard_normal(value.shape) / 6
            value.update(jt.array(drawn.astype(np.float32)))
    seen = []
    unet = base.unet

    class Spy:
        def __call__(self, x, timesteps, context):
            seen.append((x.numpy(), np.array(timesteps), context.numpy()))
            return unet(x, timesteps, context)

    vars(base)["unet"] = Spy()
    loss = learner.loss(0)
    vars(base)["unet"] = unet
    found = {n: g.numpy() for n, g in zip(values, jt.grad(loss, list(values.values())))}
    arrays = learner.learnt_adapter()
    learner.close()

    theirs = UNet2DConditionModel.from_pretrained(base_folder / "unet")
    state = {part: {n[len(part) + 1 :]: torch.tensor(a) for n, a in arrays.items() if n.startswith(part)}
             for part in ("image_proj", "ip_adapter")}  # fmt: skip
    theirs._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
    x, timesteps, context = seen[0]
    # what the loss compared with follows from its own noise: the output's gradient is 2 (output - target) / count
    features = shown_in(context, arrays)
    output = theirs(
        torch.tensor(x), torch.tensor(timesteps.copy()), torch.tensor(context[:, :77]),
        added_cond_kwargs={"image_embeds": [torch.tensor(features)[:, None]]},
    ).sample  # fmt: skip
    target = target_of(base, x, timesteps)
    expected_loss = ((output - torch.tensor(target)) ** 2).mean()
    expected_loss.backward()
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-4)
    gradients = {"image_proj.proj.weight": theirs.encoder_hid_proj.image_projection_layers[0].image_embeds.weight.grad}
    number = 1
    for name, processor in theirs.attn_processors.items():
        if "attn2" in name:
            gradients[f"ip_adapter.{number}.to_k_ip.weight"] = processor.to_k_ip[0].weight.grad
            gradients[f"ip_adapter.{number}.to_v_ip.weight"] = processor.to_v_ip[0].weight.grad
            number += 2
    assert len(gradients) == len(values) - 3
    for name, expected in gradients.items():
        largest = float(expected.abs().max())
        assert largest > 0 and np.abs(found[name] - expected.numpy()).max() < 1e-3 * largest + 1e-7, name


def shown_in(context, arrays):
    """The features (B, C) whose tokens stand in a context, recognised by their projection."""
    candidates = np.concatenate([FEATURES, np.zeros_like(FEATURES[:1])])
    tokens = (candidates @ arrays["image_proj.proj.weight"].T + arrays["image_proj.proj.bias"]).reshape(4, 4, WORDS)
    tokens = (tokens - tokens.mean(-1, keepdims=True)) / np.sqrt(tokens.var(-1, keepdims=True) + 1e-5)
    tokens = tokens * arrays["image_proj.norm.weight"] + arrays["image_proj.norm.bias"]
    rows = [int(np.abs(tokens - own[77:]).max((1, 2)).argmin()) for own in context]
    assert all(np.abs(tokens[row] - own[77:]).max() < 1e-4 for row, own in zip(rows, context))
    return candidates[rows]


def target_of(base, noisy, timesteps):
    """What is to be predicted: of micro-batch 0 the clean latents are the first two examples, and the rest is noise."""
    clean = examples().means[:2]
    alpha = 1 / np.sqrt(1 + base.schedule.sigma_ratio(timesteps) ** 2)
    alpha, sigma = (np.reshape(part, (-1, 1, 1, 1)) for part in (alpha, np.sqrt(1 - alpha**2)))
    return base.schedule.target(clean, ((noisy - alpha * clean) / sigma).astype(np.float32), timesteps)


def test_training_moves_all_of_it_and_the_file_is_a_public_one(base, tmp_path):
    learner = Learner(base, config(), "00", examples(), None, looks=FEATURES)
    before = learner.learnt_adapter()
    records = list(train(learner, learner.config.train))
    after = learner.learnt_adapter()
    learner.close()
    assert len(records) == 3 and {type(each).__name__ for each in base.unet.modules()}.isdisjoint(
        {"DecoupledAttention"}
    )
    assert all((before[name] != after[name]).any() for name in before)
    save_adapter(tmp_path / "ip_adapter.safetensors", after)
    read = read_adapter(tmp_path / "ip_adapter.safetensors", base.configs["unet"])
    assert read.projection.width == 6 and not read.projection.hidden
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_config({**UNet2DConditionModel.load_config(base.folder / "unet")})
    state = {part: {n[len(part) + 1 :]: torch.tensor(a) for n, a in after.items() if n.startswith(part)}
             for part in ("image_proj", "ip_adapter")}  # fmt: skip
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
