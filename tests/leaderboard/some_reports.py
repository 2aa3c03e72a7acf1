"""Writes small reports, as the evaluator does, for the board's tests."""

import copy
import hashlib
import json

from PIL import Image

REPORT = {
    "schema_version": 1,
    "profile": "official-2024",
    "contest": "sample",
    "submission": {"name": "demo", "sha256": "ab" * 32},
    "scores": {
        "dino": 0.12,
        "hist": 0.78,
        "fid": 1.67,
        "lpips": 0.43,
        "clip_iqa": 0.76,
        "clip_r": 0.93,
        "style": 0.5642,
        "text": 0.4653,
        "quality": 0.4423,
        "final": 0.512078,
    },
    "styles": {
        style: {
            "dino": dino,
            "hist": 0.7,
            "hist_rgb": 0.7,
            "hist_hsv": 0.7,
            "lpips": dino,
            "clip_iqa": 0.5,
            "clip_r": 0.5,
            "images": 2,
        }
        for style, dino in (("00", 0.1), ("01", 0.3))
    },
    "images": {
        "00": {
            "Dolphin.png": {"clip_r_correct": True, "clip_r_rank": 1, "clip_r_top5": ["dolphin", "whale"]},
            "Ice cream.png": {"clip_r_correct": False, "clip_r_rank": 17, "clip_r_top5": ["cake", "milk"]},
        },
        "01": {"Sun.png": {"dino": 0.1, "clip_r_correct": True, "clip_r_rank": 2, "clip_r_top5": ["moon", "sun"]}},
    },
    "provenance": {
        "references": {"name": "sample", "sha256": "ef" * 32},
        "weights": {"RN50.pt": "cd" * 32},
        "versions": {"python": "3.11"},
        "device": "cpu",
        "seconds": {"dino": 1.0},
        "comparable": True,
        "complete": True,
        "not_comparable_because": [],
    },
}


RUN = {
    "schema_version": 1,
    "name": "demo",
    "commit": "12" * 20,
    "seed": 7,
    "config": {"output": "/home/somebody/run", "seed": 7, "train": {"steps": 300, "learning_rate": 1e-4}},
    "base": {"source": "/home/somebody/base", "revision": None, "sha256": "fe" * 32},
}


def make(folder, name="demo", final=0.5, change=None, pictures=False, interval=None, meta=None):
    """Write one report folder and return it; `change` edits the report before it is written.

    `interval` is that of Final, and `meta` what stands in entry.yaml.
    """
    report = copy.deepcopy(REPORT)
    report["submission"] = {
        "name": name,
        "sha256": hashlib.sha256(f"{name} {final}".encode("utf-8", "replace")).hexdigest(),
    }
    report["scores"]["final"] = final
    if interval is not None:
        report["intervals"] = {"final": list(interval)}
    if change is not None:
        change(report)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    if meta is not None:
        (folder / "entry.yaml").write_text(json.dumps(meta), "utf-8")  # JSON is YAML
    if pictures:
        places = [("references", "00", "olive_tree", "red"), ("outputs", "00", "Dolphin", "blue")]
        places += [("outputs", "00", "Ice cream", "green"), ("outputs", "01", "Sun", "red")]
        for kind, style, picture, colour in places:
            draw(folder / "thumbnails" / kind / style / f"{picture}.webp", 16, colour)
    return folder


def make_run(folder, name="demo", final=0.5, run=None, **options):
    """Write a run folder as jdart does: report/, run.json, losses of 500 steps, a contact sheet. Returns it."""
    make(folder / "report", name, final, **options)
    (folder / "run.json").write_text(json.dumps({**RUN, "name": name, **(run or {})}), "utf-8")
    for style in ("00", "01"):
        table = folder / "lora" / style / "loss.csv"
        table.parent.mkdir(parents=True)
        lines = [f"{step},{1 / step + int(style):.8g},0.0001,1.5," for step in range(1, 501)]
        table.write_text("\n".join(["step,loss,learning_rate,gradient_norm,validation_loss", *lines, ""]))
    draw(folder / "sheets" / "00.png", 1500, "orange")
    return folder


def draw(path, side, colour):
    """A square picture of one colour, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)


def files(site):
    """Relative path -> bytes of everything in a folder."""
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}
