"""Checkpoints: one file from which training goes on as if it had never stopped.

A checkpoint holds the trained values, AdamW's two moments, the moving average and the record of every step. There is
no generator's state in it: every draw of step n is made from a key with n in it (docs/adr/0003), dropout's too,
so the number of steps says it all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from contest.disk.files import parse_json, write_bytes
from contest.errors import UserError, needs
from jdart.models.tensors import to_safetensors
from jdart.training.logs import StepRecord

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """Training after `len(records)` updates."""

    belongs_to: str  # fingerprint of the settings, base and pictures it was made with
    records: tuple[StepRecord, ...]
    tensors: Mapping[str, np.ndarray]  # float32


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint over an older one, atomically: whenever the process ends, one of the two is whole."""
    notes = {
        "schema_version": SCHEMA_VERSION,
        "belongs_to": checkpoint.belongs_to,
        "records": [astuple(record) for record in checkpoint.records],
    }
    metadata = {"jdart": json.dumps(notes), "sha256": _digest(json.dumps(notes), checkpoint.tensors)}
    write_bytes(path, to_safetensors(checkpoint.tensors, metadata))


def load_checkpoint(path: Path, belongs_to: str) -> Checkpoint | None:
    """Read a checkpoint; None when there is none.

    Raises UserError when it is damaged, or was made with something else than `belongs_to`. Nothing is removed.
    """
    if not path.exists():
        return None
    try:
        notes, tensors = _read(path)
        records = tuple(StepRecord(*values) for values in notes["records"])
        version, made_with = notes["schema_version"], notes["belongs_to"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: a damaged checkpoint ({error}); move it away to train this style anew") from error
    if version != SCHEMA_VERSION:
        raise UserError(f"{path}: a checkpoint of another version of jdart; move it away to train this style anew")
    if made_with != belongs_to:
        raise UserError(
            f"{path}: this checkpoint was made with other pictures, settings or another base; "
            "go back to them, or move it away to train this style anew"
        )
    return Checkpoint(belongs_to, records, tensors)


def steps_of(path: Path) -> int:
    """The number of updates before a checkpoint; 0 where there is none that can be read."""
    with needs("train"):
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework="numpy") as file:
            return len(parse_json(file.metadata()["jdart"])["records"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return 0


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Notes and tensors of a file. Raises ValueError or KeyError when it is not whole."""
    with needs("train"):
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open has no iterator
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if metadata is None or metadata["sha256"] != _digest(metadata["jdart"], tensors):
        raise ValueError("its checksum does not match")
    return parse_json(metadata["jdart"]), tensors


def _digest(notes: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(notes.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
