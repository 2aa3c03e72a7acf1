#!/usr/bin/env bash
# Package: jittor 1.3.11.0 on a CPU (NumPy 1.26.4 beside it).
# Behaviour: for a NaN, x != x is False, x == x is True and x > 0 is True; relu and max lose it (0, and the largest of the
#   others), while a sum keeps it. Only jt.isnan finds it, so a guard by x != x never fires, and a network with relu can
#   hand on finite numbers after its input has become NaN.
# One would guess otherwise: IEEE 754, NumPy and PyTorch have x != x as the test for NaN, and their relu and max hand it on.
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.html
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

values = np.array([np.nan, 1.0, -1.0], np.float32)
x = jt.array(values)
seen = {
    "x != x": (x != x).numpy(),
    "x == x": (x == x).numpy(),
    "x > 0": (x > 0).numpy(),
    "isnan": jt.isnan(x).numpy(),
    "relu": jt.nn.relu(x).numpy(),
    "max": x.max().numpy(),
    "sum": x.sum().numpy(),
}
with np.errstate(invalid="ignore"):
    usual = {
        "x != x": values != values,
        "x == x": values == values,
        "x > 0": values > 0,
        "isnan": np.isnan(values),
        "relu": np.maximum(values, 0),
        "max": values.max(),
        "sum": values.sum(),
    }
print("of [nan, 1, -1]", "Jittor", "NumPy", sep=" | ")
for name in seen:
    print(name, seen[name], usual[name], sep=" | ")
if seen["x != x"].any() or not seen["x == x"].all():
    sys.exit("changed: comparing with itself now finds a NaN")
if not np.isfinite(seen["relu"]).all() or not np.isfinite(seen["max"]).all():
    sys.exit("changed: relu or max now hands a NaN on")
if not seen["isnan"][0] or not np.isnan(seen["sum"]).all():
    sys.exit("changed: isnan or sum no longer shows the NaN")
PYTHON
if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
