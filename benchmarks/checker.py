"""Re-enact the contest checker's schedule with the libraries that it calls, and say what it cost.

    python benchmarks/checker.py WEIGHTS REFERENCES OUTPUTS [--json scores.json]

Which pictures are opened when, which network sees what in batches of which size, and what is loaded how often
follow the organisers' scripts (Xlucidator/JDiffArtFlow, `evaluation/jdiff_checker`); the arithmetic is that of
transformers, torchmetrics, torchvision and OpenCV as they are installed. Nothing here comes from `evaluator`
but the list of nouns. README.md beside this file says where the two must differ.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import click
import numpy as np
from local_hub import local_hub
from PIL import Image
from workload import nouns

from contest.disk.files import write_json

if TYPE_CHECKING:
    from torch import Tensor, nn

LIBRARIES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "torch-fidelity",
    "transformers",
    "opencv-python-headless",
    "pillow",
)
TOP = 5
BINS = 16  # of each channel

_T = TypeVar("_T")


@dataclass(frozen=True)
class Style:
    """The files of one style, in the order of their names (the checker takes the folder's own)."""

    references: Sequence[Path]
    outputs: Sequence[Path]


def read_contest(references: Path, outputs: Path) -> dict[str, Style]:
    """Every style that has outputs."""
    return {
        folder.name: Style(sorted((references / folder.name / "images").iterdir()), sorted(folder.iterdir()))
        for folder in sorted(outputs.iterdir())
    }


def check(weights: Path, styles: Mapping[str, Style]) -> dict[str, Any]:
    """All six metrics, one after the other -> scores, styles, images, seconds, versions as JSON values."""
    seconds: dict[str, float] = {}

    def timed(name: str, action: Callable[[], _T]) -> _T:
        start = time.perf_counter()
        value = action()
        seconds[name] = time.perf_counter() - start
        return value

    with local_hub(weights), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' remarks on each other
        networks = timed("load", lambda: Networks(weights))
        dino = timed("dino", lambda: score_dino(networks, styles))
        hist = timed("hist", lambda: {name: score_hist(style) for name, style in styles.items()})
        fid = timed("fid", lambda: score_fid(styles))
        lpips = timed("lpips", lambda: {name: score_lpips(style) for name, style in styles.items()})
        iqa = timed("clip_iqa", lambda: {name: score_clip_iqa(networks, style) for name, style in styles.items()})
        ranked = timed("clip_r", lambda: score_clip_r(networks, styles))
    return {**_collect(styles, dino, hist, fid, lpips, iqa, ranked), "seconds": seconds, "versions": _versions()}


class Networks:
    """What the checker's modules load when they are imported and keep to the end."""

    def __init__(self, weights: Path) -> None:
        from torchmetrics.multimodal import CLIPImageQualityAssessment
        from transformers import AutoImageProcessor, AutoModel, CLIPModel, CLIPProcessor

        self.dino_processor = AutoImageProcessor.from_pretrained(weights / "dinov2-base")
        self.dino = AutoModel.from_pretrained(weights / "dinov2-base")
        # torchmetrics takes this network from piq, which downloads it; the archive is the same
        loader = "torchmetrics.multimodal.clip_iqa._get_clip_iqa_model_and_processor"
        clip = weights / "clip-vit-large-patch14"
        with mock.patch(loader, lambda _: (load_rn50(weights / "RN50.pt"), CLIPProcessor.from_pretrained(clip))):
            self.clip_iqa = CLIPImageQualityAssessment(prompts=("quality",))
        self.clip = CLIPModel.from_pretrained(clip)
        self.clip_processor = CLIPProcessor.from_pretrained(clip)


def load_rn50(archive: Path) -> nn.Module:
    """OpenAI's archive as open_clip builds it, float32, with piq's switch for the positional embedding."""
    import torch
    from open_clip.model import build_model_from_openai_state_dict

    state = torch.jit.load(str(archive), map_location="cpu").state_dict()
    network = build_model_from_openai_state_dict(state, cast_dtype=torch.float32).float().eval()

    def drop_positions(pool: nn.Module, inputs: tuple[Tensor]) -> None:
        _, channels, height, width = inputs[0].shape
        pool.positional_embedding = torch.nn.Parameter(torch.zeros(height * width + 1, channels))

    def encode(images: Tensor, pos_embedding: bool) -> Tensor:
        handle = network.visual.attnpool.register_forward_pre_hook(drop_positions)
        try:
            return network.visual(images)
        finally:
            handle.remove()

    network.encode_image = encode
    return network


def score_dino(networks: Networks, styles: Mapping[str, Style]) -> dict[str, dict[str, float]]:
    """Both pictures of every pair are processed and seen anew, one at a time."""
    import torch

    def feature(image: Image.Image) -> Tensor:
        return networks.dino(**networks.dino_processor(images=image, return_tensors="pt")).pooler_output

    def similarity(output: Image.Image, reference: Path) -> float:
        with torch.no_grad():
            pair = feature(Image.open(reference)), feature(output)
        return torch.nn.functional.cosine_similarity(*pair).item()

    scores: dict[str, dict[str, float]] = {}
    for name, style in styles.items():
        scores[name] = {}
        for path in style.outputs:
            output = Image.open(path)
            scores[name][path.name] = float(np.mean([similarity(output, other) for other in style.references]))
    return scores


def score_hist(style: Style) -> dict[str, dict[str, float]]:
    """kind -> file name -> correlation with the references' mean; each kind reads all files by itself."""
    import cv2

    def as_hsv(image: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)

    scores = {}
    for kind, convert, count in (("rgb", np.asarray, _rgb_histogram), ("hsv", as_hsv, _hsv_histogram)):
        pictures = [convert(cv2.imread(str(path))) for path in style.references]
        mean = np.sum([count(picture) for picture in pictures], axis=0) / np.float32(len(pictures))
        scores[kind] = {
            path.name: cv2.compareHist(mean, count(convert(cv2.imread(str(path)))), cv2.HISTCMP_CORREL)
            for path in style.outputs
        }
    return scores


def _rgb_histogram(image: np.ndarray) -> np.ndarray:
    """4096,1 counts of an index that overflows its byte."""
    import cv2

    blue, green, red = (image[..., channel] // np.uint8(256 // BINS) for channel in range(3))
    index = blue * np.uint8(BINS) * np.uint8(BINS) + green * np.uint8(BINS) + red
    return cv2.calcHist([index], [0], None, [BINS**3], [0, BINS**3])


def _hsv_histogram(image: np.ndarray) -> np.ndarray:
    """72,1 counts; the hue's double overflows its byte, and the upper limit of the bins is 71."""
    import cv2

    hue, saturation, value = (image[..., channel] for channel in range(3))
    degrees = hue * np.uint8(2)
    classes = np.zeros_like(hue)
    for place, (low, high) in enumerate(((20, 40), (40, 75), (75, 155), (155, 190), (190, 270)), 1):
        classes[(degrees > low) & (degrees <= high)] = place
    thirds = [(x > 51).astype(np.uint8) + (x > 178) for x in (saturation, value)]
    index = (9 * classes + 3 * thirds[0] + thirds[1]).astype(np.uint8)
    return cv2.calcHist([index], [0], None, [72], [0, 71])


def score_fid(styles: Mapping[str, Style]) -> float:
    """One value over all styles; all pictures pass the network as one batch."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchvision.transforms.functional import to_tensor

    def batch(paths: Sequence[Path]) -> Tensor:
        return torch.stack([(to_tensor(image) * 255).byte() for image in [Image.open(path) for path in paths]])

    outputs = batch([path for style in styles.values() for path in style.outputs])
    references = batch([path for style in styles.values() for path in style.references])
    fid = FrechetInceptionDistance(feature=64)
    fid.update(references, real=True)
    fid.update(outputs, real=False)
    return fid.compute().item()


def score_lpips(style: Style) -> float:
    """All pairs of a style as one batch, through a network loaded for it."""
    import torch
    from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity
    from torchvision.transforms import Compose, Resize, ToTensor

    resize = Compose([Resize((256, 256)), ToTensor()])
    outputs, references = (
        [resize(Image.open(path)) * 2 - 1 for path in paths] for paths in (style.outputs, style.references)
    )
    left = torch.stack([output for output in outputs for _ in references])
    right = torch.stack([reference for _ in outputs for reference in references])
    return learned_perceptual_image_patch_similarity(left[:, :3], right[:, :3], net_type="squeeze").item()


def score_clip_iqa(networks: Networks, style: Style) -> dict[str, float]:
    """A style as one batch; calling the metric updates it twice (`full_state_update`)."""
    import torch
    from torchvision.transforms.functional import to_tensor

    images = torch.stack([to_tensor(Image.open(path)) * 255 for path in style.outputs])
    values = networks.clip_iqa(images).reshape(-1).tolist()
    return {path.name: value for path, value in zip(style.outputs, values)}


def score_clip_r(networks: Networks, styles: Mapping[str, Style]) -> dict[str, dict[str, list[str]]]:
    """style -> file name -> the five likeliest names; all texts are encoded again for each picture."""
    import torch

    ranked: dict[str, dict[str, list[str]]] = {}
    for name, style in styles.items():
        ranked[name] = {}
        for path in style.outputs:
            texts = sorted({*nouns(), own_name(path.name)})
            inputs = networks.clip_processor(text=texts, images=Image.open(path), return_tensors="pt", padding=True)
            with torch.no_grad():
                shares = networks.clip(**inputs).logits_per_image.softmax(dim=1)
            ranked[name][path.name] = [texts[place] for place in shares.topk(TOP).indices[0].tolist()]
    return ranked


def own_name(file_name: str) -> str:
    """What a picture should show: its file name up to the first dot."""
    return file_name.split(".")[0].lower()


def _collect(
    styles: Mapping[str, Style],
    dino: Mapping[str, Mapping[str, float]],
    hist: Mapping[str, Mapping[str, Mapping[str, float]]],
    fid: float,
    lpips: Mapping[str, float],
    iqa: Mapping[str, Mapping[str, float]],
    ranked: Mapping[str, Mapping[str, list[str]]],
) -> dict[str, Any]:
    """Means over pictures, then styles; CLIP-R pools the pictures."""
    images: dict[str, dict[str, dict[str, Any]]] = {
        style: {
            path.name: {
                "dino": dino[style][path.name],
                "hist_rgb": hist[style]["rgb"][path.name],
                "hist_hsv": hist[style]["hsv"][path.name],
                "clip_iqa": iqa[style][path.name],
                "clip_r_top5": ranked[style][path.name],
                "clip_r_correct": own_name(path.name) in ranked[style][path.name],
            }
            for path in files.outputs
        }
        for style, files in styles.items()
    }
    means = {
        style: {
            key: float(np.mean([figures[key] for figures in table.values()]))
            for key in ("dino", "hist_rgb", "hist_hsv", "clip_iqa")
        }
        for style, table in images.items()
    }
    for style, row in means.items():
        row["hist"] = (row["hist_rgb"] + row["hist_hsv"]) / 2
        row["lpips"] = lpips[style]
    scores = {
        key: float(np.mean([row[key] for row in means.values()])) for key in ("dino", "hist", "lpips", "clip_iqa")
    }
    correct = [figures["clip_r_correct"] for table in images.values() for figures in table.values()]
    scores |= {"fid": fid, "clip_r": float(np.mean(correct))}
    return {"scores": scores, "styles": means, "images": images}


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES}


_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("weights", type=_FOLDER)
@click.argument("references", type=_FOLDER)
@click.argument("outputs", type=_FOLDER)
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure there.")
def main(weights: Path, references: Path, outputs: Path, place: Path | None) -> None:
    """Score OUTPUTS against REFERENCES as the contest's checker would, with the networks in WEIGHTS."""
    from rich.console import Console
    from rich.table import Table

    result = check(weights, read_contest(references, outputs))
    table = Table("", "score", "seconds", title="the checker's schedule")
    for name, seconds in result["seconds"].items():
        score = result["scores"].get(name)
        table.add_row(name, "" if score is None else f"{score:.6f}", f"{seconds:.1f}")
    Console().print(table)
    if place is not None:
        write_json(place, result)


if __name__ == "__main__":
    main()
