#!/usr/bin/env bash
# Package: safetensors 0.8.0 (NumPy 1.26.4).
# Behaviour: on a sound file that holds a float32 tensor and a bfloat16 or fp8 one, safe_open(..., "numpy") opens, lists both
#   and gives the first; at the second it raises TypeError (bfloat16) or AttributeError (fp8), not its own SafetensorError.
#   safetensors.numpy.load on the same bytes raises KeyError: three errors of three types for one matter.
# One would guess otherwise: the header, read at opening, holds every dtype, so a reader that cannot give one could say so
#   before it gives anything; who falls back on PyTorch at the error has some tensors twice. Real LoRA files are such mixtures.
# Docs: https://huggingface.co/docs/safetensors/api/numpy, https://github.com/safetensors/safetensors/issues/598
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq safetensors==0.8.0 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import json
import sys

from safetensors import SafetensorError, safe_open
from safetensors.numpy import load

RIGHT = {"BF16": ("TypeError", "KeyError"), "F8_E4M3": ("AttributeError", "KeyError")}
for dtype, size in (("BF16", 2), ("F8_E4M3", 1)):
    header = {
        "alpha": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "weight": {"dtype": dtype, "shape": [4], "data_offsets": [4, 4 + 4 * size]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = len(text).to_bytes(8, "little") + text + bytes(4 + 4 * size)
    path = f"{sys.argv[1]}/{dtype}.safetensors"
    with open(path, "wb") as stream:
        stream.write(data)
    raised, given = [], []
    with safe_open(path, "numpy") as file:
        names = sorted(file.keys())
        stored = file.get_slice("weight").get_dtype()
        for name in names:
            try:
                file.get_tensor(name)
                given.append(name)
            except Exception as error:
                raised.append(error)
    try:
        load(data)
    except Exception as error:
        raised.append(error)
    print(f"{dtype}: lists {names}, knows {stored}, gives {given}, then", *map(repr, raised))
    if given != ["alpha"] or any(isinstance(error, SafetensorError) for error in raised):
        sys.exit(f"changed: NumPy's reader gives {given} of a file with {dtype}")
    if tuple(type(error).__name__ for error in raised) != RIGHT[dtype]:
        sys.exit(f"changed: other errors for {dtype}")
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder"
