"""What an ablation tries: methods, each alone and at some strengths, or recipes, beside a plain run. A YAML file."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from contest.errors import UserError
from jdart.config import Config, from_mapping, said
from jdart.config.derived import SECTIONS, base_of, may_vary, place_of, shipped
from jdart.config.problem import check
from jdart.config.reading import load_mapping, put, read_as
from jdart.runs.same_run import what_matters

PLAIN = "plain"  # the run that all are set beside
ALIKE = ("contest", "references", "styles", "base", "score")  # in a recipe and the plain run
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")  # of a folder, and of a heading


@dataclass(frozen=True)
class Variant:
    """A method at one strength: what it sets, by dotted keys such as generate.colour.transport.weight."""

    name: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(bool(self.name), "name: give the variant one, such as its strength")
        check(NAME.fullmatch(self.name) is not None, f"name: {self.name!r}; take letters, digits and . _ = -")
        check(bool(self.set), "set: name at least one setting, such as generate.steps: 30")
        _check_keys(self.set)


@dataclass(frozen=True)
class Method:
    """What is tried: `what` it is in a line, `source` the paper's arXiv id or an address.

    It has variants, each a change of the plain run; or it is a recipe, with a configuration `config` of its own that
    `set` changes.
    """

    what: str = ""
    source: Optional[str] = None
    config: Optional[str] = None
    set: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()

    def __post_init__(self) -> None:
        check(bool(self.what) and "\n" not in self.what, "what: say in one line what the method does")
        if self.config is not None:
            check(bool(self.config), "config: name a recipe or a file, or leave it out")
            check(not self.variants, "variants: a recipe is tried as it is; leave them out, or config")
            _check_keys(self.set)
            return
        check(not self.set, "set: changes a recipe; name it with config, or move the settings into variants")
        check(bool(self.variants), "variants: list at least one")
        names = [variant.name for variant in self.variants if variant is not None]
        twice = [name for name in names if names.count(name) > 1]
        check(not twice, f"variants: {', '.join(twice[:1])} is there twice")

    @property
    def tried(self) -> Mapping[str, Mapping[str, Any]]:
        """Name of each variant -> what it sets; the one of a recipe has no name."""
        return {variant.name: variant.set for variant in self.variants} if self.config is None else {"": self.set}


@dataclass(frozen=True)
class Ablation:
    """The file. `set` changes the configuration `base` and every recipe; `title` and `about` head the page."""

    title: str = "Methods, each alone"
    about: str = ""
    base: str = "demo"
    output: str = "outputs/methods"
    set: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Method] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(bool(self.output), "output: must not be empty")
        check(bool(self.methods), "methods: name at least one")
        for name in self.methods:
            good = NAME.fullmatch(name) is not None and name != PLAIN
            check(good, f"methods: {name!r} is no name for one; take letters, digits and . _ = -, and not {PLAIN}")


@dataclass(frozen=True)
class Trials:
    """An ablation with its configurations: the plain one, and method -> variant -> configuration."""

    source: str
    ablation: Ablation
    plain: Config
    variants: Mapping[str, Mapping[str, Config]]
    folder: Path


def load_ablation(
    name_or_path: str, overrides: Sequence[str] = (), output: str | None = None, **settings: Any
) -> Trials:
    """Read a YAML file, or one that comes along by its name, and make every configuration that it asks for.

    `overrides` and `settings` are those of `jdart.config.load_config`, and hold for every run. Raises UserError with
    all problems: of the file, else of the plain configuration, else of all variants.
    """
    raw, source = load_mapping(str(place_of(name_or_path, "ablations")))
    return trials_of(read_as(Ablation, raw, source), source, overrides, output, **settings)


def trials_of(
    ablation: Ablation, source: str, overrides: Sequence[str] = (), output: str | None = None, **settings: Any
) -> Trials:
    """Every configuration that an ablation asks for; `source` is what messages call it. Raises UserError."""
    folder = Path(ablation.output if output is None else output)

    def changed(config: str) -> tuple[dict[str, Any], str]:
        """What a configuration says after the changes that hold for every run, and its path."""
        start, place = base_of(config, copy.deepcopy(ablation.set), overrides, source, output)
        start.update(settings, output=str(folder / PLAIN), name=PLAIN)
        return start, place

    base, base_source = changed(ablation.base)
    plain = from_mapping(base, base_source)
    problems: list[str] = []
    variants: dict[str, dict[str, Config]] = {name: {} for name in ablation.methods}
    for name, method in ablation.methods.items():
        for variant, own in method.tried.items():
            title = full_name(name, variant)
            try:
                start = copy.deepcopy(base) if method.config is None else changed(method.config)[0]
                variants[name][variant] = replace(_variant(start, own, plain, f"methods.{title}"), name=title)
            except UserError as error:
                problems.append(str(error))
    if problems:
        raise UserError(f"{source}: " + "; ".join(problems))
    return Trials(source, ablation, plain, variants, folder)


def shipped_ablations() -> tuple[str, ...]:
    """Names of the ablations that come with jdart."""
    return shipped("ablations")


def full_name(method: str, variant: str) -> str:
    """What a variant is called: the method with its strength, or the method alone, as a recipe and the plain run."""
    return method if variant in ("", PLAIN) else f"{method} {variant}"


def what_counts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings that a run says, those by which its score is what it is: a search's too."""
    return {**what_matters(settings), "search": settings.get("search")}


def _variant(raw: dict[str, Any], own: Mapping[str, Any], plain: Config, where: str) -> Config:
    """The configuration `raw` with a variant's own settings. UserError for what is wrong with it."""
    for key, value in own.items():
        put(raw, key, copy.deepcopy(value), where)
    config = from_mapping(raw, where)
    others = [name for name in ALIKE if getattr(config, name) != getattr(plain, name)]
    if others:
        raise UserError(f"{where}: another {', '.join(others)} than the plain run; name it in set, for all of them")
    if what_counts(said(config)) == what_counts(said(plain)):
        raise UserError(f"{where}: what it sets changes nothing beside the plain run")
    return config


def _check_keys(settings: Mapping[str, Any]) -> None:
    for key in settings:
        may = f"it may what begins with {', '.join(SECTIONS)}"
        check(may_vary(key), f"set: {key} is not for a variant to change; {may}")
