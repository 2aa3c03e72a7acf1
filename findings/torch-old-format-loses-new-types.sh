#!/usr/bin/env bash
# Package: torch 2.14.1 (NumPy 2.4.0).
# Behaviour: torch.save in the format of before PyTorch 1.6 takes tensors of 8-bit floats and of uint16, uint32, uint64, and torch.load
#   raises AttributeError at each of these files. Other types go both ways, and these do in the newer format.
# One would guess otherwise: nothing is said while the file is written, and the switch is what older scripts and converters still set
#   so that more programs can read a file.
# Docs: https://docs.pytorch.org/docs/stable/generated/torch.save.html
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq torch==2.14.1 numpy==2.4.0
cat > "$folder/see.py" <<'P'
import sys

import torch


def read(name, newer):
    """What torch.load says of a tensor of a type that torch.save has just written."""
    torch.save({"a": torch.ones(4).to(getattr(torch, name))}, "x.bin", _use_new_zipfile_serialization=newer)
    try:
        return "read" if bool((torch.load("x.bin")["a"].float() == 1).all()) else "other numbers"
    except AttributeError as error:
        return f"AttributeError: {error}"


names = ("float32", "bfloat16", "int64", "float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64")
found = {name: (read(name, True), read(name, False)) for name in names}
print(f"torch {torch.__version__}")
for name, (newer, older) in found.items():
    print(f"{name}: newer format {newer}; older format {older}")
wrong = [name for name, (newer, older) in found.items() if newer == "read" and older.startswith("AttributeError")]
sys.exit(0 if wrong == list(names[3:]) else 1)
P
cd "$folder"
if ! venv/bin/python see.py; then
    echo "changed: torch.load reads its newer number types from the older format, too, or others no longer" >&2
    exit 1
fi
