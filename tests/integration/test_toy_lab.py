"""The toy that comes along: what its base draws, what its weights see, and that a LoRA makes the difference."""

import csv
import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from jdart.config import GenerateConfig
from jdart.data.seeds import rng_for

ROOT = Path(__file__).parents[2]
METRICS = ("final", "dino", "hist", "lpips", "clip_r", "fid", "clip_iqa")
PROMPTS = ("Cat", "Mountain", "Umbrella")


@pytest.fixture(scope="module")
def base():
    from jdart.models.build import Base
    from jdart.models.hub.locate import locate
    from jdart.runtime import start

    start("cpu")
    return Base(locate("toy", None)[0])


def test_the_archives_are_small():
    assert sum((ROOT / package / "toy.zip").stat().st_size for package in ("jdart", "evaluator")) < 16e6


def test_diffusers_and_jdart_draw_the_same_pictures(base):
    """From the unpacked folder as it is, and from the same noise."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    from jdart.generation.draw import Request, draw

    settings = GenerateConfig(sampler="ddim", steps=10, guidance_scale=4.0, batch_size=3)
    requests = [Request(str(n), f"an image of {word} in style_00", n) for n, word in enumerate(PROMPTS)]
    ours = np.stack([picture for _, picture in draw(base, requests, settings, 64, None)])
    pipe = StableDiffusionPipeline.from_pretrained(base.folder)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    pipe.set_progress_bar_config(disable=True)
    channels, side = base.unet.config.in_channels, 64 // base.vae.config.factor
    latents = [
        rng_for("noise", request.seed).standard_normal((channels, side, side), np.float32) for request in requests
    ]
    theirs = pipe(
        [request.prompt for request in requests],
        num_inference_steps=10,
        guidance_scale=4.0,
        latents=torch.tensor(np.stack(latents)),
        height=64,
        width=64,
        output_type="np",
    ).images
    assert np.abs(ours.astype(int) - np.rint(theirs * 255).astype(int)).max() <= 1
    assert ours.std() > 10, "and they show something"


STYLES = ["00", pytest.param("01", marks=pytest.mark.slow), pytest.param("02", marks=pytest.mark.slow)]
LPIPS_MARGIN = {"00": 0.05, "01": 0.02, "02": 0.02}  # plain pictures are nearer to the two colourful styles


@pytest.fixture(scope="module", params=STYLES)
def demo(tmp_path_factory, request):
    """`jdart demo` on one style, as it ships and away from the checkout: the style, and entry -> its figures."""
    from click.testing import CliRunner

    from jdart.cli import main

    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(out)
        result = CliRunner().invoke(main, ["demo", "--styles", request.param])
    assert result.exit_code == 0, result.output
    with open(out / "outputs" / "demo" / "site" / "board.csv", newline="", encoding="utf-8-sig") as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    reports = [json.loads(path.read_text("utf-8")) for path in out.rglob("report/report.json")]
    assert len(reports) == len(rows) == 4
    assert all(
        "toy weights: not comparable with the contest" in report["provenance"]["not_comparable_because"]
        for report in reports
    )
    return request.param, {name: {key: float(row[key]) for key in METRICS} for name, row in rows.items()}


@pytest.fixture(scope="module")
def ends():
    """Style -> the two ends of the scale: figures of the held-out pictures, and of noise under their names."""
    return functools.cache(_ends)


def _ends(style):
    from PIL import Image

    from evaluator import score_submission

    names = [path.name for path in sorted((ROOT / "data" / "held_out" / style).glob("*.png"))]
    assert len(names) == 25
    with tempfile.TemporaryDirectory() as folder:
        noise = Path(folder) / style
        noise.mkdir()
        for number, name in enumerate(names):
            pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(noise / name)
        places = {"references": "toy", "weights": "toy", "styles": [style], "write": False}
        found = [score_submission(entry, **places).scores for entry in (ROOT / "data" / "held_out", folder)]
    return tuple({key: getattr(scores, key) for key in METRICS} for scores in found)


@pytest.mark.parametrize("learnt", ["LoRA", "LoRA + average image"])
def test_a_lora_beats_the_plain_base_by_a_wide_margin(demo, learnt):
    style, scores = demo
    plain, lora = scores["plain base"], scores[learnt]
    assert lora["hist"] > plain["hist"] + 0.1
    assert lora["lpips"] < plain["lpips"] - LPIPS_MARGIN[style]
    assert lora["final"] > 1.25 * plain["final"]


def test_choosing_by_measurement_beats_one_picture_a_prompt(demo):
    _, scores = demo
    assert scores["jdart-best"]["final"] > 1.1 * scores["LoRA + average image"]["final"]


def test_held_out_pictures_beat_a_lora_and_the_plain_base_beats_noise(demo, ends):
    style, scores = demo
    best, worst = ends(style)
    assert best["final"] > max(scores["LoRA"]["final"], scores["LoRA + average image"]["final"])
    assert scores["plain base"]["final"] > worst["final"]


@pytest.mark.parametrize("style", ["00", "01", "02"])
def test_held_out_pictures_in_the_style_beat_noise(style, ends):
    """In every metric."""
    best, worst = ends(style)
    assert best["final"] > 2 * worst["final"]
    assert all(best[key] > worst[key] for key in ("dino", "hist", "clip_r", "clip_iqa"))
    assert all(best[key] < worst[key] for key in ("lpips", "fid"))


def test_each_metric_falls_when_what_it_looks_at_is_spoilt(tmp_path):
    """Blur, a blur in which the things are lost, other hues, and the picture of another prompt, over all styles."""
    from PIL import Image, ImageFilter

    from evaluator import score_submission

    def blurred(picture, pixels):
        return picture.filter(ImageFilter.GaussianBlur(pixels))

    def recoloured(picture):
        hsv = np.asarray(picture.convert("HSV")).copy()
        hsv[..., 0] += 85  # a third of the circle; bytes wrap
        return Image.merge("HSV", [Image.fromarray(band) for band in np.moveaxis(hsv, 2, 0)]).convert("RGB")

    held_out = ROOT / "data" / "held_out"
    for style in sorted(path for path in held_out.iterdir() if path.is_dir()):
        paths = sorted(style.glob("*.png"))
        for number, path in enumerate(paths):
            picture = Image.open(path)
            made = {
                "blur": blurred(picture, 1.5),
                "lost": blurred(picture, 5),
                "hue": recoloured(picture),
                "wrong": Image.open(paths[number - 7]),
            }
            for kind, spoilt in made.items():
                (tmp_path / kind / style.name).mkdir(parents=True, exist_ok=True)
                spoilt.save(tmp_path / kind / style.name / path.name)
    places = {"references": "toy", "weights": "toy", "write": False}
    good = score_submission(held_out, **places).scores
    kinds = ("blur", "lost", "hue", "wrong")
    blur, lost, hue, wrong = (score_submission(tmp_path / kind, **places).scores for kind in kinds)
    assert max(blur.final, hue.final, wrong.final) < 0.9 * good.final
    assert lost.final < 0.6 * blur.final
    assert (blur.clip_iqa < 0.5 * good.clip_iqa, blur.dino < good.dino, blur.hist < good.hist) == (True, True, True)
    assert blur.lpips > 1.2 * good.lpips
    assert (hue.hist < 0.2 * good.hist, hue.dino < 0.7 * good.dino, hue.lpips > good.lpips) == (True, True, True)
    assert min(blur.fid, hue.fid) > 10 * good.fid
    assert (lost.clip_r < 0.8 * good.clip_r, wrong.clip_r < 0.5 * good.clip_r) == (True, True)
