#!/usr/bin/env bash
# Package: jittor 1.3.11.0 (PyTorch 2.14.1, NumPy 1.26.4).
# Behaviour: where PyTorch is installed, `import jittor` imports it, on a machine without CUDA too, and whether or not anything of it is
#   used: about two seconds, and the pages of its libraries, in every process. FIX_TORCH_ERROR=0 in the environment keeps it away.
# One would guess otherwise: Jittor is a framework of its own, PyTorch is not among its dependencies, and its page speaks of PyTorch
#   only as of what models are converted from. `pip install torch` for some other tool makes every Jittor program slower to start.
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.html
# Needs g++ and Python's headers; Jittor compiles its core for some minutes, in a home folder of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq jittor==1.3.11.0 torch==2.14.1 numpy==1.26.4
mkdir "$folder/home"
cat > "$folder/look.py" <<'PYTHON'
import resource
import sys
import time

begun = time.perf_counter()
import jittor

seconds, most = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
print("torch" in sys.modules, f"{seconds:.1f} s, at most {most} MB")
PYTHON
look() {
    if ! HOME="$folder/home" nvcc_path="" use_mkl=0 log_silent=1 env "$@" "$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log"; then
        tail -n 5 "$folder/log" >&2
        exit 1
    fi
}
look A=1 > /dev/null  # compiles
plain=$(look A=1)
without=$(look FIX_TORCH_ERROR=0)
echo "import jittor: PyTorch imported: $plain"
echo "with FIX_TORCH_ERROR=0:          $without"
[[ $plain == True* && $without == False* ]] || { echo "changed: Jittor no longer imports PyTorch, or not by this switch" >&2; exit 1; }
