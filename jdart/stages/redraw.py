"""A picture made again from what its PNG says, with nothing but what it was made with."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.disk.files import sha256
from contest.disk.shipped import place_in_run, references_folder
from contest.errors import UserError
from jdart.config import BaseConfig, EngineConfig, GenerateConfig, IPAdapterConfig
from jdart.config.reading import read_as
from jdart.config.sections.data import DataConfig
from jdart.data.captions import Picture, load_pictures
from jdart.data.facts import style_pictures as learnt_pictures
from jdart.data.layout import picture_folder
from jdart.data.pictures import average_image, read_rgb
from jdart.engines.drawing import draw_elsewhere
from jdart.engines.look import require_engine
from jdart.generation.notes import DRAFT, pixels_hash, read_notes, settings_from
from jdart.runs.folder import RunFolder, earlier_run
from jdart.stages.drawing import save_png
from jdart.stages.image_prompts import noted_again
from jdart.stages.scene import Scene, style_picture, style_pictures

if TYPE_CHECKING:
    import numpy as np

    from jdart.generation.adapters import Adapter
    from jdart.generation.attention.styleblend import Composition
    from jdart.image_prompts.prompt import ImagePrompt
    from jdart.models.build import Base

FACTS = ("prompt", "plain_prompt", "seed", "style", "size", "base", "loras", "token", "average", "reference", "batch")


@dataclass(frozen=True)
class Sources:
    """Where to look for what a picture was made with. None and () leave it to the run folder that it lies in."""

    base: str | None = None
    vae: str | None = None  # that is not the base's own
    loras: tuple[Path, ...] = ()
    references: Path | None = None
    images: tuple[Path, ...] = ()  # that prompted
    image_encoder: Path | None = None
    engine_python: str | None = None


@dataclass(frozen=True)
class Redrawn:
    """The picture made again: its file's bytes, and in how many pixels it differs from the one that was there."""

    png: bytes
    same_bytes: bool
    differing_pixels: int


def redraw(path: Path, sources: Sources) -> Redrawn:
    """Draw the picture at `path` again. UserError for what is missing, or is not what it was made with."""
    notes = read_notes(path)
    missing = [name for name in FACTS if name not in notes]
    if missing:
        raise UserError(f"{path}: its notes lack {', '.join(missing)}: it was drawn by another version of jdart")
    if DRAFT in notes:
        raise UserError(f"{path}: a draft of a search; redraw the candidate of its number, in search/candidates")
    _require_shape(path, (notes["size"], notes["size"], 3))  # before hours are spent on what a stranger noted
    place, size = notes["batch"]
    settings = settings_from(notes, batch_size=size)
    run = _run_of(path)
    base = _base(notes, run, sources)
    adapters = tuple(_adapters(notes, run, sources))
    token = _token(notes, run, sources)
    average, reference, pictures = _from_references(notes, settings, run, sources)
    composition = _composition(base, notes, settings, run, sources, adapters)
    images = _image_prompt(base, notes, settings, run, sources)
    shown = average, reference, pictures, composition, images, _engine(notes, run, sources)
    scene = Scene(settings, notes["size"], notes["style"], adapters, token, *shown)
    picture, said = _draw(base, scene, notes, place, size)
    _require_shape(path, picture.shape)
    out = io.BytesIO()
    save_png(out, picture, said)
    differing = int((picture != read_rgb(path)).any(axis=2).sum())
    return Redrawn(out.getvalue(), out.getvalue() == path.read_bytes(), differing)


def _require_shape(path: Path, shape: tuple[int, ...]) -> None:
    if read_rgb(path).shape != shape:
        raise UserError(f"{path}: is not of the size that it was drawn in; take the file as jdart wrote it")


def _draw(base: Base, scene: Scene, notes: Mapping[str, Any], place: int, size: int) -> tuple[np.ndarray, Any]:
    """The picture and its notes. A batch of as many copies stands for the one it was drawn in: see `draw`."""
    from jdart.generation.draw import Request, draw

    request = Request("", notes["prompt"], notes["seed"], notes["plain_prompt"], notes.get("composition_prompt"))
    plain = replace(scene.settings, styleid=None)
    if scene.engine is not None:
        with tempfile.TemporaryDirectory() as folder:
            batches, log = [[request] * size], Path(folder, "log")
            drawn = draw_elsewhere(scene.engine, base, batches, plain, scene.size, scene.adapters, log)
            picture = [picture for _, picture in drawn][place]
        return scene.finish(picture), scene.notes(request, base, (place, size))
    shown = scene.average, scene.pictures, scene.composition, scene.images
    with scene.networks(base):
        copies = draw(base, [request] * size, plain, scene.size, *shown)
        picture = [drawn for _, drawn in copies][place]
    styleid = scene.settings.styleid
    if styleid is not None and scene.reference is not None:
        from jdart.generation.attention.styleid import inject, read_style

        picture = inject(base, picture, read_style(base, scene.reference, styleid), styleid)
    return scene.finish(picture), scene.notes(request, base, (place, size))


