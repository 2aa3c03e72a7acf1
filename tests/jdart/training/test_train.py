"""Training: the optimiser against PyTorch's, and every option against what it promises."""

import dataclasses

import jittor as jt
import numpy as np
import pytest
import torch
from PIL import Image

from contest.errors import UserError
from jdart.config import Config, from_mapping
from jdart.data.captions import load_pictures
from jdart.training.examples import cut, encode
from jdart.training.learner import Learner
from jdart.training.loop import train
from jdart.training.optim import AdamW, clip_by_norm, flatten


@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_adamw_and_clipping_agree_with_torch(max_norm, rng):
    start = [rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    reference = torch.optim.AdamW(theirs, lr=1e-2, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)
    ours = [jt.array(value) for value in start]
    optimiser = AdamW(ours, [1e-2, 1e-2], (0.8, 0.99), 1e-6, 0.1)
    for step in range(20):
        gradients = [3 * rng.standard_normal(value.shape).astype(np.float32) for value in start]
        for parameter, gradient in zip(theirs, gradients):
            parameter.grad = torch.tensor(gradient)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 1e9 if max_norm is None else max_norm)
        for group in reference.param_groups:
            group["lr"] = 1e-2 / (step + 1)
        reference.step()
        clipped, total = clip_by_norm(flatten([jt.array(g) for g in gradients]), max_norm)
        optimiser.step(clipped, 1 / (step + 1))
        assert total.item() == pytest.approx(norm.item(), rel=1e-5)
    for a, b in zip(ours, theirs):
        assert np.abs(a.numpy() - b.detach().numpy()).max() < 2e-6


def test_every_parameter_has_its_own_learning_rate(rng):
    start = [rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in start]
    rates = (1e-1, 1e-3)
    reference = torch.optim.AdamW([{"params": [p], "lr": rate} for p, rate in zip(theirs, rates)])
    ours = [jt.array(value) for value in start]
    optimiser = AdamW(ours, rates)
    for _ in range(5):
        gradients = [rng.standard_normal(value.shape).astype(np.float32) for value in start]
        for parameter, gradient in zip(theirs, gradients):
            parameter.grad = torch.tensor(gradient)
        reference.step()
        optimiser.step(flatten([jt.array(g) for g in gradients]))
    for a, b in zip(ours, theirs):
        assert np.abs(a.numpy() - b.detach().numpy()).max() < 1e-6


