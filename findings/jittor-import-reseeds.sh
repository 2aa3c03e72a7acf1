#!/usr/bin/env bash
# Package: jittor 1.3.11.0 (NumPy 1.26.4).
# Behaviour: `import jittor` gives Python's `random` and NumPy's global generator new states, so a seed that the program set
#   before is lost; jt.set_global_seed(n), which reads as Jittor's own affair, sets both of them to n as well.
# One would guess otherwise: an import draws nothing, and torch.manual_seed touches neither of the two.
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.html
# Needs g++ and Python's headers; Jittor compiles its core for some minutes, in a home folder of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq jittor==1.3.11.0 numpy==1.26.4
mkdir "$folder/home"
cat > "$folder/look.py" <<'PYTHON'
import random
import sys

import numpy as np

random.seed(0)
np.random.seed(0)
promised = random.random(), np.random.rand()

random.seed(0)
np.random.seed(0)
import jittor as jt

after_import = random.random(), np.random.rand()

random.seed(0)
np.random.seed(0)
jt.set_global_seed(5)
after_seeding = random.random(), np.random.rand()
random.seed(5)
np.random.seed(5)
seeded_with_5 = random.random(), np.random.rand()

print("seed 0 promises              ", *promised)
print("seed 0, then import jittor   ", *after_import)
print("seed 0, then set_global_seed ", *after_seeding)
print("seed 5 promises              ", *seeded_with_5)
if after_import[0] == promised[0] or after_import[1] == promised[1]:
    sys.exit("changed: the import now leaves a generator of the user alone")
if after_seeding != seeded_with_5:
    sys.exit("changed: jt.set_global_seed no longer seeds random and numpy.random")
PYTHON
if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
    tail -n 5 "$folder/log" >&2
    exit 1
fi
