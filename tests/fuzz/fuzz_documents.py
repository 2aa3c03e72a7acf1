"""Readers of JSON and YAML: contests, configurations, reports, manifests, a base model's settings."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from fuzz_targets import JSON, YAML, Target, spelt, text

from contest.definition import Contest
from contest.disk.files import read_json
from contest.entry.contents import open_contents
from contest.errors import UserError
from contest.reading import contest_from_references, load_contest
from evaluator.inputs.entry import open_entry
from evaluator.reporting.report import read_report as read_own_report
from jdart.config import Config, load_config, to_mapping
from jdart.models.schedule import NoiseSchedule
from jdart.runs.folder import RunFolder, earlier_run
from jdart.sweeping.sweep import load_sweep
from jdart.trying.ablation import load_ablation
from leaderboard.building.marker import read_marker
from leaderboard.reading.reports import read_report
from organiser.clock import to_text
from organiser.rules import in_words
from organiser.settings.reading import read_event
from organiser.settings.split import splits_of
from submission import check
from submission.packing.manifest import check_manifest
from submission.packing.source import choose_contest, open_source

CONTEST = {
    "name": "tiny",
    "version": "1",
    "references": 2,
    "styles": {"00": ["Dolphin", "Ice cream"], "01": ["Sun"]},
    "size": [33, 40],
    "limits": {"files": 100},
}
STORY = {"name": "tale", "story": {"pictures": 2, "prompts": "prompts.csv", "sheet": "sheet.png", "rows": 1}}
TINY = Contest("tiny", {"00": ("Dolphin",)})
OVERRIDE = {"seed": 3, "guidance_scale": 5.0, "prompts": {"Dolphin": {"negative_prompt": "blurred"}}}
CONFIG = {"name": "x", "output": "out", "references": "refs", "train": {"steps": 20, "learning_rate": 1.0e-4}}
CONFIG = {**CONFIG, "generate": {"steps": 5}, "overrides": {"00": OVERRIDE}, "data": {"captions": "auto"}}
ABLATION = {"title": "t", "base": "demo", "set": {"train.steps": 3}, "methods": {"cfg": {"what": "guidance"}}}
ABLATION["methods"]["cfg"]["variants"] = [{"name": "7", "set": {"generate.guidance_scale": 7.0}}]
SWEEP = {"base": "demo", "trials": 2, "space": {"train.learning_rate": {"low": 1.0e-4, "high": 1.0e-3, "log": True}}}
SWEEP["space"]["generate.guidance_scale"] = {"choices": [3.0, 5.0]}
SCORES = dict.fromkeys(("dino", "hist", "fid", "lpips", "clip_iqa", "clip_r", "style", "text", "quality", "final"), 0.5)
STYLE = dict.fromkeys(("dino", "hist", "hist_rgb", "hist_hsv", "lpips", "clip_iqa", "clip_r"), 0.5)
IMAGE = {**dict.fromkeys(("dino", "hist_rgb", "hist_hsv", "lpips", "clip_iqa"), 0.5), "clip_r_correct": True}
IMAGE = {**IMAGE, "clip_r_rank": 1, "clip_r_top5": ["dolphin"]}
REPORT = {
    "schema_version": 1,
    "profile": "official-2024",
    "contest": "tiny",
    "submission": {"name": "demo", "sha256": "ab" * 32},
    "scores": SCORES,
    "intervals": {"final": [0.4, 0.6]},
    "styles": {"00": {**STYLE, "images": 1}},
    "images": {"00": {"Dolphin.png": IMAGE}},
    "extras": {"kid": {"label": "KID", "total": 0.1, "styles": {"00": 0.1}, "images": {}}},
    "corrected": None,
    "provenance": {
        "tool": "jdart-eval",
        "references": {"name": "r", "sha256": "ef" * 32},
        "styles": ["00"],
        "as_is": False,
        "complete": True,
        "skipped": [],
        "comparable": True,
        "not_comparable_because": [],
        "weights": {"RN50.pt": "cd" * 32},
        "versions": {"python": "3.11"},
        "device": "cpu",
        "precision": "float32",
        "seconds": {"dino": 1.0},
    },
}
RUN = {
    "schema_version": 1,
    "name": "demo",
    "contest": "tiny",
    "styles": ["00"],
    "images": "images",
    "seed": 7,
    "config": {"seed": 7, "train": {"steps": 3}},
    "base": {"source": "b", "revision": None, "sha256": "fe" * 32},
    "commit": "12" * 20,
    "lora": {"00": {"file": "lora/00/x.safetensors", "sha256": "ab" * 32}},
    "versions": {"python": "3.11"},
    "local": {"references": "toy", "weights": None},
    "commands": ["jdart run x.yaml"],
    "decisions": {"seed": 7},
    "seconds": 3.5,
}
META = {"team": "ours", "tags": ["a", "b"], "date": "2024-06-30", "link": "https://example.org/x", "note": "plain"}
SCHEDULER = {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
SCHEDULER = {**SCHEDULER, "beta_schedule": "scaled_linear", "num_train_timesteps": 100, "prediction_type": "epsilon"}
MARKER = {"schema_version": 2, "title": "B", "sources": ["../r"], "files": {"index.html": ["ab", 3]}, "thumbnails": []}
MANIFEST = {
    "schema_version": 1,
    "tool": "jdart 0",
    "contest": {"name": "tiny", "styles": {"00": 1}, "version": "1"},
    "files": {"00/Dolphin.png": {"sha256": "ab" * 32, "bytes": 3}},
    "run": {key: RUN[key] for key in ("schema_version", "name", "styles", "seed", "base", "lora", "versions")},
    "commit": None,
    "score": {"final": 0.5, "profile": "p", "comparable": False, "pictures": "ab" * 32, "weights": {}},
}

EVENT = {
    "title": "Evening",
    "contest": "c.yaml",
    "references": "r",
    "weights": "w",
    "time_zone": "+08:00",
    "per_day": 5,
}
EVENT = {**EVENT, "teams": ["a", "b"], "baselines": ["b"], "deadline": "2026-08-10 18:00", "pending": "drop"}
EVENT = {**EVENT, "freeze": datetime(2026, 8, 10, 12), "counts": "chosen", "chosen": 2, "decimals": 4}
EVENT = {**EVENT, "exceptions": {"b": {"per_day": 10, "deadline": "2026-08-11T18:00:00Z"}}, "ties": ["fid", "earlier"]}
EVENT = {**EVENT, "private": {"styles": ["01"], "prompts": {"00": ["Dolphin"]}}}


def event(path: Path) -> None:
    """The rules of an event, and what is told of them."""
    found = read_event(path)
    in_words(found)
    found.day_of(datetime.now(timezone.utc))
    for team in (*found.exceptions, "a"):
        found.limit_of(team)
        for moment in (found.deadline_of(team), found.freeze):
            if moment is not None:
                to_text(moment)
                found.told(moment)
                found.day_of(moment)
    splits_of(Contest("tiny", {"00": ("Dolphin", "Sun", "Rose"), "01": ("Sun",)}), found.private)


def manifest(path: Path) -> None:
    with open_contents(path.parent) as listing:
        list(check_manifest(listing.items, TINY))
    check(open_source(path.parent).pictures, TINY)


def run_folder(path: Path) -> None:
    """run.json, by everybody who reads it; a refusal of one does not spare it the others."""
    refused = []
    for read in (read_report, _source, _entry, lambda folder: earlier_run(RunFolder(folder))):
        try:
            read(path.parent)
        except UserError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _source(folder: Path) -> None:
    choose_contest(open_source(folder))


def _entry(folder: Path) -> None:
    with open_entry(folder):
        pass


def reports(path: Path) -> None:
    try:
        report = read_own_report(path)
        assert read_own_report(path) == report
    finally:
        read_report(path)


def document_targets() -> dict[str, Target]:
    report, run = text(REPORT), text(RUN)
    prompts = (text({"0": "Dolphin", "1": "Sun"}), text({"00": "Sun"}))
    return {
        "contest": Target("contest.yaml", load_contest, (spelt(CONTEST), spelt(STORY)), YAML),
        "prompts": Target("r/00/prompt.json", lambda path: contest_from_references(path.parents[1]), prompts, JSON),
        "config": Target("config.yaml", lambda path: load_config(str(path)), (spelt(CONFIG), _whole()), YAML),
        "ablation": Target("ablation.yaml", lambda path: load_ablation(str(path)), (spelt(ABLATION),), YAML),
        "sweep": Target("sweep.yaml", lambda path: load_sweep(str(path)), (spelt(SWEEP),), YAML),
        "report": Target("report.json", reports, (report,), JSON),
        "run": Target("run.json", run_folder, (run,), JSON, (("report/report.json", report), ("images/00/x", b""))),
        "description": Target(
            "entry.yaml", lambda path: read_report(path.parent), (spelt(META),), YAML, (("report.json", report),)
        ),
        "manifest": Target("manifest.json", manifest, (text(MANIFEST),), JSON, (("00/Dolphin.png", b"abc"),)),
        "scheduler": Target(
            "scheduler_config.json", lambda path: NoiseSchedule.from_config(read_json(path)), (text(SCHEDULER),), JSON
        ),
        "event": Target("event.yaml", event, (spelt(EVENT), spelt({key: EVENT[key] for key in list(EVENT)[:4]})), YAML),
        "marker": Target(".jdart-board.json", lambda path: read_marker(path.parent), (text(MARKER),), JSON),
    }


def _whole() -> bytes:
    return spelt(to_mapping(Config()))