def test_the_norm_of_a_large_gradient_is_exact(rng):
    """One float32 sum over as many numbers as a LoRA of rank 64 has is two per cent off."""
    values = rng.standard_normal(5_000_001).astype(np.float32)
    _, norm = clip_by_norm(flatten([jt.array(values)]), None)
    assert norm.item() == pytest.approx(np.sqrt((values.astype(np.float64) ** 2).sum()), rel=1e-5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Five pictures wider than tall, in one palette."""
    folder = tmp_path_factory.mktemp("references")
    for number in range(5):
        rng = np.random.default_rng(number)
        small = rng.integers(0, 255, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(small).resize((96, 64), Image.Resampling.BICUBIC).save(folder / f"thing_{number}.png")
    return load_pictures(folder, "an image of {object} in style_{id}", "00")


def settings(**changes) -> Config:
    raw = {
        "data": {"size": 32},
        "lora": {"r": 2},
        "train": {"steps": 3, "batch_size": 2, "learning_rate": 0.005},
    }
    for key, value in changes.items():
        section, _, leaf = key.partition("__")
        raw.setdefault(section, {})
        raw[section] = value if not leaf else {**raw[section], leaf: value}
    return from_mapping(raw)


def run(base, pictures, config, prior=None):
    examples = encode(base, pictures, config.data, config.seed, config.frozen_text)
    learner = Learner(base, config, "00", examples, prior)
    try:
        return list(train(learner, config.train)), learner.pairs()
    finally:
        learner.close()


def flat(pairs):
    return np.concatenate([part.ravel() for layers in pairs.values() for p in layers.values() for part in (p.a, p.b)])


def test_the_loss_falls_and_every_up_matrix_moves(base, pictures):
    """Trap 7: to_out.0 silently not trained.

    Measured before and after on the same pictures, noise and timesteps, as single losses jump with the timestep."""

    config = settings(train__steps=30, train__batch_size=2, lora__r=4)
    examples = encode(base, pictures, config.data, 0, True)
    learner = Learner(base, config, "00", examples, None)

    def measure():
        return np.mean([learner.loss(number).item() for number in range(1000, 1008)])

    before = measure()
    assert len(list(train(learner, config.train))) == 30
    after, pairs = measure(), learner.pairs()
    learner.close()
    assert after < 0.9 * before
    assert all(np.abs(pair.b).max() > 0 for pair in pairs["unet"].values()), "to_out.0 is trained too"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(base, pictures):
    first, again, other = (flat(run(base, pictures, settings(seed=seed))[1]) for seed in (0, 0, 1))
    assert (first == again).all()
    assert not (first == other).all()


def test_accumulation_equals_one_larger_batch(base, pictures):
    """Two micro-batches of one against a batch of two: the draws differ, so compare gradients on equal draws."""

    config = settings()
    examples = encode(base, pictures, config.data, 0, True)
    one = dataclasses.replace(config, train=dataclasses.replace(config.train, batch_size=1))
    learner = Learner(base, one, "00", examples, None)
    parameters = [trainable.value for trainable in learner.trainables]
    micro = [jt.grad(learner.loss(n) / 2, parameters) for n in range(2)]
    expected = [(a + b).numpy() for a, b in zip(*micro)]
    learner.close()

    accumulated = dataclasses.replace(
        one, train=dataclasses.replace(one.train, steps=1, gradient_accumulation_steps=2, max_grad_norm=None)
    )
    records, _ = run(base, pictures, accumulated)
    norm = np.sqrt(sum(float((g**2).sum()) for g in expected))
    assert records[0].gradient_norm == pytest.approx(norm, rel=1e-4)
    assert len(records) == 1


def test_clipping_bounds_the_step_that_the_optimiser_sees(base, pictures):
    """AdamW's first step hides the scale of the gradient unless eps is large."""
    common = {"train__adam_epsilon": 1.0, "train__adam_weight_decay": 0.0, "train__steps": 1}
    loose = settings(**common, train__max_grad_norm=None)
    tight = settings(**common, train__max_grad_norm=1e-5)
    start = settings(**common, train__learning_rate=1e-12)
    origin = flat(run(base, pictures, start)[1])
    moved = [np.abs(flat(run(base, pictures, config)[1]) - origin).sum() for config in (loose, tight)]
    assert moved[1] < 0.5 * moved[0]


def test_schedule_and_warm_up_reach_the_optimiser(base, pictures):
    config = settings(train__steps=4, train__lr_scheduler="linear", train__lr_warmup_steps=2)
    records, _ = run(base, pictures, config)
    assert [record.learning_rate for record in records] == pytest.approx([0.0, 0.0025, 0.005, 0.0025])


@pytest.mark.parametrize(
    "change",
    [
        {"train__adam_weight_decay": 0.9},
        {"train__adam_beta1": 0.1},
        {"train__adam_beta2": 0.5},
        {"train__batch_size": 1},
        {"lora__lora_alpha": 8.0},
        {"lora__lora_dropout": 0.5},
        {"data__flip": True},
        {"data__crops": 3},
        {"data__template": "a {object}"},
        {"text_encoder_lora": {"r": 2}},
        {"lora__use_rslora": True},
        {"lora__alpha_pattern": {"to_q": 9.0}},
        {"train__loraplus_lr_ratio": 16.0},
        {"train__loraplus_gamma": 4.0},
        {"train__noise_offset": 0.5},
        {"train__snr_gamma": 1.0},
        {"train__min_timestep": 700},
        {"train__max_timestep": 100},
        {"train__style_loss_weight": 10.0, "train__style_loss_max_timestep": 1000},
        {"train__packed": True},
        {"data__rotation": 30.0},
        {"data__caption_dropout": 0.7},
        {"data__caption_shuffle": True, "data__template": "an image, of {object}, in style_{id}"},
        {"token": {"learning_rate": 0.01}, "data__template": "an image of {object} in <style>"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_option_changes_something(change, base, pictures):
    config = settings(**change)
    plain = run(base, [dataclasses.replace(p) for p in pictures], settings())[1]
    renamed = pictures
    if "data__template" in change:
        renamed = load_pictures(pictures[0].path.parent, config.data.template, "00")
    changed = run(base, renamed, config)[1]
    assert flat({"unet": plain["unet"]}).shape == flat({"unet": changed["unet"]}).shape
    assert not (flat({"unet": plain["unet"]}) == flat({"unet": changed["unet"]})).all()


def test_the_text_encoder_trains_at_its_own_rate(base, pictures):
    def movement(rate):
        config = settings(text_encoder_lora={"r": 2}, train__text_encoder_learning_rate=rate)
        return sum(np.abs(pair.b).sum() for pair in run(base, pictures, config)[1]["text_encoder"].values())

    assert 0 < movement(1e-5) < 0.1 * movement(1e-2)


def test_the_prior_joins_with_its_weight(base, pictures, tmp_path):
    """Trap 4: the halves are told apart at every size (an interleaved batch cut in half is right only at one)."""
    config = settings(prior={"weight": 0.25}, train__steps=1, train__learning_rate=1e-12)
    prior = encode(base, pictures[:2], config.data, 7, True)
    both = run(base, pictures, config, prior)[0][0].loss
    twice = dataclasses.replace(config, prior=dataclasses.replace(config.prior, weight=0.5))
    more = run(base, pictures, twice, prior)[0][0].loss
    none = dataclasses.replace(config, prior=dataclasses.replace(config.prior, weight=0.0))
    alone = run(base, pictures, none, prior)[0][0].loss
    assert both > alone
    assert more - both == pytest.approx(both - alone, rel=1e-3)


def test_random_crops_really_move_and_are_fixed_by_the_seed(pictures):
    config = settings(data__crops=4).data
    crops = list(cut(pictures[0], config, 0))
    assert len(crops) == 4
    assert len({crop.tobytes() for crop in crops}) > 1
    assert [c.tobytes() for c in crops] == [c.tobytes() for c in cut(pictures[0], config, 0)]
    centre = list(cut(pictures[0], settings().data, 0))
    assert len(centre) == 1
    assert centre[0].shape == (32, 32, 3)


def test_everything_is_encoded_once(base, pictures, monkeypatch):
    calls = []
    original = type(base.vae).encode
    monkeypatch.setattr(type(base.vae), "encode", lambda self, x: calls.append(x.shape[0]) or original(self, x))
    run(base, pictures, settings(train__steps=5))
    assert sum(calls) == len(pictures)


def test_a_diverged_run_stops_with_advice(base, pictures):
    with pytest.raises(UserError, match=r"loss is .* lower train.learning_rate"):
        run(base, pictures, settings(train__learning_rate=1e20, train__steps=30, train__max_grad_norm=None))
