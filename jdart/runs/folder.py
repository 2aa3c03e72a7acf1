"""The run folder: where everything of a run lies, and `run.json`, which says what was run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contest.definition import Contest
from contest.disk.files import read_json, sha256, write_json
from contest.disk.shipped import means_toy
from contest.errors import UserError
from contest.reading import contest_from_defects, contest_from_references, load_contest, shipped_contests
from jdart.config import Config, said
from jdart.config.overrides import require_known
from jdart.data.layout import require_defects
from jdart.lora.formats.file import FILE_NAME
from jdart.runs.story import prompts_of, story_contest
from jdart.versions import version_of
from submission.packing.provenance import find_commit

SCHEMA_VERSION = 1
PACKED = "packed"  # the name of the LoRA of all styles
TOKEN_NAME = "learned_embeds.safetensors"  # as diffusers looks for it
IP_ADAPTER_NAME = "ip_adapter.safetensors"
LIBRARIES = ("jittor", "numpy", "pillow", "transformers")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run. Nothing is made before it is needed, and nothing is ever removed.

    `packed`: all styles share one LoRA. `story`: the prompts of a story, whose pictures lie side by side, numbered;
    `told` are the names of the prompts' table and of the sheet that lie beside them.
    """

    root: Path
    packed: bool = False
    story: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> RunFolder:
        """The folder that a configuration names. UserError for a story that cannot be read."""
        root, packed = Path(config.output), config.train.packed
        if config.story is None:
            return cls(root, packed)
        rules = story_contest(config).story
        assert rules is not None
        return cls(root, packed, prompts_of(config.story), (rules.prompts, rules.sheet))

    @property
    def manifest(self) -> Path:
        return self.root / "run.json"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def choices(self) -> Path:
        """Which of several candidates each picture is, where a search chose it."""
        return self.root / "choices.json"

    @property
    def entry(self) -> Path:
        return self.root / "entry.zip"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def site(self) -> Path:
        return self.root / "site"

    def image(self, style: str, prompt: str) -> Path:
        return self.images / f"{self._number(prompt)}.png" if self.story else self.images / style / f"{prompt}.png"

    def _number(self, prompt: str) -> str:
        """What a picture of a story is called: prompts are too long to name files."""
        return f"{self.story.index(prompt) + 1:02d}"

    def learnt(self, style: str) -> Path:
        """The folder of what a style, or all of them together, was trained to."""
        return self.root / "lora" / (PACKED if self.packed else style)

    def token(self, style: str) -> Path:
        """The embeddings of the style's token."""
        return self.learnt(style) / TOKEN_NAME

    def ip_adapter(self, style: str) -> Path:
        """The IP-Adapter that was learnt on the style."""
        return self.learnt(style) / IP_ADAPTER_NAME

    def lora(self, style: str) -> Path:
        """The style's LoRA; a `.bin` of the JDiffusion baseline where that is what was put there."""
        path = self.learnt(style) / FILE_NAME
        baseline = path.with_suffix(".bin")
        return baseline if baseline.exists() and not path.exists() else path

    def also(self, style: str, format: str) -> Path:
        """The style's LoRA in another format, for other programs: nothing is drawn with it here. PEFT's is a folder."""
        ending = {"kohya": "kohya.safetensors", "bin": "jdiffusion.bin", "peft": "peft"}[format]
        return self.learnt(style) / f"{Path(FILE_NAME).stem}.{ending}"

    def losses(self, style: str) -> Path:
        return self.learnt(style) / "loss.csv"

    def candidate(self, style: str, prompt: str, number: int) -> Path:
        """Picture `number` of a prompt: 0 is the entry's, the others are kept beside it."""
        if number == 0:
            return self.image(style, prompt)
        name = self._number(prompt) if self.story else prompt
        return self.root / "candidates" / style / name / f"{number}.png"

    def content(self, picture: Path) -> Path:
        """What a picture was before StyleID injection."""
        return self.root / "content" / picture.relative_to(self.root)

    def checkpoint(self, style: str) -> Path:
        """From where the style's training goes on; it stays when the LoRA is done."""
        return self.learnt(style) / "checkpoint.safetensors"

    def validation(self, style: str, step: int) -> Path:
        return self.learnt(style) / "validation" / f"{step}.png"

    def events(self, style: str) -> Path:
        """TensorBoard's files."""
        return self.learnt(style) / "tensorboard"

    def log(self, task: str) -> Path:
        """What the process of a task says: its own words, its libraries' and its compiler's."""
        return self.root / "logs" / f"{task}.log"

    def earlier(self, name: str) -> RunFolder:
        """Where what was replaced lies, each file at the place that it had."""
        return replace(self, root=self.root / "earlier" / name)

    @property
    def composition(self) -> RunFolder:
        """Where the composition of the styles is learnt; `lora(style)` there is a LoRA of the text encoder alone."""
        return RunFolder(self.root / "composition")

    def pictures(self, style: str) -> list[Path]:
        """Every picture that lies there for a style, its candidates among them."""
        images = self.images if self.story else self.images / style
        return sorted([*images.glob("*.png"), *(self.root / "candidates" / style).glob("*/*.png")])

    def sheet(self, style: str) -> Path:
        return self.root / "sheets" / f"{style}.png"

    def candidates_sheet(self, style: str) -> Path:
        return self.root / "sheets" / f"{style}-candidates.png"

    def drawn(self, style: str, prompts: Sequence[str], count: int) -> tuple[Path, ...]:
        """All that a style's drawing makes, with `count` pictures a prompt: pictures, candidates and sheets."""
        sheets = [self.sheet(style), *([self.candidates_sheet(style)] if count > 1 else [])]
        sheets += [self.images / name for name in self.told]
        return (*(self.candidate(style, prompt, number) for prompt in prompts for number in range(count)), *sheets)

    def prior(self, prompt: str, number: int) -> Path:
        return self.root / "prior" / prompt / f"{number}.png"


