#!/usr/bin/env bash
# Package: safetensors 0.8.0 (NumPy 1.26.4).
# Behaviour: saving the same tensors with the same metadata of several entries gives other bytes each time, within one process
#   too: the entries stand in a random order. With one entry, or none, the bytes are equal.
# One would guess otherwise: tensors are sorted by the library, dicts keep their order, and PYTHONHASHSEED changes nothing
#   here. A LoRA's checksum, or a cache by content, takes an unchanged file for a new one.
# Docs: https://huggingface.co/docs/safetensors/index
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq safetensors==0.8.0 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import hashlib
import sys

import numpy as np
from safetensors.numpy import save


def kinds(metadata):
    """How many different files twenty saves give."""
    tensors = {"b": np.ones(2, np.float32), "a": np.zeros(3, np.float32)}
    return len({hashlib.sha256(save(tensors, metadata)).hexdigest() for _ in range(20)})


one = {"format": "pt"}
eight = {f"key{number}": "value" for number in range(8)}
print("different files of 20 saves: without metadata", kinds(None), "- one entry", kinds(one), "- eight", kinds(eight))
if kinds(None) != 1 or kinds(one) != 1:
    sys.exit("changed: even without metadata to order the files differ")
if kinds(eight) == 1:
    sys.exit("changed: metadata is now written in one order")
PYTHON
PYTHONHASHSEED=0 "$folder/venv/bin/python" "$folder/look.py"
