"""Settings by which a drawing takes a style's colours: where it starts, on the way, and when it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check

LEAKS = ("pixel", "dct")
TRANSPORTS = ("whitening", "adain")
DECODERS = ("linear", "vae")


@dataclass(frozen=True)
class StartConfig:
    """Signal leak (2309.15842): what the references have in common lies under the noise that a picture starts from."""

    mean: float = 1.0  # how much of their mean; 1 is all of it
    leak: Optional[str] = None  # what is drawn around the mean: pixel by pixel, or the lowest dct coefficients jointly

    def __post_init__(self) -> None:
        check(0 <= self.mean <= 2, f"mean: {self.mean} is not in [0, 2]")
        check(self.leak is None or self.leak in LEAKS, f"leak: {self.leak!r}; there are {', '.join(LEAKS)}, and null")


@dataclass(frozen=True)
class TransportConfig:
    """Whitening and colouring of the predicted latent towards the pooled latents of the references, in every step."""

    weight: float = 0.6
    method: str = "whitening"  # means and covariances of the channels; adain: means and deviations
    first: float = 0.0  # shares of the steps: from here
    last: float = 0.7  # up to here

    def __post_init__(self) -> None:
        check(0 < self.weight <= 1, f"weight: {self.weight} is not in (0, 1]")
        check(self.method in TRANSPORTS, f"method: {self.method!r}; there are {', '.join(TRANSPORTS)}")
        check(0 <= self.first < self.last <= 1, f"first, last: {self.first}, {self.last} are no range within [0, 1]")


@dataclass(frozen=True)
class ColourGuidanceConfig:
    """Sliced Wasserstein guidance (2503.19034) of the predicted picture's pixels towards the references'."""

    through: str = "linear"  # from latent to RGB: a linear map fitted on the references, or the whole vae decoder
    iterations: int = 4  # in every step
    rate: float = 0.05
    projections: int = 16
    first: float = 0.0  # shares of the steps: from here
    last: float = 0.9  # up to here

    def __post_init__(self) -> None:
        check(self.through in DECODERS, f"through: {self.through!r}; there are {', '.join(DECODERS)}")
        check(self.iterations >= 1, f"iterations: {self.iterations} is below 1")
        check(self.rate > 0, f"rate: {self.rate} is not above 0")
        check(self.projections >= 1, f"projections: {self.projections} is below 1")
        check(0 <= self.first < self.last <= 1, f"first, last: {self.first}, {self.last} are no range within [0, 1]")


@dataclass(frozen=True)
class FinishConfig:
    """Optimal transport of the finished pixels to the references' palette: post-processing, which rules may forbid."""

    strength: float = 0.5

    def __post_init__(self) -> None:
        check(0 < self.strength <= 1, f"strength: {self.strength} is not in (0, 1]")


@dataclass(frozen=True)
class ColourConfig:
    """Three ways to the style's colours; each is off unless its section is there."""

    transport: Optional[TransportConfig] = None
    guidance: Optional[ColourGuidanceConfig] = None
    finish: Optional[FinishConfig] = None
