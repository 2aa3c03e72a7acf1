"""Validation while a LoRA is trained: the loss, a strip of pictures, when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contest.disk.files import atomic_write
from jdart.data.seeds import image_seed
from jdart.runs.job import Job
from jdart.stages.image_prompts import image_prompt
from jdart.stages.scene import style_pictures

if TYPE_CHECKING:
    import numpy as np

    from jdart.training.examples import Examples
    from jdart.training.logs import StepRecord
    from jdart.training.loop import Trainer


@dataclass(frozen=True)
class Validation:
    """Looks at `trainer` as the settings say. `examples`: what its loss is measured on."""

    job: Job
    name: str  # of the LoRA
    styles: tuple[str, ...]  # that it learns
    trainer: Trainer
    examples: Examples

    def look(self, record: StepRecord) -> tuple[StepRecord, np.ndarray | None]:
        """The record with its validation loss, and the strip of pictures, if this step has a validation."""
        from jdart.training.validation import evaluating, validation_loss

        settings = self.job.config.validation
        if settings.steps is None or record.step % settings.steps:
            return record, None
        with self.trainer.averaged(), evaluating(self.trainer.learner):
            loss = validation_loss(self.trainer.learner, self.examples, settings.loss_batches)
            strip = self._strip(record.step) if settings.images > 0 else None
        return replace(record, validation_loss=loss), strip

    def gave_up(self, records: Sequence[StepRecord]) -> bool:
        """Whether training has to stop early."""
        from jdart.training.validation import out_of_patience

        settings = self.job.config.validation
        losses = [record.validation_loss for record in records if record.validation_loss is not None]
        return settings.patience is not None and out_of_patience(losses, settings.patience, settings.min_delta)

    def _strip(self, step: int) -> np.ndarray:
        """Draw with the adapters as they are; one row of pictures, H,W,3 uint8, written to the run folder."""
        from PIL import Image

        from jdart.data.pictures import average_image
        from jdart.generation.draw import Request, draw
        from jdart.generation.sheets import strip
        from jdart.image_prompts.prompt import prompted

        job, config = self.job, self.job.config
        pictures: list[np.ndarray] = []
        for place, style in enumerate(self.styles):
            references = [picture.path for picture in job.references[style]]
            average = None
            if config.generate.strength is not None:
                average = average_image(references, config.data.size)
            prompts = config.validation.prompts if config.validation.prompts else tuple(job.contest.styles[style])
            requests = []
            for number in range(len(range(place, config.validation.images, len(self.styles)))):
                turn, which = divmod(number, len(prompts))
                text = config.data.template.format(object=prompts[which], id=style)
                plain = config.data.prior_template.format(object=prompts[which], id=style)
                seed = image_seed(style, prompts[which], config.seed + turn)
                requests.append(Request(str(number), text, seed, plain))
            if requests:
                looked_at = style_pictures(config.generate, references, config.data.size)
                learnt = self.trainer.learner.images
                if learnt is None:
                    images = image_prompt(config.generate.ip_adapter, config, job.base, references, Path())
                else:
                    images = learnt.prompt()
                with nullcontext() if learnt is not None else prompted(job.base, images):
                    settings = config.generate
                    drawn = draw(job.base, requests, settings, config.data.size, average, looked_at, images=images)
                    pictures += [picture for _, picture in drawn]
        row = strip(pictures)
        with atomic_write(job.folder.validation(self.name, step)) as out:
            Image.fromarray(row).save(out, format="PNG")
        return row
