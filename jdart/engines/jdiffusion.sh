#!/bin/sh
# Builds an environment in which jdart's engine jdiffusion runs: Python 3.9, JDiffusion and the forks that it needs,
# each at the commit that jdart was tested with. `jdart engine install jdiffusion DIR` runs it; so can you.
#
#     sh install.sh DIR [PYTHON]      PYTHON: a Python 3.9, python3.9 where it is left out
#
# SOURCES is where the repositories are fetched from: https://github.com/JittorRepos, or a mirror of it, such as
# file:///srv/JittorRepos. What is there already is not fetched again. Needs git and g++; takes 1 GB and some minutes.
set -eu

dir=$1
python=${2:-python3.9}
sources=${SOURCES:-https://github.com/JittorRepos}

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 9))' ||
    { echo "error: $python is no Python 3.9; name one with --python" >&2; exit 2; }
[ -x "$dir/bin/python" ] || "$python" -m venv "$dir"
mkdir -p "$dir/src"
dir=$(cd "$dir" && pwd)

at() {  # REPOSITORY COMMIT: its files in $dir/src/REPOSITORY
    folder=$dir/src/$1
    [ "$(git -C "$folder" rev-parse -q --verify HEAD 2>/dev/null || true)" = "$2" ] && return
    echo "fetching $1 at $2"
    git init -q "$folder"
    git -C "$folder" fetch -q --depth 1 "$sources/$1" "$2"
    git -C "$folder" checkout -q --force "$2"
}

at jittor 6c06e638b46f4c4ddda197d35dcbfc47cc00f4ff
at jtorch caf0a23c71f8d47ffbb642cd20cbc773ddbf69d9
at diffusers_jittor 349a48cdeb8c2834ce066d61f0b61ba9024498bb
at transformers_jittor 9f053b0ee5b1e6f5551e4cde45c481a0dbed20e2
at JDiffusion f10e14b9777bef47cecbf204114da1687dddd489

pip() { "$dir/bin/python" -m pip install -q --disable-pip-version-check "$@"; }

# The packages, at versions of their time. peft and accelerate ask for torch, which jtorch takes the place of.
pip 'setuptools==69.5.1' 'wheel==0.43.0'
pip 'numpy==1.24.4' 'pillow==10.4.0' 'tqdm==4.66.5' 'astunparse==1.6.3' 'tokenizers==0.13.3' 'safetensors==0.4.5' \
    'huggingface_hub==0.24.7' 'regex==2024.7.24' 'requests==2.32.3' 'filelock==3.15.4' 'packaging==24.1' \
    'pyyaml==6.0.2' 'psutil==6.0.0' 'importlib_metadata==8.4.0' 'opencv-python-headless==4.10.0.84' \
    'onednn-cpu-gomp==2022.2.1' 'onednn-devel-cpu-gomp==2022.2.1'
pip --no-deps 'peft==0.10.0' 'accelerate==0.27.2'
for name in jittor jtorch diffusers_jittor transformers_jittor; do
    pip --no-deps --no-build-isolation "$dir/src/$name"
done
pip --no-deps --no-build-isolation -e "$dir/src/JDiffusion"

# diffusers looks for a distribution named torch, which only Jittor's own index has: an empty one is enough.
record=$("$dir/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch-2.0.0.dist-info
mkdir -p "$record"
printf 'Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n' > "$record/METADATA"
echo jdart > "$record/INSTALLER"
: > "$record/RECORD"
echo "$dir/bin/python"
