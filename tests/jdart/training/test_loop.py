"""What the loop promises beside the loss: state, averages, validation, logs."""

import dataclasses
import math
import random

import jittor as jt
import numpy as np
import pytest
from PIL import Image

from contest.errors import UserError
from jdart.config import Config, from_mapping
from jdart.data.captions import load_pictures
from jdart.models.recompute import recomputed
from jdart.training.ema import ema_decay
from jdart.training.examples import encode
from jdart.training.learner import Learner
from jdart.training.logs import StepRecord, TrainingLog
from jdart.training.loop import Trainer
from jdart.training.validation import evaluating, out_of_patience, validation_loss


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("references")
    for number in range(3):
        small = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
        Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"thing_{number}.png")
    return load_pictures(folder, "an image of {object} in style_{id}", "00")


@pytest.fixture
def trainer(base, pictures):
    """A function of train settings that gives a Trainer; all learners are closed afterwards."""
    learners = []

    def make(lora=None, **train):
        while learners:
            learners.pop().close()
        config: Config = from_mapping(
            {"data": {"size": 32}, "lora": {"r": 2, **(lora or {})}, "train": {"learning_rate": 0.005, **train}}
        )
        learners.append(Learner(base, config, "00", encode(base, pictures, config.data, 0, True), None))
        return Trainer(learners[-1], config.train)

    yield make
    while learners:
        learners.pop().close()


def values(trainer):
    return [parameter.numpy() for parameter in trainer.parameters]


def test_a_restored_trainer_goes_on_bit_for_bit(trainer):
    one = trainer(ema_decay=0.9, lr_scheduler="cosine", steps=6)
    for _ in range(3):
        one.step()
    state = one.state()
    expected = [one.step() for _ in range(3)]
    final = one.state()
    other = trainer(ema_decay=0.9, lr_scheduler="cosine", steps=6)
    other.restore(3, state)
    assert [other.step() for _ in range(3)] == expected
    assert {name: value.tobytes() for name, value in other.state().items()} == {
        name: value.tobytes() for name, value in final.items()
    }


def test_a_checkpoint_of_another_network_is_refused(trainer):
    state = trainer().state()
    with pytest.raises(UserError, match="another network"):
        trainer(lora={"r": 3}).restore(1, state)
    with pytest.raises(UserError, match="another network"):
        trainer(ema_decay=0.5).restore(1, state)


@pytest.mark.parametrize("passes", [1, 3])
def test_a_step_is_counted_once_whatever_it_accumulates(trainer, passes):
    """Trap 2: Jittor's own AdamW counts every backward pass. torch.optim.AdamW, given the same gradients, agrees."""
    import torch

    one = trainer(gradient_accumulation_steps=passes, max_grad_norm=None)
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in values(one)]
    reference = torch.optim.AdamW(theirs, lr=0.005, weight_decay=1e-2)
    for step in range(3):
        gradients = [
            jt.grad(one.learner.loss(step * passes + micro) / passes, one.parameters) for micro in range(passes)
        ]
        for parameter, *parts in zip(theirs, *gradients):
            parameter.grad = torch.tensor(sum(part.numpy() for part in parts))
        reference.step()
        one.step()
        assert one.steps == step + 1
        # AdamW divides by the gradient's size: where that is near nothing, the last digits decide. So on average.
        difference = np.concatenate([np.abs(p.detach().numpy() - v).ravel() for p, v in zip(theirs, values(one))])
        assert difference.mean() < 1e-6


def test_accumulation_keeps_no_activations_between_micro_batches(trainer):
    """A gradient that may be differentiated again would hold the whole graph of its micro-batch."""
    one = trainer(gradient_accumulation_steps=3)
    loss, alive = one.learner.loss, []

    def watched(number):
        alive.append(jt.liveness_info()["lived_vars"])
        return loss(number)

    one.learner.loss = watched
    one.step()
    one.step()
    assert alive[4] - alive[3] <= 5, "a loss and the gradient's sum"
    assert alive[5] - alive[4] <= 5


def test_within_averaged_the_learner_holds_the_moving_average_and_its_own_weights_after(trainer):
    one = trainer(ema_decay=0.5)
    seen = []
    for _ in range(4):
        one.step()
        seen.append(values(one))
    average = [np.zeros_like(value) for value in seen[0]]
    for step, now in enumerate(seen, start=1):
        keep = ema_decay(step, 0.5)
        average = [keep * a + (1 - keep) * v for a, v in zip(average, now)]
    with one.averaged():
        inside = values(one)
        pairs = one.learner.pairs()
    assert all(np.abs(a - b).max() < 1e-6 for a, b in zip(inside, average))
    assert not all((a == b).all() for a, b in zip(inside, seen[-1]))
    assert all((a == b).all() for a, b in zip(values(one), seen[-1])), "bit for bit"
    layer = next(iter(pairs["unet"]))
    assert (pairs["unet"][layer].a == inside[0]).all(), "what is saved is the average"
    one.step()
    assert not all((a == b).all() for a, b in zip(values(one), seen[-1])), "it still learns"


