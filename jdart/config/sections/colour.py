"""Settings by which a drawing takes a style's colours: where it starts, on the way, and when it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import check

LEAKS = ("pixel", "dct")
TRANSPORTS = ("whitening", "adain")
THROUGH = ("linear", "vae", "encoder")
MATCHINGS = ("sliced", "entropic")


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
    """The predicted picture's colours are moved towards the references', and its latents with them.

    Matching "sliced" is sliced Wasserstein guidance (2503.19034), "entropic" the loose transport of `finish`. Through
    "linear" the colours are those of a linear map from latent to RGB, fitted on the references, and through "vae" the
    decoded pixels, with the gradient through the decoder; through "encoder" decoded pixels are moved, and what that
    changes in their code is added to the latents.
    """

    through: str = "encoder"
    matching: str = "entropic"
    iterations: int = 3  # in every step
    rate: float = 1.0  # of the way to the palette in an iteration; vae: of a latent's unit, in the mean over a picture
    rotations: int = 4  # sliced: of red, green and blue, along which colours are compared beside these themselves
    balance: float = 0.95  # entropic: how exactly the palette's shares are kept
    first: float = 0.9  # shares of the steps: from here
    last: float = 1.0  # up to here

    def __post_init__(self) -> None:
        check(self.through in THROUGH, f"through: {self.through!r}; there are {', '.join(THROUGH)}")
        check(self.matching in MATCHINGS, f"matching: {self.matching!r}; there are {', '.join(MATCHINGS)}")
        check(self.iterations >= 1, f"iterations: {self.iterations} is below 1")
        check(0 < self.rate <= 1, f"rate: {self.rate} is not in (0, 1]")
        check(self.rotations >= 0, f"rotations: {self.rotations} is below 0")
        check(0 <= self.balance <= 1, f"balance: {self.balance} is not in [0, 1]")
        check(0 <= self.first < self.last <= 1, f"first, last: {self.first}, {self.last} are no range within [0, 1]")


@dataclass(frozen=True)
class FinishConfig:
    """Optimal transport of the finished pixels to the references' palette: post-processing, which rules may forbid."""

    strength: float = 1.0  # how far each pixel goes
    balance: float = 0.99  # how exactly the palette's shares are kept; less leaves a colour nearer to what it was

    def __post_init__(self) -> None:
        check(0 < self.strength <= 1, f"strength: {self.strength} is not in (0, 1]")
        check(0 <= self.balance <= 1, f"balance: {self.balance} is not in [0, 1]")


@dataclass(frozen=True)
class ColourConfig:
    """Three ways to the style's colours; each is off unless its section is there."""

    transport: Optional[TransportConfig] = None
    guidance: Optional[ColourGuidanceConfig] = None
    finish: Optional[FinishConfig] = None
