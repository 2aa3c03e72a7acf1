#!/usr/bin/env bash
# Package: transformers 5.24.0 and 4.57.6 (protobuf 7.36.2; without it the second asks for protobuf; torch is not needed).
# Behaviour: the CLIP tokenizer that transformers 5 writes is tokenizer.json and tokenizer_config.json alone, without vocab.json and
#   merges.txt. Transformers 4's CLIPTokenizer, the class that a Stable Diffusion folder names, cannot open it and says
#   TypeError "expected str, bytes or os.PathLike object, not NoneType". Its CLIPTokenizerFast reads the folder and gives the same numbers.
# One would guess otherwise: the class keeps its name in both, 4 reads what 4 writes, and the newest transformers for Python 3.9 is a 4.
# Docs: https://github.com/huggingface/transformers/issues/42768
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 5.24.0 4.57.6; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install -qq "transformers==$version" protobuf==7.36.2 numpy==1.26.4
done
cat > "$folder/look.py" <<'PYTHON'
import json
import os
import sys

import transformers
from transformers import CLIPTokenizer, CLIPTokenizerFast

old, new = f"{sys.argv[1]}/old", f"{sys.argv[1]}/new"


def ids(tokenizer):
    return tokenizer("a cat at a hat")["input_ids"]


print("transformers", transformers.__version__)
if transformers.__version__.startswith("5."):
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocab = letters + [f"{letter}</w>" for letter in letters] + ["at</w>", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    os.makedirs(old)
    with open(f"{old}/vocab.json", "w") as stream:
        json.dump({token: number for number, token in enumerate(vocab)}, stream)
    with open(f"{old}/merges.txt", "w") as stream:
        stream.write("#version: 0.2\na t</w>\nc at</w>\n")
    with open(f"{old}/tokenizer_config.json", "w") as stream:
        json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}, stream)
    tokenizer = CLIPTokenizer.from_pretrained(old)
    tokenizer.save_pretrained(new)
    print("wrote", sorted(os.listdir(new)), "- ids", ids(tokenizer))
    with open(f"{new}.json", "w") as stream:
        json.dump(ids(tokenizer), stream)
    if sorted(os.listdir(new)) != ["tokenizer.json", "tokenizer_config.json"]:
        sys.exit("changed: other files are written")
else:
    with open(f"{new}.json") as stream:
        right = json.load(stream)
    print("old folder, CLIPTokenizer:", ids(CLIPTokenizer.from_pretrained(old)))
    print("new folder, CLIPTokenizerFast:", ids(CLIPTokenizerFast.from_pretrained(new)))
    if ids(CLIPTokenizerFast.from_pretrained(new)) != right or ids(CLIPTokenizer.from_pretrained(old)) != right:
        sys.exit("changed: the numbers differ")
    try:
        CLIPTokenizer.from_pretrained(new)
    except TypeError as error:
        print("new folder, CLIPTokenizer:", repr(error))
    else:
        sys.exit("changed: the class that the folder names opens it")
PYTHON
for version in 5.24.0 4.57.6; do
    "$folder/$version/bin/python" -W ignore "$folder/look.py" "$folder" 2> "$folder/log" || { tail -n 3 "$folder/log" >&2; exit 1; }
done
