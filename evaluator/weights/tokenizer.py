"""CLIP's tokenizer as a Hugging Face folder has it, written from what open_clip ships."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

VOCABULARY = 49408
_START, _END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(folder: Path, pad: str = _END) -> None:
    """vocab.json and merges.txt of CLIP's real tokenizer, from the list of merges that open_clip ships.

    Captions are filled up with `pad`. ModuleNotFoundError: open-clip-torch is not installed.
    """
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'open_clip'", name="open-clip-torch")
    with gzip.open(Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as stream:
        merges = stream.read().split("\n")[1 : VOCABULARY - 2 * 256 - 2 + 1]
    # GPT-2's bytes as printable characters: 188 stand for themselves, the others follow from 256 on
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(code) for code in [*printable, *range(256, 512 - len(printable))]]
    tokens = [
        *characters,
        *(f"{c}</w>" for c in characters),
        *("".join(m.split()) for m in merges),
        _START,
        _END,
    ]
    write_settings(folder / "vocab.json", {token: place for place, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": pad}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, **special}
    write_settings(folder / "tokenizer_config.json", settings)


def write_settings(path: Path, value: Any) -> None:
    """A settings file, as Hugging Face folders have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
