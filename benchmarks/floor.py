"""How many floating-point operations the metrics need, and how fast this machine multiplies matrices.

    python benchmarks/floor.py WEIGHTS --size 512 --json floor.json

One multiplication and one addition count as two. Each network's forward is counted once by torch on tensors
without memory, and multiplied by how often it must run: for each picture once, against the checker's once for
each pair.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from workload import Shape, nouns

from contest.disk.files import write_json

SIDE = 4096  # of the matrices


def forwards(weights: Path, size: int) -> dict[str, float]:
    """network -> operations of one forward of one picture of size x size, or of one noun ("clip_text")."""
    import open_clip
    import torch
    import torchvision
    from transformers import AutoConfig, AutoModel, CLIPTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
        state = torch.jit.load(str(weights / "RN50.pt"), map_location="cpu").state_dict()
    rn50 = open_clip.model.build_model_from_openai_state_dict(state, cast_dtype=torch.float32).float().visual.eval()
    clip_folder = weights / "clip-vit-large-patch14"
    # the checker fills up each row to the longest noun
    words = CLIPTokenizer.from_pretrained(clip_folder)(nouns(), padding=True, return_tensors="pt")["input_ids"][:1]
    with torch.device("meta"):
        dino, clip = (
            AutoModel.from_config(AutoConfig.from_pretrained(weights / name)).eval()
            for name in ("dinov2-base", clip_folder.name)
        )
        # the stem of the FID network, without its normalisation
        stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 32, 3, 2), torch.nn.Conv2d(32, 32, 3), torch.nn.Conv2d(32, 64, 3, padding=1)
        )
        squeeze = torchvision.models.squeezenet1_1(weights=None).features
        rn50 = rn50.to("meta")
        places = (size // 32) ** 2 + 1
        rn50.attnpool.positional_embedding = torch.nn.Parameter(torch.empty(places, rn50.conv3.out_channels * 32))

        def picture(side: int) -> Any:
            return torch.empty(1, 3, side, side)

        return {
            "dino": _count(lambda: dino(picture(224))),
            "clip_image": _count(lambda: clip.get_image_features(picture(224))),
            "clip_text": _count(lambda: clip.get_text_features(words.to("meta"))),
            "rn50": _count(lambda: rn50(picture(size))),
            "inception": _count(lambda: stem(picture(299))),
            "squeezenet": _count(lambda: squeeze(picture(256))),
        }


def least(shape: Shape) -> dict[str, int]:
    """network -> how often it must run: once for each distinct picture, once for each noun."""
    outputs = shape.styles * shape.outputs
    everything = outputs + shape.styles * shape.references
    return {
        "dino": everything,
        "clip_image": outputs,
        "clip_text": len(nouns()),
        "rn50": outputs,
        "inception": everything,
        "squeezenet": everything,
    }


def checkers(shape: Shape) -> dict[str, int]:
    """network -> how often the checker runs it, where every picture is named after one of the nouns."""
    outputs = shape.styles * shape.outputs
    pairs = outputs * shape.references
    return {
        **least(shape),
        "dino": 2 * pairs,
        "clip_text": len(nouns()) * outputs,
        "rn50": 2 * outputs,
        "squeezenet": 2 * pairs,
    }


def work(operations: dict[str, float], times: dict[str, int]) -> float:
    """Operations in all."""
    return sum(operations[name] * count for name, count in times.items())


def matmul_rates() -> dict[str, float]:
    """library -> operations per second of the best of five float32 products of two SIDE x SIDE matrices.

    BLIS is no dependency: pip install blis. What is not there is left out.
    """
    return {name: 2 * SIDE**3 / _best(multiply) for name, multiply in _products()}


def _products() -> Iterator[tuple[str, Callable[[], Any]]]:
    import torch

    left, right = torch.rand(2, SIDE, SIDE)
    yield ("MKL" if torch.backends.mkl.is_available() else "PyTorch's BLAS"), lambda: left @ right
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        packed = torch.ops.mkldnn._reorder_linear_weight(right, SIDE)
        yield "oneDNN", lambda: torch.ops.mkldnn._linear_pointwise(left, packed, None, "none", [], "")
    one, other = left.numpy(), right.numpy()
    yield "OpenBLAS", lambda: one @ other  # what NumPy's wheels carry
    if find_spec("blis") is not None:
        from blis.py import gemm

        yield "BLIS", lambda: gemm(one, other)


def _best(multiply: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _count(forward: Callable[[], Any]) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward()
    return float(counter.get_total_flops())


@click.command()
@click.argument("weights", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", type=click.IntRange(min=32), required=True, help="Side of the pictures.")
@click.option("--json", "place", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(weights: Path, size: int, place: Path) -> None:
    """Write {"forwards": {network: operations}, "matmul": {library: operations per second}}."""
    write_json(place, {"forwards": forwards(weights, size), "matmul": matmul_rates()})


if __name__ == "__main__":
    main()
