"""Writes small reports, as the evaluator does, for the board's tests."""

import copy
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


def make(folder, name="demo", final=0.5, change=None, pictures=False):
    """Write one report folder and return it; `change` edits the report before it is written."""
    report = copy.deepcopy(REPORT)
    report["submission"]["name"] = name
    report["scores"]["final"] = final
    if change is not None:
        change(report)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    if pictures:
        places = [("references", "00", "olive_tree", "red"), ("outputs", "00", "Dolphin", "blue")]
        places += [("outputs", "00", "Ice cream", "green"), ("outputs", "01", "Sun", "red")]
        for kind, style, picture, colour in places:
            path = folder / "thumbnails" / kind / style / f"{picture}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), colour).save(path)
    return folder


def files(site):
    """Relative path -> bytes of everything in a folder."""
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}