def test_validation_changes_nothing_in_training(trainer):
    plain, watched = trainer(lora={"lora_dropout": 0.3}), None
    expected = [plain.step() for _ in range(3)]
    final = values(plain)
    watched = trainer(lora={"lora_dropout": 0.3})
    for record in expected:
        assert watched.step() == record
        with watched.averaged(), evaluating(watched.learner):
            validation_loss(watched.learner, watched.learner.instance, 2)
    assert all((a == b).all() for a, b in zip(values(watched), final))


def test_the_validation_loss_is_a_mean_on_fixed_draws_without_dropout(trainer, base, pictures):
    one = trainer(lora={"lora_dropout": 0.5})
    one.step()
    held_out = encode(base, pictures[:1], one.learner.config.data, 0, True)
    with evaluating(one.learner):
        first, again = (validation_loss(one.learner, held_out, 3) for _ in range(2))
        own = validation_loss(one.learner, one.learner.instance, 3)
        one.learner.instance, kept = held_out, one.learner.instance
        expected = np.mean([one.learner.loss(number).item() for number in (-1, -2, -3)])
        one.learner.instance = kept
    assert first == again
    assert first == pytest.approx(expected, rel=1e-5)
    assert own != first, "measured on the held-out pictures"
    assert one.learner.instance is kept
    with_dropout = validation_loss(one.learner, held_out, 3)
    assert with_dropout != first


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "stops"),
    [
        ([], 1, 0.0, False),
        ([1.0], 1, 0.0, False),
        ([1.0, 0.9, 0.8], 1, 0.0, False),
        ([1.0, 1.0], 1, 0.0, True),
        ([1.0, 1.1], 2, 0.0, False),
        ([1.0, 1.1, 1.05], 2, 0.0, True),
        ([1.0, 1.1, 0.9, 1.0], 2, 0.0, False),
        ([1.0, 0.95, 0.9], 2, 0.2, True),
        ([1.0, 0.95, 0.79], 2, 0.2, False),
        ([1.0, math.nan, math.nan], 2, 0.0, True),
    ],
)
def test_patience(losses, patience, min_delta, stops):
    assert out_of_patience(losses, patience, min_delta) is stops


def records(last, first=1):
    return [StepRecord(n, 1 / n, 1e-4, 2.0, 0.5 if n % 2 == 0 else None) for n in range(first, last + 1)]


def test_the_table_is_there_while_training_goes_on(tmp_path):
    with TrainingLog(tmp_path / "loss.csv", None, []) as log:
        for record in records(2):
            log.add(record)
        rows = (tmp_path / "loss.csv").read_text().splitlines()
    assert rows == ["step,loss,learning_rate,gradient_norm,validation_loss", "1,1,0.0001,2,", "2,0.5,0.0001,2,0.5"]


def test_going_on_replaces_rows_that_the_stop_undid(tmp_path):
    for last in (3, 2):
        with TrainingLog(tmp_path / "loss.csv", None, records(2) if last == 2 else []) as log:
            for record in records(4, 3) if last == 2 else records(last):
                log.add(record)
    whole = (tmp_path / "loss.csv").read_text()
    with TrainingLog(tmp_path / "other.csv", None, records(4)):
        pass
    assert whole == (tmp_path / "other.csv").read_text()


def test_tensorboard_reads_one_curve_also_after_a_stop(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with TrainingLog(tmp_path / "loss.csv", tmp_path / "events", []) as log:
        for record in records(5):
            log.add(dataclasses.replace(record, loss=-1.0) if record.step > 3 else record)
    with TrainingLog(tmp_path / "loss.csv", tmp_path / "events", records(3)) as log:
        for record in records(6, 4):
            log.add(record, np.full((4, 6, 3), 7, np.uint8) if record.step == 6 else None)
    found = EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    curve = [(event.step, event.value) for event in found.Scalars("train/loss")]
    assert curve == [(n, pytest.approx(1 / n)) for n in range(1, 7)]
    assert [event.step for event in found.Scalars("train/validation_loss")] == [2, 4, 6]
    (picture,) = found.Images("validation")
    assert (picture.step, picture.width, picture.height) == (6, 6, 4)


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'jdart\[tensorboard\]'"):
        TrainingLog(tmp_path / "loss.csv", tmp_path / "events", [])


def test_steps_leave_the_users_generators_where_they_were(trainer, base):
    """With dropout and gradient checkpointing, which both seed Jittor's own."""
    trained = trainer(lora={"lora_dropout": 0.5})
    random.seed(0)
    np.random.seed(0)
    with recomputed(base.unet):
        trained.step()
        trained.step()
    assert (random.random(), np.random.rand()) == (random.Random(0).random(), np.random.RandomState(0).rand())
