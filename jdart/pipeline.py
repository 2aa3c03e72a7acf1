"""The whole way: prior, training, generation, check, archive, score, board. Every stage goes on where it stopped.

The only module of jdart that calls the other three packages. Each stage is a generator of `Event`s; the last event of
a stage says how much of it was already there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdart.config import Config, GenerateConfig
from jdart.data import Picture as Reference
from jdart.data import average_image, image_seed, load_pictures
from jdart.lora_file import LoraFile, load_lora, save_lora
from jdart.run import RunFolder, contest_of, earlier_run, require_same, write_run
from submission.contest import Contest
from submission.errors import UserError
from submission.files import atomic_write, read_json, sha256

if TYPE_CHECKING:
    from jdart.models.build import Base

STAGES = ("prior", "train", "generate", "check", "build", "score", "board")


@dataclass(frozen=True)
class Event:
    """How far a stage is: `done` of `total` units, for one style or all (None), and what was just done."""

    stage: str
    style: str | None
    done: int
    total: int
    text: str = ""
    skipped: bool = False  # this unit was there already


@dataclass(frozen=True)
class Job:
    """A configuration with everything it names looked up: folder, contest, references, base."""

    config: Config
    folder: RunFolder
    contest: Contest
    references: Mapping[str, tuple[Reference, ...]]
    base: Base
    revision: str | None

    def note(self) -> None:
        """Bring run.json up to date."""
        write_run(self.folder, self.config, self.contest, self.base.identity, self.revision)


def open_job(config: Config) -> Job:
    """Look up everything before anything is computed. Raises UserError for what is not there or not the same."""
    from jdart.models.build import Base
    from jdart.models.hub import locate

    contest = contest_of(config)
    references = {
        style: load_pictures(Path(config.references) / style / "images", config.data.template, style)
        for style in contest.styles
    }
    if config.score.weights is not None and not Path(config.score.weights).is_dir():
        raise UserError(
            f"score.weights: {config.score.weights}: no such folder; leave it out to skip scoring, "
            f"or make a miniature pack with: jdart-eval weights new {config.score.weights}"
        )
    folder = RunFolder(Path(config.output))
    earlier = earlier_run(folder)
    revision = config.base.revision
    if revision is None and earlier is not None:
        revision = earlier["base"].get("revision")
    path, revision = locate(config.base.model, revision)
    base = Base(path)
    _check_size(base, config)
    if earlier is not None:
        require_same(folder, earlier, config, base.identity)
    return Job(config, folder, contest, references, base, revision)


def make_prior(job: Job) -> Iterator[Event]:
    """Pictures of the plain base model, for prior preservation; shared by all styles that need the same object."""
    config = job.config
    if config.prior.weight == 0:
        return
    wanted: dict[Path, tuple[str, int]] = {}
    for style in job.contest.styles:
        for prompt in _prior_prompts(job, style):
            for number in range(config.prior.images_per_prompt):
                wanted[job.folder.prior(prompt, number)] = (
                    prompt,
                    image_seed("prior", prompt, config.seed + number),
                )
    settings = GenerateConfig(
        sampler=config.generate.sampler,
        steps=config.prior.steps,
        guidance_scale=config.generate.guidance_scale,
        negative_prompt=config.generate.negative_prompt,
        batch_size=config.generate.batch_size,
    )
    yield from _draw_missing(job, "prior", None, wanted, settings, None)


def train_styles(job: Job) -> Iterator[Event]:
    """One LoRA a style. A style whose file is there is done."""
    for style in job.contest.styles:
        steps = job.config.train.steps
        if job.folder.lora(style).exists():
            yield Event("train", style, steps, steps, "there already", skipped=True)
            continue
        for record in _train_style(job, style):
            yield Event("train", style, record.step, steps, f"loss {record.loss:.4f}")
        job.note()


def generate_styles(job: Job) -> Iterator[Event]:
    """Draw every missing picture of every style, then its contact sheet."""
    from jdart.lora import merged

    config = job.config
    for style, prompts in job.contest.styles.items():
        wanted = {}
        for prompt in prompts:
            text = config.data.template.format(object=prompt, id=style)
            wanted[job.folder.image(style, prompt)] = (text, image_seed(style, prompt, config.seed))
        if all(path.exists() for path in wanted):
            yield Event("generate", style, len(wanted), len(wanted), "there already", skipped=True)
            continue
        if not job.folder.lora(style).exists():
            raise UserError(f"style {style} is not trained yet; run: jdart train, or jdart run for the whole way")
        lora = load_lora(job.folder.lora(style))
        average = None
        if config.generate.strength is not None:
            average = average_image([picture.path for picture in job.references[style]], config.data.size)
        with (
            merged(job.base.unet, lora.pairs["unet"]),
            merged(job.base.text_encoder, lora.pairs["text_encoder"]),
        ):
            yield from _draw_missing(job, "generate", style, wanted, config.generate, average)
        _write_sheet(job, style)


def check_entry(job: Job) -> Iterator[Event]:
    """The rules of the contest. Raises UserError that names the command to see the findings with."""
    from submission import check

    findings = check(job.folder.root)
    if findings:
        raise UserError(
            f"the entry has {len(findings)} findings, the first: {findings[0]}; "
            f"see all with: jdart-submit check {job.folder.root}"
        )
    yield Event("check", None, job.contest.pictures, job.contest.pictures, "no findings", skipped=True)


def build_entry(job: Job) -> Iterator[Event]:
    """Pack `entry.zip`."""
    from submission import build

    result = build(job.folder.root, None, job.folder.entry, force=True)
    if result.findings:
        raise UserError(f"the entry has findings; see them with: jdart-submit check {job.folder.root}")
    yield Event("build", None, 1, 1, f"{job.folder.entry} is {result.state}", skipped=result.state == "up to date")


def score_entry(job: Job, device: str) -> Iterator[Event]:
    """Score the pictures with the evaluator, unless the report of these very pictures is there."""
    from evaluator import score_submission
    from evaluator.entry import fingerprint

    if job.config.score.weights is None:
        yield Event("score", None, 1, 1, "left out: score.weights is not set", skipped=True)
        return
    report_file = job.folder.report / "report.json"
    if report_file.exists():
        report = read_json(report_file)
        pictures = {
            (style, f"{prompt}.png"): sha256(job.folder.image(style, prompt))
            for style, prompts in job.contest.styles.items()
            for prompt in prompts
        }
        if report["submission"]["sha256"] == fingerprint(pictures) and report["profile"] == job.config.score.profile:
            yield Event("score", None, 1, 1, f"Final {report['scores']['final']:.6f}", skipped=True)
            return
    yield Event("score", None, 0, 1, "scoring")
    scored = score_submission(job.folder.root, profile=job.config.score.profile, device=device)
    yield Event("score", None, 1, 1, f"Final {scored.scores.final:.6f}")


def build_board(job: Job) -> Iterator[Event]:
    """The page of this run."""
    from leaderboard import build_site

    if not (job.folder.report / "report.json").exists():
        yield Event("board", None, 1, 1, "left out: there is no score", skipped=True)
        return
    report, page = job.folder.report / "report.json", job.folder.site / "index.html"
    there = page.exists() and page.stat().st_mtime >= report.stat().st_mtime
    if not there:
        build_site([job.folder.report], job.folder.site)
    yield Event("board", None, 1, 1, str(page), skipped=there)


def stages(job: Job, device: str) -> Mapping[str, Callable[[], Iterator[Event]]]:
    """Every stage by name, in order."""
    return {
        "prior": lambda: make_prior(job),
        "train": lambda: train_styles(job),
        "generate": lambda: generate_styles(job),
        "check": lambda: check_entry(job),
        "build": lambda: build_entry(job),
        "score": lambda: score_entry(job, device),
        "board": lambda: build_board(job),
    }


def _train_style(job: Job, style: str) -> Iterator[Any]:
    from jdart.examples import encode
    from jdart.train import add_adapters, take_adapters, train

    config, base = job.config, job.base
    frozen = config.text_encoder_lora.rank == 0
    instance = encode(base, job.references[style], config.data, config.seed, frozen)
    prior = None
    if config.prior.weight > 0:
        pictures = [
            Reference(job.folder.prior(prompt, number), prompt, prompt)
            for prompt in _prior_prompts(job, style)
            for number in range(config.prior.images_per_prompt)
        ]
        missing = [picture.path for picture in pictures if not picture.path.exists()]
        if missing:
            raise UserError(f"{len(missing)} prior pictures are not there; run: jdart prior, or jdart run")
        prior = encode(base, pictures, config.data, config.seed, frozen)
    adapters = add_adapters(base, config, style)
    records = []
    try:
        for record in train(base, adapters, instance, prior, config, style):
            records.append(record)
            yield record
    finally:
        pairs = take_adapters(base, adapters)
    _write_losses(job.folder.losses(style), records, style)
    settings = {
        "style": style,
        "base": base.identity,
        "template": config.data.template,
        "rank": config.lora.rank,
        "alpha": config.lora.scale_alpha,
        "seed": config.seed,
        "steps": config.train.steps,
    }
    save_lora(job.folder.lora(style), LoraFile(pairs, settings))


def _write_losses(path: Path, records: Sequence[Any], style: str) -> None:
    from jdart.plots import loss_plot

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", "loss", "learning_rate", "gradient_norm"])
    table.writerows([r.step, f"{r.loss:.8g}", f"{r.learning_rate:.8g}", f"{r.gradient_norm:.8g}"] for r in records)
    with atomic_write(path, "w") as out:
        out.write(text.getvalue())
    loss_plot([(r.step, r.loss) for r in records], path.with_suffix(".png"), f"Training loss, style {style}")


def _draw_missing(
    job: Job,
    stage: str,
    style: str | None,
    wanted: Mapping[Path, tuple[str, int]],
    settings: GenerateConfig,
    average: Any,
) -> Iterator[Event]:
    """Draw the pictures of `wanted` (path -> prompt and seed) that are not there, each written when it is done."""
    from jdart.generate import Request, draw

    paths = {str(path): path for path in wanted if not path.exists()}
    done = len(wanted) - len(paths)
    if done:
        yield Event(stage, style, done, len(wanted), "there already", skipped=True)
    requests = [Request(name, *wanted[path]) for name, path in paths.items()]
    for request, picture in draw(job.base, requests, settings, job.config.data.size, average):
        _write_picture(paths[request.name], picture, request, settings, job)
        done += 1
        yield Event(stage, style, done, len(wanted), paths[request.name].stem)


def _write_picture(path: Path, picture: Any, request: Any, settings: GenerateConfig, job: Job) -> None:
    """PNG with its parameters in a text chunk."""
    from dataclasses import asdict

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    parameters = {
        **asdict(settings),
        "prompt": request.prompt,
        "seed": request.seed,
        "base": job.base.identity,
    }
    parameters.pop("batch_size")
    notes = PngInfo()
    notes.add_text("jdart", json.dumps(parameters, sort_keys=True))
    with atomic_write(path) as out:
        Image.fromarray(picture).save(out, format="PNG", pnginfo=notes)


def _write_sheet(job: Job, style: str) -> None:
    from jdart.sheets import contact_sheet

    outputs = {prompt: job.folder.image(style, prompt) for prompt in job.contest.styles[style]}
    sheet = contact_sheet([picture.path for picture in job.references[style]], outputs, f"Style {style}")
    with atomic_write(job.folder.sheet(style)) as out:
        sheet.save(out, format="PNG")


def _prior_prompts(job: Job, style: str) -> tuple[str, ...]:
    """The plain prompts of a style's training objects and of what it will draw; each is also its pictures' caption."""
    objects = [picture.object for picture in job.references[style]] + list(job.contest.styles[style])
    template = job.config.data.prior_template
    return tuple(dict.fromkeys(template.format(object=name, id=style) for name in objects))


def _check_size(base: Base, config: Config) -> None:
    levels = len(read_json(base.folder / "vae" / "config.json").get("block_out_channels", (1,) * 4)) - 1
    if config.data.size % 2**levels:
        raise UserError(f"data.size: {config.data.size} is not a multiple of {2**levels}, as this base's VAE needs")
