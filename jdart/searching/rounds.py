"""A round: some candidates of every prompt of a style, drawn part of the way, compared, and the better drawn on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from contest.disk.files import read_json, write_json
from jdart.config import GenerateConfig, PruneConfig
from jdart.config.overrides import settings_of
from jdart.config.vary import changes_of, varied
from jdart.data.seeds import image_seed
from jdart.runs.job import Event, Job
from jdart.searching.drafts import drafts_looks, draw_drafts
from jdart.searching.folder import SearchFolder, number_and_prompt
from jdart.searching.judging import Looks, look_at_sketches, worth
from jdart.stages.drawing import Group, draw_groups, request_of, write_picture
from jdart.stages.scene import Scene, scene_of

if TYPE_CHECKING:
    from evaluator.scoring.scorer import Scorer
    from jdart.generation.draw import Request
    from jdart.generation.sketch import Sketch

PictureFile = Callable[[str, str, int], Path]  # style, prompt, number of a candidate -> its picture
Resting = list[tuple[Scene, "list[Sketch]"]]


@dataclass(frozen=True)
class Round:
    """`numbers` are the candidates that were tried of each prompt, `kept` those of each that are drawn to the end.

    `looks` says what sketches or drafts were worth; empty where all were drawn at once. `seconds` is None where the
    round was broken off in between; `drafting` is the part of them that drafts took.
    """

    numbers: tuple[int, ...]
    kept: Mapping[str, tuple[int, ...]]
    looks: Looks
    seconds: Optional[float] = None
    drafting: Optional[float] = None

    def done(self, folder: SearchFolder, style: str) -> bool:
        """Whether every picture that is kept is there."""
        return all(folder.candidate(style, prompt, n).exists() for prompt, own in self.kept.items() for n in own)


def rounds_of(folder: SearchFolder, style: str) -> list[Round]:
    """The rounds of a style that were decided, in their order. The last may lack pictures."""
    return [_read(path) for path in sorted(folder.round(style, 0).parent.glob("*.json"))]


def tried(rounds: Sequence[Round]) -> int:
    """How many candidates of each prompt a style's rounds tried."""
    return rounds[-1].numbers[-1] + 1 if rounds else 0


def candidate_groups(
    job: Job,
    style: str,
    kept: Mapping[str, Sequence[int]],
    changes: Mapping[int, Mapping[str, object]],
    file: PictureFile,
) -> list[tuple[GenerateConfig, list[Request]]]:
    """The candidates `kept` (prompt -> numbers) in groups that are drawn alike, each number for itself."""
    config = job.config
    groups: dict[tuple[int, GenerateConfig], list[Request]] = {}
    for number in sorted({number for own in kept.values() for number in own}):
        for prompt in (prompt for prompt, own in kept.items() if number in own):
            settings, own_seed = settings_of(config.generate, config.seed, config.overrides, style, prompt)
            settings = varied(settings, changes[number])
            path = file(style, prompt, number)
            request = request_of(config, settings, style, prompt, image_seed(style, prompt, own_seed, number), path)
            groups.setdefault((number, settings), []).append(request)
    return [(settings, requests) for (_, settings), requests in groups.items()]


def draw_round(job: Job, style: str, numbers: Sequence[int], scorer: Scorer) -> Iterator[Event]:
    """Try these candidates of every prompt, unless that was done; what was decided once is not decided again."""
    assert job.config.search is not None
    begun, prompts, folder = time.perf_counter(), job.contest.styles[style], SearchFolder(job.folder)
    file = folder.round(style, numbers[0])
    changes = {number: changes_of(job.config, number) for number in numbers}
    total, fresh = len(numbers) * len(prompts), not file.exists()
    if fresh:
        groups = candidate_groups(job, style, dict.fromkeys(prompts, numbers), changes, folder.candidate)
        search, resting, looks, drafting = job.config.search, [], {}, None
        rule = None if len(numbers) == 1 else search.draft if search.prune is None else search.prune
        if isinstance(rule, PruneConfig):
            resting = yield from _sketched(job, style, groups, rule)
            looks = _looks(job, style, numbers, scorer) if resting else {}
        elif rule is not None:
            unsure = [number for number in numbers if number > 0]  # 0 is drawn in any case
            yield from draw_drafts(job, style, _only(groups, unsure), rule)
            drafting = round(time.perf_counter() - begun, 3)
            looks = drafts_looks(job, style, unsure, scorer)
        keep = 1.0 if rule is None else rule.keep
        kept = {prompt: _kept(numbers, looks.get(prompt, {}), keep) for prompt in prompts}
        write_json(file, asdict(Round(tuple(numbers), kept, looks, drafting=drafting)))
        given_up = total - sum(map(len, kept.values()))
        yield Event("search", style, given_up, total, f"{given_up} stopped early" if looks else "")
        for _ in _drawn_on(job, resting, {str(folder.candidate(style, p, n)) for p, own in kept.items() for n in own}):
            yield _event(folder, style, _read(file), total)
    told = _read(file)
    for _ in draw_groups(job, style, candidate_groups(job, style, told.kept, changes, folder.candidate)):
        yield _event(folder, style, told, total)
    if fresh:
        told = replace(told, seconds=round(time.perf_counter() - begun, 3))
        write_json(file, asdict(told))
    yield Event("search", style, total, total, f"candidates {numbers[0]} to {numbers[-1]}", skipped=not fresh)


