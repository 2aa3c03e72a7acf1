"""What an ablation tries: methods, each alone and at some strengths, beside a plain run. A YAML file."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional  # Python 3.9 evaluates the annotations of fields: no `X | None` in them

from contest.errors import UserError
from jdart.config import Config, from_mapping, to_mapping
from jdart.config.problem import check
from jdart.config.reading import load_mapping, override, put, read_as, shipped_folder
from jdart.runs.same_run import what_matters

PLAIN = "plain"  # the run that all are set beside
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*")  # of a folder, and of a heading
# whose settings a variant may change: the rest is what makes runs comparable
SECTIONS = ("data", "lora", "text_encoder_lora", "token", "train", "validation", "prior", "generate", "memory")


@dataclass(frozen=True)
class Variant:
    """A method at one strength: what it sets, by dotted keys such as generate.colour.transport.weight."""

    name: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(bool(self.name), "name: give the variant one, such as its strength")
        check(NAME.fullmatch(self.name) is not None, f"name: {self.name!r}; take letters, digits and . _ = -")
        check(bool(self.set), "set: name at least one setting, such as generate.steps: 30")
        for key in self.set:
            known = key.partition(".")[0] in SECTIONS
            check(known, f"set: {key} is not for a variant to change; it may what begins with {', '.join(SECTIONS)}")


@dataclass(frozen=True)
class Method:
    """What is tried: `what` it is in a line, `source` the paper's arXiv id."""

    what: str = ""
    source: Optional[str] = None
    variants: tuple[Variant, ...] = ()

    def __post_init__(self) -> None:
        check(bool(self.what) and "\n" not in self.what, "what: say in one line what the method does")
        check(bool(self.variants), "variants: list at least one")
        names = [variant.name for variant in self.variants if variant is not None]
        twice = [name for name in names if names.count(name) > 1]
        check(not twice, f"variants: {', '.join(twice[:1])} is there twice")


@dataclass(frozen=True)
class Ablation:
    """The file. `set` changes the configuration `base` for all runs, the plain one too."""

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
    raw, source = load_mapping(str(_place(name_or_path)))
    ablation = read_as(Ablation, raw, source)
    for key in (*ablation.set, *(each.partition("=")[0] for each in overrides)):
        if key in ("name", "output"):
            raise UserError(f"{source}: set: {key} is each run's own; name their folder with output, or --output")
    if output == "":
        raise UserError("--output: must not be empty; name a folder")
    base, base_source = load_mapping(ablation.base)
    for key, value in ablation.set.items():
        put(base, key, value, f"{source}: set")
    for each in overrides:
        override(base, each)
    folder = Path(ablation.output if output is None else output)
    base.update(settings, output=str(folder / PLAIN), name=PLAIN)
    plain = from_mapping(base, base_source)
    problems: list[str] = []
    variants = {
        name: {variant.name: _variant(base, plain, name, variant, problems) for variant in method.variants}
        for name, method in ablation.methods.items()
    }
    if problems:
        raise UserError(f"{source}: " + "; ".join(problems))
    return Trials(source, ablation, plain, variants, folder)


def shipped_ablations() -> tuple[str, ...]:
    """Names of the ablations that come with jdart."""
    return tuple(sorted(path.stem for path in (shipped_folder() / "ablations").glob("*.yaml")))


def _place(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if not path.suffix and not path.exists():
        path = shipped_folder() / "ablations" / f"{name_or_path}.yaml"
    if not path.is_file():
        raise UserError(f"{name_or_path}: no such ablation; those that come along: {', '.join(shipped_ablations())}")
    return path


def _variant(base: Mapping[str, Any], plain: Config, method: str, variant: Variant, problems: list[str]) -> Config:
    """The configuration of a variant, or the plain one after noting what is wrong."""
    where = f"methods.{method} {variant.name}"
    raw = copy.deepcopy(dict(base))
    try:
        for key, value in variant.set.items():
            put(raw, key, copy.deepcopy(value), where)
        config = from_mapping(raw, where)
    except UserError as error:
        problems.append(str(error))
        return plain
    if what_matters(to_mapping(config)) == what_matters(to_mapping(plain)):
        problems.append(f"{where}: what it sets changes nothing beside the plain run")
    return replace(config, name=f"{method} {variant.name}")
