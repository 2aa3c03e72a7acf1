"""What a search's candidates are drawn with: settings of drawing that vary from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from contest.errors import UserError
from jdart.config.reading import put, read_as, to_mapping
from jdart.config.sections.generate import GenerateConfig
from jdart.config.whole import Config
from jdart.data.seeds import rng_for

_CHECKED = 1000  # combinations


def changes_of(config: Config, number: int) -> dict[str, Any]:
    """What candidate `number` changes: dotted keys of the configuration -> values; nothing in candidate 0.

    Of each varied setting every run of as many candidates as it has values has each value once, in an order of its own
    (latin hypercube sampling, McKay et al. 1979), so that any number of candidates is spread over what is tried.
    """
    if number == 0 or config.search is None:
        return {}
    changes = {}
    for key, values in config.search.vary.items():
        turn, place = divmod(number - 1, len(values))
        order = rng_for("search", config.seed, key, turn).permutation(len(values))
        changes[key] = values[order[place]]
    return changes


def varied(settings: GenerateConfig, changes: Mapping[str, Any], where: str = "search.vary") -> GenerateConfig:
    """`settings` with `changes`. UserError where the two together cannot be, or a change names no setting."""
    if not changes:
        return settings
    raw = {"generate": to_mapping(settings)}
    for key, value in changes.items():
        put(raw, key, value, f"{where}: {key}")
    return read_as(GenerateConfig, raw["generate"], where)


def variants(config: Config, settings: GenerateConfig) -> Iterator[GenerateConfig]:
    """`settings`, and what combinations of `search.vary` make of them; up to 1000. UserError as for `varied`."""
    yield settings
    if config.search is not None:
        for values in islice(product(*config.search.vary.values()), _CHECKED):
            yield varied(settings, dict(zip(config.search.vary, values)))


def require_variable(config: Config) -> None:
    """UserError that lists what of `search` the other settings do not go with: values, and combinations of them."""
    search = config.search
    if search is None:
        return
    problems = []
    for values in islice(product(*search.vary.values()), _CHECKED):
        changes = dict(zip(search.vary, values))
        try:
            settings = varied(config.generate, changes)
        except UserError as error:
            problems.append(str(error))
            continue
        if settings.style_blend is not None and config.train.composition is None:
            problems.append("search.vary: generate.style_blend: needs train.composition; set it, as {}")
        if settings.ip_adapter is not None and settings.ip_adapter.learnt and config.train.ip_adapter is None:
            problems.append("search.vary: generate.ip_adapter: needs train.ip_adapter, as {}, or weights")
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))
