"""A trained run for PyTorch: base, LoRAs, settings, first latents, and a script that draws with diffusers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from contest.definition import Contest
from contest.disk.drafts import whole_folder
from contest.disk.files import write_bytes, write_json
from contest.disk.shipped import place_in_run
from contest.errors import UserError
from jdart.config import Config, GenerateConfig, from_mapping
from jdart.config.overrides import settings_of
from jdart.data.facts import style_pictures
from jdart.data.layout import picture_folder
from jdart.data.pictures import average_image, stretched
from jdart.data.seeds import image_seed
from jdart.exporting.base_folder import write_base_folder
from jdart.exporting.clip_skip import without_unread
from jdart.exporting.scheduler import require_same_path, scheduler_config, to_diffusers
from jdart.generation.samplers import sampling_plan
from jdart.generation.start import Ground, first_latent
from jdart.lora.convert import merge_files
from jdart.lora.formats.reading import load_lora
from jdart.lora.formats.writing import save_lora
from jdart.models.build import Base
from jdart.models.hub.locate import open_base
from jdart.runs.folder import RunFolder, contest_of, earlier_run

SCRIPT_NAME = "draw.py"
PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")  # from noise, from a picture
SCRIPT = '''"""Draws what jdart drew, with diffusers on PyTorch: pip install diffusers peft accelerate transformers"""

import json
from pathlib import Path

import diffusers
import numpy
import torch

here = Path(__file__).parent
for group in json.loads((here / "pictures.json").read_text("utf-8"))["groups"]:
    pipe = getattr(diffusers, group["pipeline"]).from_pretrained(here / "base", torch_dtype=torch.float32)
    pipe.scheduler = pipe.scheduler.from_pretrained(here / "base" / "scheduler")  # as it is: pipelines change it
    if group["token"]:
        pipe.load_textual_inversion(str(here / group["token"]))
    if group["lora"]:
        pipe.load_lora_weights(here, weight_name=group["lora"])
    for picture in group["pictures"]:
        latents = torch.from_numpy(numpy.load(here / picture["latents"]))
        pipe.prepare_latents = lambda *_, **__: latents  # jdart's own, instead of noise of PyTorch
        start = {"image": latents} if "strength" in group["settings"] else {}
        (here / picture["image"]).parent.mkdir(parents=True, exist_ok=True)
        pipe(**group["settings"], **picture["text"], **start).images[0].save(here / picture["image"])
'''
NOISE_RULE = (
    "numpy.random.default_rng(int.from_bytes(hashlib.sha256(json.dumps(['noise', seed]).encode()).digest(), 'big'))"
    ".standard_normal(shape, numpy.float32)"
)


def export_diffusers(run: Path, out: Path, copy: bool = False) -> int:
    """Write the pictures that the run folder `run` draws, as a folder for diffusers; returns how many there are.

    The base is linked, with `copy` copied. Raises UserError for what diffusers cannot do, what is not trained, and an
    `out` that is there.
    """
    if out.exists():
        raise UserError(f"{out} is there already; name another folder")
    folder, config, base, contest = _open(run)
    _require_possible(config)
    groups = {style: _groups(folder, config, style, contest) for style in contest.styles}
    scheduler = scheduler_config(base.scheduler_config, config.generate.sampler)
    for settings in {settings for own in groups.values() for settings, _ in own}:
        require_same_path(base.schedule, scheduler, settings)
    with whole_folder(out) as draft:
        noted = [
            {
                "style": style,
                "pipeline": PIPELINES[settings.strength is not None],
                "lora": _write_lora(folder, config, base, settings, style, number, draft),
                "token": _write_token(folder, config, style, draft),
                "settings": _settings(settings),
                "pictures": _write_pictures(pictures, settings, base, config, style, draft),
            }
            for style, own in groups.items()
            for number, (settings, pictures) in enumerate(own)
        ]
        write_base_folder(base, scheduler, draft / "base", copy)
        facts = {"base": {"source": config.base.model, "sha256": base.identity}, "noise": NOISE_RULE}
        write_json(draft / "pictures.json", {**facts, "groups": noted})
        write_bytes(draft / SCRIPT_NAME, SCRIPT.encode())
    return sum(len(pictures) for own in groups.values() for _, pictures in own)


Picture = Mapping[str, Any]  # image: its place; prompt; seed
Group = tuple[GenerateConfig, "list[Picture]"]


def _open(run: Path) -> tuple[RunFolder, Config, Base, Contest]:
    """A run folder by its run.json, with the base that it was drawn with."""
    said = earlier_run(RunFolder(run))
    if said is None:
        raise UserError(f"{run}: no run.json in it; name a run folder that jdart has trained")
    references = place_in_run(run, said["local"]["references"])
    config = from_mapping({**said["config"], "references": str(references)}, str(run / "run.json"))
    contest = contest_of(replace(config, styles=tuple(said["styles"])))
    base, _ = open_base(replace(config.base, revision=said["base"].get("revision")))
    if base.identity != said["base"]["sha256"]:
        raise UserError(f"{config.base.model}: other weights than those of the run; put back the base that it was")
    return RunFolder(run, config.train.packed), config, base, contest


def _require_possible(config: Config) -> None:
    every = [config.generate]
    for style, own in config.overrides.items():
        every += [settings_of(config.generate, 0, config.overrides, style, p)[0] for p in ("", *own.prompts)]
    for settings in every:
        for name in ("colour", "style_aligned", "style_prompting", "style_blend", "guidance_interval"):
            if getattr(settings, name) is not None:
                raise UserError(f"generate.{name}: diffusers' pipelines cannot do it; set it to null to export")
        if settings.ip_adapter is not None:
            raise UserError("generate.ip_adapter: is not exported; set it to null to export")
        if settings.styleid is not None:
            raise UserError(
                "generate.styleid: diffusers cannot draw a picture with another one's attention; "
                "set it to null to export"
            )
        if settings.strength is not None and settings.guidance_rescale > 0:
            raise UserError(
                "generate.guidance_rescale: diffusers knows it without generate.strength alone; "
                "set one of the two to export"
            )
        if settings.origin_scale > 0:
            raise UserError("generate.origin_scale: diffusers mixes no two prompts; set it to 0 to export")
        if settings.guidance_scale < 1:
            raise UserError(
                f"generate.guidance_scale: {settings.guidance_scale}: diffusers knows no guidance below 1; "
                "take 1 or more to export"
            )
    if config.memory.storage_dtype != "float32":
        raise UserError(
            "memory.storage_dtype: the script computes with weights in float32; set it to float32 to export"
        )
    tile = config.memory.vae_tile
    if tile is not None and config.data.size > tile:
        raise UserError("memory.vae_tile: diffusers' tiles have other seams; set it to null to export")


def _groups(folder: RunFolder, config: Config, style: str, contest: Contest) -> list[Group]:
    """The pictures of a style, those together that are drawn alike but for their words."""
    if config.learns(style) and not folder.lora(style).exists():
        raise UserError(f"style {style} is not trained yet; run: jdart train, or jdart run for the whole way")
    found: dict[GenerateConfig, list[Picture]] = {}
    for number in range(config.generate.num_images_per_prompt):
        for prompt in contest.styles[style]:
            settings, seed = settings_of(config.generate, config.seed, config.overrides, style, prompt)
            picture = {
                "image": folder.candidate(style, prompt, number).relative_to(folder.root).as_posix(),
                "prompt": config.data.template.format(object=prompt, id=style),
                "negative_prompt": settings.negative_prompt,
                "seed": image_seed(style, prompt, seed, number),
            }
            found.setdefault(replace(settings, negative_prompt=""), []).append(picture)
    return list(found.items())


def _write_lora(
    folder: RunFolder, config: Config, base: Base, settings: GenerateConfig, style: str, number: int, out: Path
) -> str | None:
    """All LoRAs of a group with their weights as one file; returns its place."""
    own = [(folder.lora(style), settings.lora_weight)] if config.learns(style) else []
    parts = [*own, *((Path(lora.path), lora.weight) for lora in settings.loras)]
    if not parts:
        return None
    place = f"lora/{style}.safetensors" if number == 0 else f"lora/{style}-{number}.safetensors"
    if not (out / place).exists():
        merge_files(parts, out / place, None, "fp32")
        if config.base.clip_skip > 0:
            save_lora(out / place, without_unread(load_lora(out / place), base))
    return place


def _write_token(folder: RunFolder, config: Config, style: str, out: Path) -> str | None:
    if config.token is None:
        return None
    place = f"tokens/{style}.safetensors"
    write_bytes(out / place, folder.token(style).read_bytes())
    return place


def _settings(settings: GenerateConfig) -> dict[str, Any]:
    """The words of the pipeline's call that all pictures of a group share."""
    shared = {"num_inference_steps": settings.steps, "guidance_scale": settings.guidance_scale}
    if settings.strength is not None:
        return {**shared, "strength": settings.strength}
    return {**shared, "guidance_rescale": settings.guidance_rescale}


