"""Settings of a search: several candidates a prompt, of which the best for Final are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from jdart.config.problem import Problem, check
from jdart.config.said import LATER

if TYPE_CHECKING:
    from jdart.config.sections.generate import GenerateConfig


@dataclass(frozen=True)
class PruneConfig:
    """Candidates are looked at when so much of their steps is done; the best go on, the others stop there.

    `at` is a share of the steps, `keep` of a prompt's candidates in a round. Whether it pays has to be measured: the
    sketch must tell what the picture will be worth (docs/search.md).
    """

    at: float = 1 / 3
    keep: float = 0.5

    def __post_init__(self) -> None:
        for name in ("at", "keep"):
            check(0 < getattr(self, name) < 1, f"{name}: {getattr(self, name)} is not between 0 and 1")


@dataclass(frozen=True)
class DraftConfig:
    """Every candidate is drawn as a draft first; all metrics look at it, and the best are drawn in earnest.

    A draft takes `steps` (None: as many as the picture), calculates the UNet's deep layers in every `interval`-th of
    its calls alone (DeepCache, 2312.00858), and is never part of an entry. `keep` is the share of a prompt's
    candidates in a round that are drawn. Whether it pays has to be measured (docs/search.md).
    """

    steps: Optional[int] = None
    interval: int = 3
    keep: float = 0.25

    def __post_init__(self) -> None:
        check(self.steps is None or self.steps >= 1, f"steps: {self.steps} is below 1")
        check(self.interval >= 1, f"interval: {self.interval} is below 1")
        saves = self.steps is not None or self.interval > 1
        check(saves, "a draft of all steps and layers is the picture itself; set steps, or interval above 1")
        check(0 < self.keep < 1, f"keep: {self.keep} is not between 0 and 1")

    def cheaper(self, settings: GenerateConfig) -> GenerateConfig:
        """How a draft of what is drawn with `settings` is drawn. Raises Problem where its steps do not fit them."""
        if self.steps is None:
            return settings
        check(
            self.steps <= settings.steps,
            f"search.draft.steps: {self.steps} are more than the {settings.steps} of a picture",
        )
        try:
            return replace(settings, steps=self.steps)
        except Problem as problem:
            raise Problem(f"search.draft.steps: {self.steps} do not fit the settings of a picture: {problem}") from None


@dataclass(frozen=True)
class SearchConfig:
    """`candidates` are tried for each prompt (on average, where `--budget` is time), `round` of them at a time.

    `vary` names drawing's settings by their keys, such as generate.strength, each with a list of what is tried; every
    candidate is one combination of them, with a seed of its own. The first is drawn as the configuration says.
    """

    candidates: int = 8
    round: int = 4
    vary: Mapping[str, Any] = field(default_factory=dict)
    prune: Optional[PruneConfig] = None  # None: every candidate is drawn to the end
    draft: Optional[DraftConfig] = field(default=None, metadata=LATER)  # None: the choice is made among pictures alone

    def __post_init__(self) -> None:
        check(self.candidates >= 2, f"candidates: {self.candidates} leaves nothing to choose; take 2 or more")
        check(self.round >= 1, f"round: {self.round} is below 1")
        both = self.prune is not None and self.draft is not None
        check(not both, "prune and draft: both say which candidates are drawn to the end; leave one of them out")
        for key, values in self.vary.items():
            named = key.startswith("generate.") and key not in ("generate.num_images_per_prompt", "generate.batch_size")
            check(named, f"vary: {key} is no setting of a candidate; name what generate has, such as generate.strength")
            listed = isinstance(values, (list, tuple)) and len(values) > 0
            check(listed, f"vary.{key}: list what is tried, such as [0.8, 0.9]")
