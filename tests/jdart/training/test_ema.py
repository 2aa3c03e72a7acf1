"""The moving average against diffusers' EMAModel."""

import jittor as jt
import numpy as np
import pytest
import torch
from diffusers.training_utils import EMAModel

from jdart.training.ema import EMA, ema_decay
from jdart.training.optim import flatten, pieces


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_moving_average_is_that_of_diffusers(decay, rng):
    values = [rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal(5).astype(np.float32)]
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    reference = EMAModel(theirs, decay=decay, use_ema_warmup=False)
    parts = [jt.array(value) for value in values]
    ours = flatten(parts).stop_grad()
    ema = EMA(ours, decay)
    for step in range(1, 30):
        changes = [rng.standard_normal(value.shape).astype(np.float32) for value in values]
        for one, change in zip(theirs, changes):
            one.data += torch.tensor(change)
        ours.update(ours + flatten([jt.array(change) for change in changes]))
        reference.step(theirs)
        ema.update(step)
        assert ema_decay(step, decay) == pytest.approx(reference.cur_decay_value)
        for average, expected in zip(pieces(ema.averages, parts), reference.shadow_params):
            assert np.abs(average.numpy() - expected.numpy()).max() < 1e-5