def _write_pictures(
    pictures: Sequence[Picture], settings: GenerateConfig, base: Base, config: Config, style: str, out: Path
) -> list[dict[str, Any]]:
    """The first latents of pictures, (1, C, h, w) float32 each, and what the script needs to know of them."""
    plan = sampling_plan(base.schedule, settings.sampler, settings.steps, settings.strength)
    shape = (base.configs["unet"].in_channels, *[config.data.size // base.configs["vae"].factor] * 2)
    ground = _ground(base, config, settings, style)
    noted = []
    for picture in pictures:
        place = f"latents/{Path(picture['image']).with_suffix('.npy').as_posix()}"
        latent = first_latent(plan, picture["seed"], shape, ground)
        stream = io.BytesIO()
        np.save(stream, to_diffusers(plan, settings.sampler, latent)[None])
        write_bytes(out / place, stream.getvalue())
        text = {name: picture[name] for name in ("prompt", "negative_prompt")}
        noted.append({"image": picture["image"], "latents": place, "seed": picture["seed"], "text": text})
    return noted


def _ground(base: Base, config: Config, settings: GenerateConfig, style: str) -> Ground:
    """What lies under the noise that a style's pictures start from."""
    if settings.strength is None and settings.start is None:
        return None
    from jdart.generation.draw import ground
    from jdart.generation.references import References

    size, images = config.data.size, picture_folder(config.references, config.data.layout, style)
    paths = [picture.path for picture in style_pictures(images, style, config.data)]
    average = None if settings.strength is None else average_image(paths, size)
    return ground(base, settings, average, References(base, {path.name: stretched(path, size) for path in paths}))
