"""What is noted of training while it goes on: loss.csv, and TensorBoard's event files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from contest.disk.files import atomic_write
from contest.errors import UserError

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "validation_loss")


@dataclass(frozen=True)
class StepRecord:
    """One update: number from 1, mean loss, learning rate, gradient norm before clipping, loss of a validation."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: Optional[float]  # None: not known
    validation_loss: Optional[float] = None


class TrainingLog:
    """Notes every record in a table, and in event files if a folder for them is given.

    It begins with the records of a checkpoint: rows and events beyond them, of steps that a stop undid, are replaced.
    A context manager; leaving it closes the files.
    """

    def __init__(self, table: Path, events: Path | None, records: Sequence[StepRecord]):
        # What earlier event files say of later steps is purged: TensorBoard forgets it.
        self._board = None if events is None else require_tensorboard()(str(events), purge_step=len(records) + 1)
        with atomic_write(table, "w") as out:
            out.write(",".join(COLUMNS) + "\n" + _rows(records))
        self._table = open(table, "a", encoding="utf-8", newline="")  # noqa: SIM115 - closed by __exit__

    def add(self, record: StepRecord, strip: np.ndarray | None = None) -> None:
        """Note a record, and the pictures (H,W,3 uint8) of its validation."""
        self._table.write(_rows([record]))
        self._table.flush()
        if self._board is None:
            return
        for name in COLUMNS[1:]:
            value = getattr(record, name)
            if value is not None:
                self._board.add_scalar(f"train/{name}", value, record.step)
        if strip is not None:
            self._board.add_image("validation", strip, record.step, dataformats="HWC")

    def flush(self) -> None:
        """Hand everything noted so far to the system: a checkpoint that follows holds no step that is not here."""
        if self._board is not None:
            self._board.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()
        if self._board is not None:
            self._board.close()


def require_tensorboard() -> Any:
    """The class that writes event files; UserError says how to install it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "train.tensorboard: TensorBoard is not installed; run: pip install 'jdart[tensorboard]'"
        ) from error
    return SummaryWriter


def _rows(records: Iterable[StepRecord]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    for record in records:
        values = (getattr(record, name) for name in COLUMNS[1:])
        table.writerow([record.step, *("" if value is None else f"{value:.8g}" for value in values)])
    return text.getvalue()
