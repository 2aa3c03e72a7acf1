import warnings

import pytest
import torch
from diffusers.optimization import get_scheduler

from contest.errors import UserError
from jdart.training.lr import SCHEDULES, lr_factor

BASE = 1e-4


def reference(name, warmup, total, cycles, power):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler = get_scheduler(
        name, optimiser, num_warmup_steps=warmup, num_training_steps=total, num_cycles=cycles, power=power
    )
    factors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of scheduler steps without optimiser steps
        for _ in range(total + 3):
            factors.append(scheduler.get_last_lr()[0] / BASE)
            scheduler.step()
    return factors


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 20])
@pytest.mark.parametrize(("cycles", "power"), [(1, 1.0), (3, 2.0)])
def test_every_step_is_that_of_diffusers(name, warmup, cycles, power):
    total = 100
    expected = reference(name, warmup, total, cycles, power)
    found = [
        lr_factor(name, step, warmup, total, cycles=cycles, power=power, end_factor=1e-7 / BASE)
        for step in range(total + 3)
    ]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_warmup_is_no_division_by_zero(name):
    assert lr_factor(name, 10, 10, 10) == 1.0


def test_unknown_name_is_refused():
    with pytest.raises(UserError, match="known: constant, constant_with_warmup"):
        lr_factor("piecewise_constant", 0, 0, 1)
