"""How exactly, and where, the networks calculate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from contest.errors import UserError

PRECISIONS = ("float32", "float16")
DEVICES = ("cpu", "cuda")


def require_device(device: str, precision: str) -> None:
    """Raise UserError for a device or precision that is not known or not there; loads torch only for CUDA."""
    if device not in DEVICES:
        raise UserError(f"device {device!r} is not known; choose cpu or cuda")
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r} is not known; choose float32 or float16")
    if device == "cpu" and precision != "float32":
        raise UserError("float16 gains nothing on a CPU; leave it out, or use --device cuda")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UserError("no CUDA device was found; use --device cpu")


@contextmanager
def arithmetic(device: str, precision: str) -> Iterator[None]:
    """While the block runs: no TF32 in convolutions and products, or half precision where that was asked for."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    half = torch.autocast(device, dtype=torch.float16, enabled=precision == "float16")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), half:
            yield
    finally:
        torch.set_float32_matmul_precision(before)
