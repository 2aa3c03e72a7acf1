"""Run a C++ function of this folder as one Jittor operation on the CPU.

A function takes the inputs, then the outputs, as `jittor::Var*`, then numbers. Shapes are read at run time: it is
compiled once on a machine, whatever the sizes of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jittor as jt

FOLDER = Path(__file__).parent
LINE, WIDE = 16, 32  # LANES and WIDE of lanes.h for the widest vector of any processor; a multiple of all others'


def serves(*inputs: jt.Var) -> bool:
    """Whether these kernels can take the place of Jittor's graph: on the CPU, with oneDNN, in float32."""
    found = jt.flags.use_cuda == 0 and jt.compile_extern.use_mkl
    return found and all(x.dtype == "float32" for x in inputs)


def needed(x: jt.Var, weight: jt.Var) -> jt.Var | None:
    """x where the weight is trained; the gradient of x itself asks for the weight alone, so that x need not be kept."""
    return None if weight.is_stop_grad() else x


def call(
    header: str, function: str, inputs: Sequence[jt.Var], shapes: Sequence[Sequence[int]], *numbers: float
) -> list[jt.Var]:
    """The float32 outputs of `function`, of the given shapes."""
    include, line = _source(header, function, len(inputs), len(shapes), len(numbers))
    return jt.code(
        [tuple(shape) for shape in shapes],
        ["float32"] * len(shapes),
        list(inputs),
        cpu_header=include,
        cpu_src=line,
        data={f"n{i}": float(number) for i, number in enumerate(numbers)},
    )


def widened(weight: jt.Var, ready: jt.Var) -> jt.Var:
    """A frozen weight in float32. One kept in float16 is widened once `ready` is there, for one use."""
    if weight.dtype != "float16":
        return weight
    with jt.no_grad():
        return call("widen.h", "widen", [weight, ready], [weight.shape])[0]


def operands(x: jt.Var, weight: jt.Var, bias: jt.Var | None) -> list[jt.Var]:
    """What a layer's kernel is given: x, the weight in float32, and the bias where there is one."""
    wide = widened(weight, x)
    return [x, wide] if bias is None else [x, wide, bias]


def whole(count: int, step: int) -> int:
    """The next multiple of `step`: places for `count` numbers in whole vectors, tiles or parts."""
    return -(-count // step) * step


@cache
def _source(header: str, function: str, inputs: int, outputs: int, numbers: int) -> tuple[str, str]:
    """What a kernel includes, and its one line; a training step asks for hundreds.

    Jittor finds no header beside another one, and compiles anew when one of those named here has changed.
    """
    arguments = [f"in{i}" for i in range(inputs)] + [f"out{i}" for i in range(outputs)]
    arguments += [f'data["n{i}"]' for i in range(numbers)]
    include = "".join(f'#include "{FOLDER / name}"\n' for name in ("blas.h", "lanes.h", header))
    return include, f"jdart::{function}({', '.join(arguments)});"
