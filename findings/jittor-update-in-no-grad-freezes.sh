#!/usr/bin/env bash
# Package: jittor 1.3.11.0 (NumPy 1.26.4).
# Behaviour: a parameter that is given new values by `p.update(...)` (or p.assign) inside `with jt.no_grad():` has stopped
#   its gradient from then on, outside the block too: jt.grad gives zeros for it, and an optimiser step leaves it where it
#   is. Nothing is raised or logged. With start_grad() after the update it learns again.
# One would guess otherwise: in PyTorch, whose no_grad this is modelled on, changing a parameter in place under no_grad is
#   the recommended way (initialisation, averaged weights, loading), and its requires_grad stays as it was.
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.html (no_grad)
# Needs g++ and Python's headers; Jittor compiles its core for some minutes, in a home folder of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq jittor==1.3.11.0 numpy==1.26.4
mkdir "$folder/home"
cat > "$folder/look.py" <<'PYTHON'
import contextlib
import sys

import jittor as jt


def moved(block, change):
    """Largest change of a layer's weight by one step of SGD, after `change` gave it new values within `block`."""
    layer = jt.nn.Linear(2, 2)
    with block:
        change(layer.weight, layer.weight * 2)
    before = layer.weight.numpy().copy()
    jt.optim.SGD(layer.parameters(), 0.1).step(layer(jt.ones((1, 2))).sum())
    return float(abs(layer.weight.numpy() - before).max())


outside = moved(contextlib.nullcontext(), lambda weight, value: weight.update(value.stop_grad()).start_grad())
updated = moved(jt.no_grad(), lambda weight, value: weight.update(value))
assigned = moved(jt.no_grad(), lambda weight, value: weight.assign(value))
cured = moved(jt.no_grad(), lambda weight, value: weight.update(value).start_grad())
print("one step of SGD, rate 0.1, gradient 1, moves the weight by")
print("update outside no_grad, start_grad:", outside)
print("update inside no_grad:             ", updated)
print("assign inside no_grad:             ", assigned)
print("update inside no_grad, start_grad: ", cured)
if updated != 0 or assigned != 0:
    sys.exit("changed: a weight that was updated inside no_grad learns now")
if min(outside, cured) < 0.09:
    sys.exit("changed: start_grad no longer makes the weight learn again")
PYTHON
if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
