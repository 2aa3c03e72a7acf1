#!/usr/bin/env bash
# Package: torch 2.14.1 (NumPy 2.4.0).
# Behaviour: a file of torch.save whose zip archive was packed anew with compression (`zip -r`, `shutil.make_archive`, Python's zipfile)
#   is read right by torch.load. With mmap=True the same file gives other numbers without a word: the compressed bytes are taken for them.
# One would guess otherwise: mmap is documented as another way to hold the same tensors, the archive says of each record that it is
#   compressed, and the two calls differ in nothing else.
# Docs: https://docs.pytorch.org/docs/stable/generated/torch.load.html
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq torch==2.14.1 numpy==2.4.0
cat > "$folder/see.py" <<'P'
import sys
import zipfile

import torch

state = {"weight": torch.arange(1000.0), **{f"bias.{n}": torch.tensor(float(n)) for n in range(60)}}
torch.save(state, "stored.bin")
with zipfile.ZipFile("stored.bin") as stored, zipfile.ZipFile("packed.bin", "w", zipfile.ZIP_DEFLATED) as packed:
    for name in stored.namelist():
        packed.writestr(name, stored.read(name))
with zipfile.ZipFile("packed.bin") as packed:
    print(f"the archive's own check: {packed.testzip() or 'whole'}")
plain = torch.load("packed.bin")["weight"]
mapped = torch.load("packed.bin", mmap=True)["weight"]
print(f"torch {torch.__version__}")
print(f"torch.load: {plain[:4].tolist()}")
print(f"torch.load with mmap: {mapped[:4].tolist()}")
sys.exit(0 if torch.equal(plain, state["weight"]) and not torch.equal(mapped, state["weight"]) else 1)
P
cd "$folder"
if ! venv/bin/python see.py; then
    echo "changed: torch.load reads a compressed archive alike with and without mmap, or refuses it" >&2
    exit 1
fi
