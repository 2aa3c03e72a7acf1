"""A run folder for the tiny contest, as jdart leaves it."""

import hashlib
import json

from tiny_entry import CONTEST, png, write_files

LORA = "pytorch_lora_weights.safetensors"


def run_folder(tmp_path, entry, **changes):
    """The entry as a run folder; `changes` are fields of its run.json."""
    run = {"schema_version": 1, "name": "demo", "contest": "tiny", "styles": ["00", "01"], "images": "images"}
    run = {**run, "seed": 0, "local": {"references": "refs", "weights": "/secret/place"}, **changes}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(run))
    entry.rename(folder / "images")
    for style, prompts in CONTEST.styles.items():
        write_files(folder / "refs" / style / "images", {"boat.png": png(size=(9, 8), seed=90)})
        (folder / "refs" / style / "prompt.json").write_text(json.dumps(dict(enumerate(prompts))))
    return folder


def add_loras(folder, name=LORA):
    """A LoRA file for each style, listed in run.json as jdart does. Returns them by their place."""
    files = {f"lora/{style}/{name}": f"weights of {style}".encode() for style in CONTEST.styles}
    write_files(folder, files)
    run = json.loads((folder / "run.json").read_text())
    run["lora"] = {path.split("/")[1]: {"file": path, "sha256": sha256(data)} for path, data in files.items()}
    (folder / "run.json").write_text(json.dumps(run))
    return files


def add_compositions(folder):
    """A composition for each style, listed in run.json as jdart does. Returns them by their place."""
    files = {f"composition/lora/{style}/{LORA}": f"composition of {style}".encode() for style in CONTEST.styles}
    write_files(folder, files)
    run = json.loads((folder / "run.json").read_text())
    run["composition"] = {path.split("/")[2]: {"file": path, "sha256": sha256(data)} for path, data in files.items()}
    (folder / "run.json").write_text(json.dumps(run))
    return files


def add_report(folder, final=0.25, **changes):
    """A report of the folder's pictures with only what submission reads; `changes` are further fields of it."""
    pictures = sorted((path.parent.name, path.name) for path in (folder / "images").glob("*/*.png"))
    lines = [f"{sha256((folder / 'images' / a / b).read_bytes())}  {a}/{b}\n" for a, b in pictures]
    report = {
        "schema_version": 1,
        "profile": "official-2024",
        "submission": {"name": "demo", "sha256": sha256("".join(lines).encode())},
        "scores": {"final": final},
        "provenance": {"comparable": True, "weights": {"inception.pt": "ab" * 32}},
        **changes,
    }
    write_files(folder, {"report/report.json": json.dumps(report).encode()})
    return report


def sha256(data):
    return hashlib.sha256(data).hexdigest()
