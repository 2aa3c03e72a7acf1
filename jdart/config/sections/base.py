"""Settings of the base model: which one, and what of it is read otherwise than its files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check
from jdart.config.said import LATER

PREDICTION_TYPES = ("epsilon", "v_prediction")
SPACINGS = ("leading", "trailing", "linspace")
SCHEDULING = ("prediction_type", "rescale_betas_zero_snr", "timestep_spacing")  # as in scheduler_config.json


@dataclass(frozen=True)
class BaseConfig:
    """The base model: a folder in diffusers' layout, a single file, a hub id, or `toy` for the one of jdart."""

    model: str = "base"
    revision: Optional[str] = None  # a hub commit; None takes the newest once and notes it in the run folder
    vae: Optional[str] = field(default=None, metadata=LATER)  # a folder, a file or a hub id; None: the base's own
    clip_skip: int = field(default=0, metadata=LATER)  # so many last layers of the text encoder are not read
    prediction_type: Optional[str] = field(default=None, metadata=LATER)  # None, here and below: as the base says
    rescale_betas_zero_snr: Optional[bool] = field(default=None, metadata=LATER)
    timestep_spacing: Optional[str] = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        check(bool(self.model), "model: name a folder, a file or a hub id")
        check(self.vae != "", "vae: name a folder, a file or a hub id, or set it to null")
        check(self.clip_skip >= 0, f"clip_skip: {self.clip_skip} is below 0")
        for name, known in (("prediction_type", PREDICTION_TYPES), ("timestep_spacing", SPACINGS)):
            value = getattr(self, name)
            check(value is None or value in known, f"{name}: {value!r}; there are {', '.join(known)}, and null")

    @property
    def scheduling(self) -> dict[str, Any]:
        """What is set of the noise schedule, under the names of diffusers' scheduler_config.json."""
        return {name: getattr(self, name) for name in SCHEDULING if getattr(self, name) is not None}

    @property
    def noted(self) -> dict[str, Any]:
        """What changes pictures and no hash of weights tells: what a picture has to say."""
        return {**({"clip_skip": self.clip_skip} if self.clip_skip > 0 else {}), **self.scheduling}
