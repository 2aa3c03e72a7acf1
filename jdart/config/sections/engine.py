"""Settings of another engine than jdart's own."""

from __future__ import annotations

from dataclasses import dataclass

from jdart.config.problem import check

ENGINES = ("jdiffusion",)
NOISES = ("jdart", "seed")


@dataclass(frozen=True)
class EngineConfig:
    """Who trains and draws, in a process of another interpreter; docs/engines.md says what it can."""

    name: str = "jdiffusion"
    python: str = ""  # the interpreter of the environment that it is installed in
    noise: str = "jdart"  # what a picture starts from: jdart's own noise, or what the engine draws from its "seed"

    def __post_init__(self) -> None:
        check(self.name in ENGINES, f"name: {self.name!r}; there are {', '.join(ENGINES)}, and null for jdart's own")
        cure = "a path, as --engine-python has it; jdart engine install jdiffusion DIR makes one"
        check(bool(self.python), f"python: name the interpreter that {self.name} is installed for: {cure}")
        check(self.noise in NOISES, f"noise: {self.noise!r}; there are {', '.join(NOISES)}")
