#!/usr/bin/env bash
# Package: safetensors 0.8.0 (NumPy 1.26.4); 0.7.0 beside it, which was right.
# Behaviour: safetensors.numpy.save and save_file write a contiguous array in Fortran order (any transposed matrix) in the order
#   of its memory, under its shape in C order: reading gives the same shape with the numbers in other places. No error.
# One would guess otherwise: 0.7.0 wrote it right, safetensors.torch refuses such a tensor, and np.save keeps it. For a LoRA
#   that is a pair of matrices of scrambled numbers, which every program loads.
# Docs: the docstring of save_file ("contiguous and dense", which the array is), and
#   https://github.com/safetensors/safetensors/issues/825
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

given = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
read = load(save({"a": given}))["a"]
kept = load(save({"a": np.ascontiguousarray(given)}))["a"]
print(f"safetensors {safetensors.__version__}: {given.tolist()} was read back as {read.tolist()}")
assert given.flags.f_contiguous and np.array_equal(kept, given)
print("same" if np.array_equal(read, given) else "scrambled")
PYTHON
for version in 0.7.0 0.8.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install -qq "safetensors==$version" numpy==1.26.4
    "$folder/$version/bin/python" "$folder/look.py" | tee "$folder/$version.txt"
done
if [ "$(tail -n 1 "$folder/0.7.0.txt")" != same ]; then
    echo "changed: 0.7.0 no longer writes an array in Fortran order as it is" >&2
    exit 1
fi
if [ "$(tail -n 1 "$folder/0.8.0.txt")" != scrambled ]; then
    echo "changed: 0.8.0 writes an array in Fortran order as it is" >&2
    exit 1
fi
