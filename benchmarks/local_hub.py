"""Weights from a folder for the libraries that would download theirs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from torch import Tensor

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
SQUEEZENET = "squeezenet1_1-b8a52dc0.pth"


@contextmanager
def local_hub(weights: Path) -> Iterator[None]:
    """Make torch.hub find the two files that torchvision and torch-fidelity would download."""
    import torch

    with tempfile.TemporaryDirectory(prefix="checker-") as temporary:
        checkpoints = Path(temporary) / "hub" / "checkpoints"
        checkpoints.mkdir(parents=True)
        (checkpoints / SQUEEZENET).symlink_to((weights / SQUEEZENET).resolve())
        torch.save(whole_inception(weights / INCEPTION), checkpoints / INCEPTION)
        with mock.patch.dict(os.environ, TORCH_HOME=temporary):
            yield


def whole_inception(path: Path) -> dict[str, Tensor]:
    """The FID network's state; what `path` has no numbers for is NaN.

    Random weights hold only the stem, all that runs for 64 features: a layer beyond it would turn the score NaN.
    """
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-untyped]
        FeatureExtractorInceptionV3,
    )

    class Partial(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: Mapping[str, Any], strict: bool = False, assign: bool = True) -> Any:
            return super().load_state_dict(state, strict=False, assign=True)

    with torch.device("meta"):
        network = Partial("inception-v3-compat", ["64"], feature_extractor_weights_path=str(path))
    return {
        name: torch.full(tensor.shape, float("nan")) if tensor.is_meta else tensor
        for name, tensor in network.state_dict().items()
    }
