#!/usr/bin/env bash
# Package: jittor 1.3.11.0 on a CPU (NumPy 1.26.4 for the comparison).
# Behaviour: GroupNorm, LayerNorm and BatchNorm of float32 values of deviation 1 about a mean of 100 come out 0.006 to 0.02
#   away from the right value, about a mean of 1000 by more than 1, as large as the result itself.
# One would guess otherwise: a norm takes the mean away, so it should hardly matter; two passes in the same float32 are
#   right within 0.001 there (the variance as mean of squares less square of the mean is what cancels).
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.nn.html
# Needs g++ and Python's headers; Jittor compiles its core for some minutes, in a home folder of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq jittor==1.3.11.0 numpy==1.26.4
mkdir "$folder/home"
cat > "$folder/look.py" <<'PYTHON'
import sys

import jittor as jt
import numpy as np


def two_passes(x, axes):
    """What the norm is by definition, mean first, in the same type as the values."""
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + x.dtype.type(1e-5))


plain = np.random.RandomState(0).randn(1, 8, 16, 16).astype(np.float32)
worst = {}
for mean in (0, 100, 1000):
    x = plain + np.float32(mean)
    exact = x.astype(np.float64)
    pairs = {
        "GroupNorm": (jt.nn.GroupNorm(4, 8)(jt.array(x)).numpy(), lambda v: two_passes(v.reshape(1, 4, -1), 2)),
        "LayerNorm": (jt.nn.LayerNorm(16)(jt.array(x)).numpy(), lambda v: two_passes(v, 3)),
        "BatchNorm": (jt.nn.BatchNorm(8)(jt.array(x)).numpy(), lambda v: two_passes(v, (0, 2, 3))),
    }
    for name, (given, right) in pairs.items():
        error = np.abs(given - right(exact).reshape(x.shape)).max()
        careful = np.abs(right(x).reshape(x.shape) - right(exact).reshape(x.shape)).max()
        worst[name, mean] = error, careful
        print(f"mean {mean:5d} {name}: Jittor off by {error:.1e}, two passes in float32 by {careful:.1e}")
for (name, mean), (error, careful) in worst.items():
    if careful > 1e-3 or (mean == 0 and error > 1e-4):
        sys.exit(f"changed: the comparison itself is off for {name} at mean {mean}")
    if mean == 1000 and error < 0.1:
        sys.exit(f"changed: {name} now keeps its precision at mean 1000")
PYTHON
if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
