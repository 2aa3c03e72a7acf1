"""A sampler's model whose predicted picture is changed before the sampler goes on from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jdart.generation.samplers import Model, SamplingPlan
from jdart.models.schedule import Array

# (predicted clean latents (B, C, h, w), share of the steps that are done in [0, 1)) -> latents to go on from
Edit = Callable[[Array, float], Array]


def steered(model: Model, plan: SamplingPlan, edits: Sequence[Edit]) -> Model:
    """`model` for one run of `plan`, whose predicted clean latents pass through `edits`.

    The output is the one that stands for the changed latents, so that every sampler heeds it, and so does the noise
    that it predicts. Without edits, and where they return what they were given, it is the model's own to the bit.
    """
    if not edits:
        return model
    done = 0

    def output(x: Array, t: float) -> Array:
        nonlocal done
        share, done = done / plan.calls, done + 1
        found = model(x, t)
        predicted, _ = plan.schedule.predict_x0_eps(found, x, t)
        x0 = predicted
        for edit in edits:
            x0 = edit(x0, share)
        return found if x0 is predicted else plan.schedule.output_for(x0, x, t)

    return output
