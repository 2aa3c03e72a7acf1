#!/usr/bin/env bash
# Package: jittor 1.3.11.0 (NumPy 1.26.4).
# Behaviour: a program started once with JITTOR_HOME writes its value into ~/.cache/jittor/config.json, and every later program of
#   that user keeps its cache there, the variable unset: a trial's temporary folder, or a job's scratch disk, is from then on the
#   place of all compiled code.
# One would guess otherwise: an environment variable is over with its process, as with XDG_CACHE_HOME, HF_HOME or TORCH_HOME.
# Docs: https://cg.cs.tsinghua.edu.cn/jittor/assets/docs/jittor.html
# Needs g++; nothing is compiled.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq jittor==1.3.11.0 numpy==1.26.4
mkdir "$folder/user" "$folder/scratch"
export HOME="$folder/user" nvcc_path=""
unset JITTOR_HOME
home() { "$folder/venv/bin/python" -c "import jittor_utils; print('home:', jittor_utils.home())" 2> "$folder/log" | sed -n 's/^home: //p'; }
before=$(home)
named=$(JITTOR_HOME="$folder/scratch" home)
after=$(home)
echo "before:                 ${before/$folder/...}"
echo "with JITTOR_HOME:       ${named/$folder/...}"
echo "afterwards, without it: ${after/$folder/...}"
[ "$before" = "$folder/user" ] || { echo "changed: it is not the user's home in the first place" >&2; exit 1; }
[ "$named" = "$folder/scratch" ] || { echo "changed: the variable is not heeded" >&2; exit 1; }
[ "$after" = "$folder/scratch" ] || { echo "changed: the variable's value is over with its process" >&2; exit 1; }
