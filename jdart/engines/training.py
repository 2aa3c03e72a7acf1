"""A LoRA trained by another engine: by its own example, with what that heeds of the settings."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from contest.disk.files import copy_file
from contest.errors import UserError
from jdart.config import Config
from jdart.data.captions import Picture
from jdart.data.seeds import image_seed
from jdart.engines.base_folder import bin_folder
from jdart.engines.process import run_task
from jdart.lora.formats.file import FILE_NAME
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.lora.rank_by_noise import require_one_rank
from jdart.runs.job import Event, Job
from jdart.training.logs import StepRecord, TrainingLog
from jdart.training.plots import loss_plot
from jdart.training.watch import remark

BIN_NAME = Path(FILE_NAME).with_suffix(".bin").name

log = logging.getLogger(__name__)


def train_elsewhere(job: Job, name: str) -> Iterator[Event]:
    """Train the LoRA of style `name` to the run folder, with its losses. Stopped, it is begun anew by the next call.

    UserError when the engine fails, or its loss is no number.
    """
    engine, records = job.config.engine, list[StepRecord]()
    assert engine is not None
    losses, said_by_it = job.folder.losses(name), job.folder.log(f"{name}-{engine.name}")
    with tempfile.TemporaryDirectory(prefix=f"jdart-{engine.name}-") as place:
        pictures, out = Path(place, "pictures"), Path(place, "lora")
        _link(job.references[name], pictures)
        base = bin_folder(job.base, engine)
        seed = image_seed(name, "training", job.config.seed)
        arguments = arguments_of(job.config, name, base, pictures, out)
        task = {"do": "train", "seed": seed, "arguments": arguments}
        with (
            TrainingLog(losses, None, records) as table,
            closing(run_task(engine, task, said_by_it, f"style {name}")) as told,
        ):
            for said in told:
                record = StepRecord(said["done"], said["loss"], said["learning_rate"], None)
                if not math.isfinite(record.loss):
                    wrong = f"the loss is {record.loss} at step {record.step}"
                    raise UserError(f"style {name}: {wrong}; lower train.learning_rate, with another --output")
                records.append(record)
                table.add(record)
                yield Event("train", name, record.step, said["total"], f"loss {record.loss:.4f}")
        found = remark([record.loss for record in records])
        if found is not None:
            log.warning("style %s: %s", name, found)
        load_lora(out / BIN_NAME)  # what is not finite, or no LoRA, is not taken in
        loss_plot(records, losses.with_suffix(".png"), f"Training loss, style {name}")
        copy_file(job.folder.learnt(name) / BIN_NAME, out / BIN_NAME)  # last: a style with this file is done


def arguments_of(config: Config, style: str, base: Path, pictures: Path, out: Path) -> list[str]:
    """The command line of the example's `train.py`."""
    train = config.train
    assert config.data.instance_prompt is not None
    values = {
        "pretrained_model_name_or_path": base,
        "instance_data_dir": pictures,
        "instance_prompt": config.data.instance_prompt.format(id=style),
        "output_dir": out,
        "resolution": config.data.size,
        "train_batch_size": train.batch_size,
        "max_train_steps": train.steps,
        "learning_rate": train.learning_rate,
        "lr_scheduler": train.lr_scheduler,
        "lr_warmup_steps": train.lr_warmup_steps,
        "adam_beta1": train.adam_beta1,
        "adam_beta2": train.adam_beta2,
        "adam_weight_decay": train.adam_weight_decay,
        "adam_epsilon": train.adam_epsilon,
        "rank": config.lora.r,
    }
    return [*(f"--{key}={value}" for key, value in values.items()), "--center_crop"]


def bin_lora(path: Path, folder: Path) -> Path:
    """A LoRA file of any kind, written to `folder` as the .bin that JDiffusion reads; its alpha is in the numbers.

    UserError for a LoRA with what JDiffusion has no place for.
    """
    lora = load_lora(path)
    require_one_rank(lora.settings, path)
    unet = lora.pairs.get("unet", {})
    outside = [layer for layer in unet if layer in ("conv_in", "conv_out")]
    outside += [f"text_encoder.{layer}" for layer in lora.pairs.get("text_encoder", {})]
    outside += [f"the magnitudes of a DoRA ({layer})" for layer, pair in unet.items() if pair.magnitude is not None]
    if outside:
        raise UserError(f"{path}: engine jdiffusion cannot load a LoRA with {outside[0]} in it; draw with jdart itself")
    out = folder / BIN_NAME
    save_lora(out, lora, "bin")
    return out


def _link(pictures: Sequence[Picture], folder: Path) -> None:
    """A folder with just these pictures in it, in their order."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        os.symlink(picture.path.absolute(), folder / f"{number:03}{picture.path.suffix}")
