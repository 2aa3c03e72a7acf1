#!/usr/bin/env bash
# Package: jittor 1.3.11.0 (NumPy 1.26.4).
# Behaviour: a number is drawn when it is first asked for, not where jt.randn stands: two seeds that are set one after the
#   other, each before its jt.randn, give two arrays of the second seed's stream, and nothing of the first's.
# One would guess otherwise: seed, then draw, is how a number is made to come again; in PyTorch and NumPy it does.
#   JDiffusion's pipelines, `seed=[1, 2]`, draw a batch this way: a picture depends on the last seed of its batch.
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


def seeded(seed):
    jt.set_global_seed(seed)
    return jt.randn((1, 3))


one, two = seeded(1).numpy(), seeded(2).numpy()
first, second = seeded(1), seeded(2)
late = jt.concat([first, second]).numpy()
first = seeded(1)
first.sync()
synced = jt.concat([first, seeded(2)]).numpy()

print("seed 1 alone               ", *one[0])
print("seed 2 alone               ", *two[0])
print("seeds 1 and 2, then asked  ", *late[0], "and", *late[1])
print("the first asked for at once", *synced[0], "and", *synced[1])
if not np.array_equal(synced, np.concatenate([one, two])):
    sys.exit("changed: a number that is asked for at once is not its seed's")
if not np.array_equal(late[0], two[0]) or np.array_equal(late[1], two[0]):
    sys.exit("changed: numbers no longer come from the seed that was set last")
PYTHON
if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
