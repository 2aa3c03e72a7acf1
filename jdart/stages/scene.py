"""What pictures are drawn with: a style's LoRAs and references, as the settings of some pictures ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import sha256
from contest.errors import UserError
from jdart.config import Config, EngineConfig, GenerateConfig, StyleIDConfig
from jdart.data.pictures import average_image, crop, place_of, read_rgb, resize_short_side, stretched
from jdart.generation.colour.finish import finish_of, finisher, without_finish
from jdart.generation.notes import DRAFT, engine_note, lora_note, picture_notes, pixels_hash
from jdart.runs.folder import require_trained_on
from jdart.runs.job import Job
from jdart.stages.image_prompts import image_prompt

if TYPE_CHECKING:
    import numpy as np

    from jdart.generation.adapters import Adapter
    from jdart.generation.attention.styleblend import Composition
    from jdart.generation.draw import Request
    from jdart.image_prompts.prompt import ImagePrompt
    from jdart.models.build import Base


@dataclass(frozen=True, eq=False)
class Scene:
    """What pictures are drawn with: settings, LoRAs; where asked for token, average picture, StyleID's reference.

    `pictures` are the style's by their file names, where the settings look at them.
    """

    settings: GenerateConfig
    size: int
    style: str | None
    adapters: tuple[Adapter, ...] = ()
    token: Path | None = None
    average: np.ndarray | None = None
    reference: np.ndarray | None = None
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    composition: Composition | None = None
    images: ImagePrompt | None = None
    engine: EngineConfig | None = None
    interval: int = 1  # above 1 what is drawn are drafts: the UNet's deep layers are calculated in every so many calls

    @contextmanager
    def networks(self, base: Base) -> Iterator[None]:
        """The base with the token, the LoRAs and the image prompt for as long as something is drawn.

        Another engine has a base of its own.
        """
        if self.engine is not None:
            yield
            return
        from jdart.generation.adapters import adapted
        from jdart.image_prompts.prompt import prompted
        from jdart.lora.token import token_applied

        with token_applied(base, self.token), adapted(base, self.adapters), prompted(base, self.images):
            yield

    @cached_property
    def finish(self) -> Callable[[np.ndarray], np.ndarray]:
        """What is done to a picture when all else is done. UserError when it cannot be, with the style's pictures."""
        return finisher(finish_of(self.settings), self.pictures.values())

    def notes(self, request: Request, base: Base, batch: tuple[int, int]) -> dict[str, Any]:
        """What a picture's PNG says; `batch` is its place and the size of its batch."""
        return picture_notes(
            request,
            self.settings,
            style=self.style,
            size=self.size,
            base=base.identity,
            token=None if self.token is None else sha256(self.token),
            loras=[lora_note(adapter.path, adapter.weight) for adapter in self.adapters],
            average=pixels_hash(self.average),
            reference=pixels_hash(self.reference),
            batch=list(batch),
            **({"base_settings": base.config.noted} if base.config.noted else {}),
            **({"pictures": [*map(pixels_hash, self.pictures.values())]} if self.pictures else {}),
            **({} if self.composition is None else {"composition": sha256(self.composition.lora)}),
            **({} if self.images is None else {"image_prompt": self.images.noted}),
            **({} if self.engine is None else {"engine": engine_note(self.engine)}),
            **({} if self.interval == 1 else {DRAFT: self.interval}),
        )


def scene_of(job: Job, style: str, settings: GenerateConfig, requests: Sequence[Request]) -> Scene:
    """What `requests` of a style are drawn with by `settings`; with StyleID in them, what their contents are.

    UserError for what is not trained, or not there.
    """
    from jdart.generation.adapters import Adapter
    from jdart.lora.formats.reading import load_notes

    learnt = job.folder.lora(style) if job.config.learns(style) else None
    if learnt is not None:
        require_trained_on(job.folder, load_notes(learnt), style)
    token = None if job.config.token is None else job.folder.token(style)
    pictures, size = [picture.path for picture in job.references[style]], job.config.data.size
    own = () if learnt is None else (Adapter(learnt, settings.lora_weight),)
    adapters = (*own, *(Adapter(Path(lora.path), lora.weight) for lora in settings.loras))
    average = None if settings.strength is None else average_image(pictures, size)
    plain = settings if settings.styleid is None else without_finish(replace(settings, styleid=None))
    looked_at = style_pictures(plain, pictures, size)
    composition = _composition(job, style, settings, requests, adapters)
    images = image_prompt(settings.ip_adapter, job.config, job.base, pictures, job.folder.ip_adapter(style))
    shown = average, None, looked_at, composition, images, job.config.engine
    return Scene(plain, size, style, adapters, token, *shown)


def composition_text(config: Config, settings: GenerateConfig, style: str, prompt: str) -> str | None:
    """What the other branch of StyleBlend is told to draw; None where there is none."""
    learnt = config.train.composition
    if settings.style_blend is None or learnt is None:
        return None
    return learnt.caption.format(object=prompt, id=style)


def _composition(
    job: Job, style: str, settings: GenerateConfig, requests: Sequence[Request], adapters: Sequence[Adapter]
) -> Composition | None:
    """A style's composition as it is learnt, for StyleBlend. UserError when it is not."""
    from jdart.generation.attention.styleblend import read_composition

    if settings.style_blend is None:
        return None
    lora = job.folder.composition.lora(style)
    if not lora.exists():
        raise UserError(f"{lora}: the composition of style {style} is not learnt yet; run: jdart train")
    texts = [settings.negative_prompt, *(str(request.composition) for request in requests)]
    return read_composition(job.base, texts, lora, adapters)


def style_picture(styleid: StyleIDConfig, pictures: Sequence[Path], size: int) -> np.ndarray:
    """StyleID's reference (size, size, 3) uint8, out of a style's pictures. UserError when it is none of them."""
    names, where = [path.name for path in pictures], str(pictures[0].parent)
    place = place_of(styleid.reference, names, "generate.styleid.reference", where)
    if place is None:
        return average_image(pictures, size)
    return crop(resize_short_side(read_rgb(pictures[place]), size), size)


def style_pictures(settings: GenerateConfig, paths: Sequence[Path], size: int) -> dict[str, np.ndarray]:
    """A style's pictures, file name -> stretched to (size, size, 3) uint8, where the settings look at them."""
    return {path.name: stretched(path, size) for path in paths} if settings.looks_at_references else {}
