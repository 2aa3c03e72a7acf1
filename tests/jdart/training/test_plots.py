"""The picture of the losses."""

import io

import numpy as np
from PIL import Image

from jdart.training.logs import StepRecord
from jdart.training.plots import loss_plot, running_mean


def test_running_mean_is_that_of_a_plain_loop():
    values = np.random.default_rng(0).standard_normal(50)
    values[[3, 20, 21, 22]] = np.nan
    expected = []
    for end in range(1, 51):
        window = [value for value in values[max(0, end - 3) : end] if not np.isnan(value)]
        expected.append(sum(window) / len(window) if window else np.nan)
    np.testing.assert_allclose(running_mean(values, 3), expected, atol=1e-12)


def records(validated=()):
    return [StepRecord(i, 1 / i, 1e-4, 1.0, 2 / i if i in validated else None) for i in range(1, 101)]


def test_plot_is_a_picture_and_the_same_every_time(tmp_path):
    rows = [*records(), StepRecord(101, float("nan"), 1e-4, 1.0)]
    for name in ("a.png", "b.png"):
        loss_plot(rows, tmp_path / "new folder" / name)
    first, second = ((tmp_path / "new folder" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (960, 540)


def test_validation_losses_are_in_the_plot(tmp_path):
    def orange(path):
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        return int((np.abs(pixels - (0xD9, 0x48, 0x0F)).max(axis=2) < 20).sum())

    loss_plot(records(), tmp_path / "without.png")
    loss_plot(records(range(20, 101, 20)), tmp_path / "with.png")
    assert orange(tmp_path / "without.png") == 0
    assert orange(tmp_path / "with.png") > 100


def test_plot_of_nothing_is_empty_not_an_error(tmp_path):
    loss_plot([], tmp_path / "loss.png")
    assert (tmp_path / "loss.png").exists()