Run = tuple[RunFolder, Mapping[str, Any]]


def _run_of(path: Path) -> Run | None:
    """The run folder that a picture lies in, with what its run.json says."""
    for folder in path.resolve().parents:
        run = earlier_run(RunFolder(folder))
        if run is not None:
            return RunFolder(folder), run
    return None


def _base(notes: Mapping[str, Any], run: Run | None, sources: Sources) -> Base:
    """The base, read as the picture says. UserError when its weights are others."""
    from jdart.models.hub.locate import open_base

    name, revision, vae = sources.base, None, sources.vae
    if name is None:
        if run is None:
            raise UserError("there is no run.json above the picture; name the base model with --base")
        name, revision = run[1]["base"]["source"], run[1]["base"].get("revision")
    if vae is None and run is not None:
        vae = run[1]["config"].get("base", {}).get("vae")
    said = notes.get("base_settings", {})
    if not isinstance(said, Mapping):
        raise UserError("its notes: base_settings: must be a mapping: it was drawn by another version of jdart")
    settings = {**said, "model": name, "revision": revision, "vae": vae}
    base, _ = open_base(read_as(BaseConfig, settings, "its notes: base_settings"))
    if base.identity != notes["base"]:
        raise UserError(
            f"{name}: other weights than the picture was drawn with; name the base model with --base, and with --vae "
            "its VAE if that was not its own"
        )
    return base


def _engine(notes: Mapping[str, Any], run: Run | None, sources: Sources) -> EngineConfig | None:
    """The engine that drew it, by the interpreter that is named, or that of the run."""
    if "engine" not in notes:
        return None
    python = sources.engine_python
    if python is None and run is not None and run[1]["config"].get("engine") is not None:
        python = run[1]["config"]["engine"]["python"]
    if python is None:
        raise UserError(f"it was drawn by {notes['engine']['name']}; name its interpreter with --engine-python")
    engine = read_as(EngineConfig, {**notes["engine"], "python": python}, "its notes: engine")
    require_engine(engine)
    return engine


def _adapters(notes: Mapping[str, Any], run: Run | None, sources: Sources) -> Iterator[Adapter]:
    """The LoRA files by their hashes, whatever they are called now."""
    from jdart.generation.adapters import Adapter

    known = {sha256(path): path for path in _lora_files(run, sources)}
    for lora in notes["loras"]:
        if lora["sha256"] not in known:
            raise UserError(
                f"the LoRA {lora['file']} (SHA-256 {lora['sha256'][:12]}...) is not there; name it with --lora"
            )
        yield Adapter(known[lora["sha256"]], lora["weight"])


def _token(notes: Mapping[str, Any], run: Run | None, sources: Sources) -> Path | None:
    """The style token's file by its hash."""
    if notes["token"] is None:
        return None
    for path in _lora_files(run, sources):
        if sha256(path) == notes["token"]:
            return path
    raise UserError(f"the style token (SHA-256 {notes['token'][:12]}...) is not there; name its file with --lora")


def _composition(
    base: Base,
    notes: Mapping[str, Any],
    settings: GenerateConfig,
    run: Run | None,
    sources: Sources,
    adapters: Sequence[Adapter],
) -> Composition | None:
    """The composition of StyleBlend by its file's hash."""
    from jdart.generation.attention.styleblend import read_composition

    if "composition" not in notes:
        return None
    for path in _lora_files(run, sources):
        if sha256(path) == notes["composition"]:
            return read_composition(base, [settings.negative_prompt, notes["composition_prompt"]], path, adapters)
    digest = notes["composition"][:12]
    raise UserError(f"the composition's LoRA (SHA-256 {digest}...) is not there; name its file with --lora")