def _sketched(job: Job, style: str, groups: Sequence[Group], prune: PruneConfig) -> Generator[Event, None, Resting]:
    """Draw part of the way what can rest there, with a file of each."""
    from jdart.generation.sketch import sketch

    folder, resting, total = SearchFolder(job.folder), [], sum(len(requests) for _, requests in groups)
    for number, (settings, requests) in enumerate(groups, 1):
        yield Event("search", style, 0, total, f"sketches, {number} of {len(groups)}")
        if settings.styleid is not None or settings.style_blend is not None or settings.calls < 2:
            continue
        scene = scene_of(job, style, settings, requests)
        finish = scene.finish
        with scene.networks(job.base):
            shown = scene.average, scene.pictures, prune.at, scene.images
            found = sketch(job.base, requests, scene.settings, scene.size, *shown)
        resting.append((scene, found))
        for each in found:
            for request, preview in zip(each.batch.requests, each.previews):
                candidate, prompt = number_and_prompt(Path(request.name))
                notes = {**scene.notes(request, job.base, (0, 1)), "sketch": prune.at}
                write_picture(folder.sketch(style, prompt, candidate), finish(preview), notes, job)
    return resting


def _looks(job: Job, style: str, numbers: Sequence[int], scorer: Scorer) -> Looks:
    folder, prompts = SearchFolder(job.folder), job.contest.styles[style]
    there = {number: {prompt: folder.sketch(style, prompt, number) for prompt in prompts} for number in numbers}
    there = {number: {p: path for p, path in own.items() if path.exists()} for number, own in there.items()}
    return look_at_sketches(scorer, style, {number: own for number, own in there.items() if own})


def _kept(numbers: Sequence[int], looks: Mapping[int, Mapping[str, float]], keep: float) -> tuple[int, ...]:
    """The best of a prompt's candidates, those without a look, and candidate 0, beside which a gain is counted."""
    better = sorted(looks, key=lambda number: (number != 0, -worth(looks[number])))
    chosen = {*better[: max(1, ceil(keep * len(looks) - 1e-9))], *(n for n in numbers if n not in looks)}
    return tuple(number for number in numbers if number in chosen)


def _drawn_on(job: Job, resting: Resting, wanted: set[str]) -> Iterator[Path]:
    """Draw to the end what is wanted of the sketches."""
    for scene, sketches in resting:
        with scene.networks(job.base):
            for each in sketches:
                rows = [row for row, request in enumerate(each.batch.requests) if request.name in wanted]
                for place, (request, picture) in enumerate(each.drawn(rows)):
                    path = Path(request.name)
                    if not path.exists():
                        notes = scene.notes(request, job.base, (place, len(rows)))
                        write_picture(path, scene.finish(picture), notes, job)
                        yield path


def _event(folder: SearchFolder, style: str, told: Round, total: int) -> Event:
    kept = [folder.candidate(style, prompt, number) for prompt, own in told.kept.items() for number in own]
    return Event("search", style, total - sum(not path.exists() for path in kept), total)


def _only(groups: Sequence[Group], numbers: Sequence[int]) -> list[Group]:
    """What is asked for of these candidates."""
    return [(settings, own) for settings, own in groups if number_and_prompt(Path(own[0].name))[0] in numbers]


def _read(file: Path) -> Round:
    told = read_json(file)
    kept = {prompt: tuple(numbers) for prompt, numbers in told["kept"].items()}
    looks = {prompt: {int(number): look for number, look in own.items()} for prompt, own in told["looks"].items()}
    return Round(tuple(told["numbers"]), kept, looks, told["seconds"], told.get("drafting"))
