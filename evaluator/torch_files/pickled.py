"""A .ckpt's pickle, read by one that calls nothing but what puts tensors together.

Training frameworks leave objects of their own beside the weights: those become empty ones, and their classes are never
looked up. Whatever else a pickle asks for is refused by name.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from contest.errors import UserError, needs

# Packages whose objects are found in checkpoints.
FRAMEWORKS = (
    *(
        "torch",
        "numpy",
        "pytorch_lightning",
        "lightning",
        "lightning_fabric",
        "omegaconf",
        "ldm",
        "argparse",
        "pathlib",
    ),
    *("transformers", "diffusers", "accelerate", "collections", "copyreg", "copy_reg", "datetime", "_codecs"),
)
BUILTINS = ("object", "set", "frozenset", "dict", "list", "tuple", "int", "float", "complex", "str", "bytes", "bool")
REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")


class Table(dict[Any, Any]):
    """An OrderedDict without the attributes that a pickle may give one."""

    def __setstate__(self, _: Any) -> None: ...


class Empty:
    """Stands for an object that is not needed: it takes what a pickle puts into it, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Empty:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, *_: Any) -> None: ...

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...


def pickler(path: Path) -> Any:
    """What torch.load takes for `pickle`, for one file. Its UserError names what the file asks to call."""
    with needs("train"):
        import torch

    known: dict[tuple[str, str], Any] = {("torch._utils", name): getattr(torch._utils, name) for name in REBUILDERS}
    known["collections", "OrderedDict"] = Table
    known["torch", "Size"] = torch.Size

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found = known.get((module, name))
            if found is not None:
                return found
            if module.partition(".")[0] in FRAMEWORKS or (module in ("builtins", "__builtin__") and name in BUILTINS):
                return Empty
            raise UserError(
                f"{path}: asks to call {f'{module}.{name}'!r}, which is no part of a model; nothing was run: "
                "do not trust this file, take the model as .safetensors"
            )

    def load(stream: Any, **how: Any) -> Any:
        return Unpickler(stream, **how).load()

    return SimpleNamespace(Unpickler=Unpickler, load=load, __name__="pickle that calls nothing")