def _image_prompt(
    base: Base, notes: Mapping[str, Any], settings: GenerateConfig, run: Run | None, sources: Sources
) -> ImagePrompt | None:
    """The image prompt by the hashes of its files: those named, those of the run, the style's pictures."""
    from jdart.image_prompts.encoder import encoder_folder
    from jdart.image_prompts.requirements import paths_of

    if settings.ip_adapter is None:
        return None
    encoders = [] if sources.image_encoder is None else [sources.image_encoder]
    pictures = list(sources.images)
    if run is not None:
        place = run[1]["local"]["weights"]
        weights = None if place is None else str(place_in_run(run[0].root, place))
        for own in _ip_adapters(run[1]["config"]):
            encoders.append(encoder_folder(own, weights))
            pictures += paths_of(own, ())
    if run is not None or sources.references is not None:
        images = _images(_references(run, sources), notes["style"], run)
        pictures += [picture.path for picture in _pictures(images, notes["style"], run)]
    return noted_again(notes, settings.ip_adapter, base, _lora_files(run, sources), encoders, pictures)


def _lora_files(run: Run | None, sources: Sources) -> Iterator[Path]:
    for path in sources.loras:
        if not path.is_file():
            raise UserError(f"{path}: no such file; name a LoRA file with --lora")
        yield path
    if run is not None:
        folder, said = run
        places = sorted(folder.root.glob("lora/*/*")) + sorted(folder.root.glob("earlier/*/lora/*/*"))
        places += sorted(folder.root.glob("composition/lora/*/*"))
        yield from (path for path in places if path.suffix in (".safetensors", ".bin"))
        yield from (path for path in map(Path, _named_paths(said["config"])) if path.is_file())


def _named_paths(settings: Any) -> Iterator[str]:
    """Every `path` of a `loras` list in a configuration, and every IP-Adapter's."""
    for loras in _sections(settings, "loras"):
        yield from (lora["path"] for lora in loras)
    yield from (own.weights for own in _ip_adapters(settings) if own.weights is not None)


def _ip_adapters(settings: Mapping[str, Any]) -> Iterator[IPAdapterConfig]:
    """Every section that draws with one; train.ip_adapter is of another kind."""
    drawing = {key: value for key, value in settings.items() if key != "train"}
    yield from (read_as(IPAdapterConfig, own, "run.json") for own in _sections(drawing, "ip_adapter"))


def _sections(settings: Any, name: str) -> Iterator[Any]:
    """What stands under `name` anywhere in a configuration, where that is not null."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key == name and value is not None:
                yield value
            elif key != name:
                yield from _sections(value, name)


def _pictures(images: Path, style: str, run: Run | None) -> tuple[Picture, ...]:
    """The style's pictures, without those that the run left out."""
    if run is None:
        return load_pictures(images, "{object}", style)
    data = run[1]["config"].get("data", {})
    return learnt_pictures(images, style, read_as(DataConfig, data, f"{run[0].manifest}: data"))


def _references(run: Run | None, sources: Sources) -> Path:
    """The folder of the styles' pictures."""
    if sources.references is not None:
        return references_folder(sources.references)
    if run is None:
        raise UserError("there is no run.json above the picture; name the references with --references")
    return references_folder(place_in_run(run[0].root, run[1]["local"]["references"]))


def _images(folder: Path, style: str, run: Run | None) -> Path:
    """The folder of a style's pictures, as the run had its references."""
    layout = "contest" if run is None else run[1]["config"].get("data", {}).get("layout", "contest")
    return picture_folder(folder, layout, style)


def _from_references(
    notes: Mapping[str, Any], settings: GenerateConfig, run: Run | None, sources: Sources
) -> tuple[np.ndarray | None, np.ndarray | None, dict[str, np.ndarray]]:
    """The average picture, StyleID's reference and the style's pictures, as far as the picture was made with them."""
    if notes["average"] is None and notes["reference"] is None and "pictures" not in notes:
        return None, None, {}
    folder = _references(run, sources)
    style, size = notes["style"], notes["size"]
    images = _images(folder, style, run)
    pictures = [picture.path for picture in _pictures(images, style, run)]
    average = None if notes["average"] is None else average_image(pictures, size)
    reference = None if settings.styleid is None else style_picture(settings.styleid, pictures, size)
    looked_at = style_pictures(settings, pictures, size)
    made: dict[str, Any] = {"average": pixels_hash(average), "reference": pixels_hash(reference)}
    made["pictures"] = [pixels_hash(picture) for picture in looked_at.values()]
    for name, digest in made.items():
        if digest != notes.get(name, []):
            raise UserError(f"{folder / style}: not the pictures that it was drawn with; name them with --references")
    return average, reference, looked_at