def contest_of(config: Config) -> Contest:
    """The contest of a configuration: all its styles, or those chosen. Raises UserError for an unknown one."""
    if config.story is not None:
        contest = story_contest(config)
        require_known(config.overrides, contest.styles)
        return contest
    if config.data.layout == "mvtec":
        require_defects(() if config.styles is None else config.styles)
    if config.contest is None and config.data.layout == "mvtec":
        contest = contest_from_defects(config.references)
    elif config.contest is None:
        contest = contest_from_references(config.references)
    else:
        contest = load_contest(config.contest)
    require_known(config.overrides, contest.styles)
    return contest if config.styles is None else contest.subset(config.styles)


def whole_contest_of(config: Config) -> Contest:
    """The contest with the styles that the run leaves out, too; a story has one."""
    return contest_of(config if config.story is not None else replace(config, styles=None))


def earlier_run(folder: RunFolder) -> Mapping[str, Any] | None:
    """What `run.json` says, or None in a fresh folder. Raises UserError when it is not one of ours."""
    if not folder.manifest.exists():
        return None
    run = read_json(folder.manifest)
    good = isinstance(run, dict) and run.get("schema_version") == SCHEMA_VERSION and isinstance(run.get("config"), dict)
    good = good and isinstance(run.get("base"), dict) and isinstance(run.get("styles"), list)
    if not good or not all(isinstance(text, str) for text in [run["base"].get("sha256"), *run["styles"]]):
        raise UserError(f"{folder.manifest}: not a run of this version; choose another output folder")
    return run


def require_trained_on(folder: RunFolder, settings: Mapping[str, Any], *styles: str) -> None:
    """Raise UserError when a packed LoRA, by the notes in its file, was trained without one of `styles`."""
    missing = [style for style in styles if folder.packed and style not in settings.get("styles", ())]
    if missing:
        raise UserError(
            f"{folder.lora(missing[0])}: was packed without style {', '.join(missing)}; "
            "train all styles together in another folder, with --output"
        )


def write_run(
    folder: RunFolder,
    config: Config,
    contest: Contest,
    identity: str,
    revision: str | None,
    started_from: Mapping[str, str],
) -> None:
    """Write `run.json` as the folder stands now. The styles of earlier calls stay listed.

    `started_from` is the hash of the file that each LoRA starts from.
    """
    earlier, weights, rules = earlier_run(folder), config.score.weights, _rules(config)
    starts = {**({} if earlier is None else earlier.get("init_from", {})), **started_from}
    styles = [*contest.styles, *([] if earlier is None else earlier["styles"])]
    compositions = _hashes(folder.composition, styles, folder.root)
    value = {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "tool": f"jdart {version_of('jdart')}",
        "contest": contest.name,
        "styles": sorted(set(styles)),
        "images": "images",
        "seed": config.seed,
        "config": said(config),
        "base": {"source": config.base.model, "revision": revision, "sha256": identity},
        "commit": find_commit(folder.root) if earlier is None else earlier.get("commit"),
        "lora": _hashes(folder, styles, folder.root),
        **({"composition": compositions} if compositions else {}),
        **({"init_from": starts} if starts else {}),
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in LIBRARIES}},
        "local": {
            "references": _local(config.references, folder.root),
            "weights": None if weights is None else _local(weights, folder.root),
            **({} if rules is None else {"rules": _local(rules, folder.root)}),
        },
    }
    if earlier != value:
        write_json(folder.manifest, value)


def _hashes(folder: RunFolder, styles: Sequence[str], root: Path) -> dict[str, dict[str, str]]:
    """Place below `root` and hash of each style's LoRA that is there."""
    loras = {style: folder.lora(style) for style in sorted(set(styles))}
    return {
        style: {"file": str(path.relative_to(root)), "sha256": sha256(path), **_told(path)}
        for style, path in loras.items()
        if path.exists()
    }


def _rules(config: Config) -> str | None:
    """The file of a contest that does not come along, in which alone its prompts may be."""
    return None if config.contest is None or config.contest in shipped_contests() else config.contest


def _told(lora: Path) -> dict[str, str]:
    """What a LoRA says of the loss of its training, where that did not fall."""
    from jdart.lora.formats.reading import load_notes

    try:
        loss = load_notes(lora).get("loss")
    except UserError:  # which is told where it is read
        return {}
    return {"loss": loss} if isinstance(loss, str) else {}


def _local(path: str, root: Path) -> str:
    """Relative to the run folder, so that a checkout can be moved as a whole; or the name of what comes along."""
    return path if means_toy(path) else os.path.relpath(Path(path).resolve(), root.resolve())
