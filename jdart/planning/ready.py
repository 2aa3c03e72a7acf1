"""Everything that a configuration needs before its run starts: versions, paths, pictures, precision, memory, disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from contest.disk.shipped import means_toy
from contest.disk.writable import require_folder
from contest.errors import UserError
from contest.reading import shipped_contests
from jdart.config import Config
from jdart.data.facts import style_pictures
from jdart.data.layout import picture_folder
from jdart.doctor import Finding
from jdart.models.hub.locate import require_base
from jdart.planning.fitting import GIB, fitting, free_memory
from jdart.planning.plan import plan_run
from jdart.planning.precision import local_base, precision_of, refused, weight_bytes
from jdart.runs.folder import contest_of
from jdart.versions import at_odds

MOST = 10  # problems of one kind


def look_at_run(config: Config, device: str, devices: str | None, measure: bool = True) -> Iterator[Finding]:
    """A finding for each thing that the run needs, with its cure where it is not there.

    With `measure`, and where nothing else is missing, some real steps are measured in a process of its own, and the
    plan that they make is held against what is free.
    """
    failed = False
    for finding in (_versions(), *_paths(config), *_pictures(config), *precision_of(config), *_weights_fit(config)):
        failed = failed or finding.status == "fail"
        yield finding
    name = "memory and disk for the run"
    if not measure:
        yield Finding(name, "warn", "not measured, as --quick asks", "leave --quick out")
    elif failed:
        yield Finding(name, "warn", "not measured while something is missing", "mend what fails, and look again")
    else:
        try:
            yield from fitting(plan_run(config, device, devices), config)
        except UserError as error:
            yield refused(name, error)


def _versions() -> Finding:
    name = "versions that belong together"
    try:
        odd = at_odds("jdart", ("train", "eval"))
    except ModuleNotFoundError:
        return Finding(name, "warn", "not looked at: packaging is missing", "pip install packaging")
    if not odd:
        return Finding(name, "ok", "what is installed agrees with what it needs of each other")
    found = "; ".join(said for said, _ in odd[:MOST])
    return Finding(name, "fail", found, "pip install " + " ".join(f"'{need}'" for _, need in odd[:MOST]))


def _paths(config: Config) -> Iterator[Finding]:
    """Each path that is named, in full, as a run that is started here takes it."""
    for setting, path in _named(config):
        name, full = f"path: {setting}", Path(os.path.abspath(os.path.expanduser(path)))
        if full.exists():
            yield Finding(name, "ok", str(full))
        else:
            here = "" if os.path.isabs(path) else f", as {path} is taken from this folder"
            cure = f"set {setting} to the full path of what is there"
            yield Finding(name, "fail", f"{full} is not there{here}", cure)
    try:
        require_base(config.base)
        yield Finding("path: base.model", "ok", _base_place(config))
    except UserError as error:
        yield refused("path: base.model", error)
    try:
        require_folder(Path(config.output))
        yield Finding("path: output", "ok", os.path.abspath(config.output))
    except UserError as error:
        yield refused("path: output", error)


def _base_place(config: Config) -> str:
    base = local_base(config)
    return f"{config.base.model}, of the hub" if base is None else os.path.abspath(base.folder)


def _named(config: Config) -> Iterator[tuple[str, str]]:
    """Setting and path of all that a configuration names on this machine, but for the base and the output."""
    if not means_toy(config.references):
        yield "references", config.references
    if config.contest is not None and config.contest not in shipped_contests():
        yield "contest", config.contest
    if config.story is not None and not means_toy(config.story):
        yield "story", config.story
    if config.score.weights is not None and not means_toy(config.score.weights):
        yield "score.weights", config.score.weights
    if config.lora.init_from is not None and "{style}" not in config.lora.init_from:
        yield "lora.init_from", config.lora.init_from
    yield from (("generate.loras", lora.path) for lora in config.generate.loras)
    adapter = config.generate.ip_adapter
    if adapter is not None:
        named = (("weights", adapter.weights), ("image_encoder", adapter.image_encoder))
        yield from ((f"generate.ip_adapter.{key}", path) for key, path in named if path is not None)
        yield from (("generate.ip_adapter.images", image.path) for image in adapter.images or ())
    if config.engine is not None:
        yield "engine.python", config.engine.python


def _pictures(config: Config) -> Iterator[Finding]:
    """How the references lie, and what of each style is learnt."""
    name, layout = "pictures to learn", config.data.layout
    try:
        styles = list(contest_of(config).styles)
    except UserError as error:
        yield refused(name, error)
        return
    problems, counts = [], []
    for style in styles:
        try:
            folder = picture_folder(config.references, layout, style)
            counts.append(len(style_pictures(folder, style, config.data)))
        except UserError as error:
            problems.append(refused(f"{name}: {style}", error))
    yield from problems[:MOST]
    if len(problems) > MOST:
        yield Finding(name, "fail", f"{len(problems) - MOST} more styles likewise", "jdart data shows all of them")
    if counts:
        range_ = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
        yield Finding(name, "ok", f"layout {layout}: {len(counts)} styles of {range_} pictures, {sum(counts)} in all")


def _weights_fit(config: Config) -> Iterator[Finding]:
    """The base's weights alone, before anything is measured with them, which would take all memory there is."""
    try:
        base = local_base(config)
        needed = 0 if base is None else weight_bytes(base)
    except UserError:
        return  # said already
    free = free_memory()
    if needed > free:
        found = f"{needed / GIB:.2f} GiB in {config.memory.storage_dtype}, {free / GIB:.2f} GiB of memory free"
        half = "set memory.storage_dtype=float16, " if config.memory.storage_dtype == "float32" else ""
        cure = f"{half}end other programs, take a smaller base or another machine"
        yield Finding("weights of the base", "fail", found, cure)
