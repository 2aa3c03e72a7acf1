#!/usr/bin/env bash
# Package: torch 2.14.1 (NumPy 2.4.0).
# Behaviour: nn.Embedding made under torch.device("meta") imports torch._dynamo, PyTorch's compiler, and with it some 800 modules:
#   seconds, and more than 100 MB that stay. nn.Linear, nn.Conv2d and the norms do not; nn.Embedding.from_pretrained does not either.
# One would guess otherwise: the meta device is documented as the way to make a module without storage and before its weights are
#   read, so as to save time and memory, and nothing is compiled here.
# Docs: https://docs.pytorch.org/docs/stable/meta.html
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq torch==2.14.1 numpy==2.4.0
cat > "$folder/see.py" <<'P'
import sys
import time

import torch
from torch import nn


def resident():
    """MB of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1000 for line in status if line.startswith("VmRSS"))


def cost(make):
    modules, memory, start = len(sys.modules), resident(), time.process_time()
    with torch.device("meta"):
        make()
    seconds = time.process_time() - start
    return f"{len(sys.modules) - modules} modules, {resident() - memory} MB, {seconds:.1f} s", "torch._dynamo" in sys.modules


others, before = cost(lambda: (nn.Linear(8, 8), nn.Conv2d(3, 3, 3), nn.LayerNorm(8), nn.BatchNorm2d(3)))
ready, still = cost(lambda: nn.Embedding.from_pretrained(torch.empty(8, 8)))
embedding, after = cost(lambda: nn.Embedding(8, 8))
print(f"torch {torch.__version__}")
print(f"linear, convolution, norms: {others}")
print(f"Embedding.from_pretrained: {ready}")
print(f"Embedding: {embedding}")
sys.exit(0 if (before, still, after) == (False, False, True) else 1)
P
if ! "$folder/venv/bin/python" "$folder/see.py"; then
    echo "changed: an embedding on the meta device no longer imports the compiler, or other layers do" >&2
    exit 1
fi
