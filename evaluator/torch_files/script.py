"""The tensors of a TorchScript archive. Its programs, some of which torch would run while loading, are only text here.

Source: PyTorch, torch/csrc/jit/docs/serialization.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

from contest.disk.tensor_files import instead
from contest.errors import UserError
from evaluator.torch_files.pickles import Name, Thing
from evaluator.torch_files.records import Archive, is_archive
from evaluator.torch_files.stored import Reader, StoredTensor, one_line

_LISTS = re.compile(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)(\(Module\))?", re.MULTILINE)
_LONGEST = 1000  # letters of a tensor's name

State = dict[str, Optional[frozenset[str]]]  # module -> parameters and buffers; None where its program does not say


def read_script(path: Path) -> dict[str, StoredTensor]:
    """Name -> tensor, as `torch.jit.load(path).state_dict()` has them, without compiling or running what is in it.

    UserError: missing, not TorchScript, damaged, or asks for far more memory than it has bytes.
    """
    with one_line(path, "not a TorchScript archive"):
        if not is_archive(path):
            raise UserError(f"{path}: not a TorchScript archive; {instead(path)}")
        archive = Archive(path)
        if "constants.pkl" not in archive:
            other = "but what torch.save writes; take another file" if "data.pkl" in archive else "fetch it again"
            raise UserError(f"{path}: not a TorchScript archive, {other}")
        reader, stream = _ScriptReader(path), archive.pickle()
        root = reader.read(stream)
        reader.finish(archive, "data/")
        return _state(path, archive, root, stream.tell())


class _ScriptReader(Reader):
    """Knows the classes of the archive's own programs, too."""

    def name(self, name: Name) -> Any:
        return name if name.module.partition(".")[0] == "__torch__" else super().name(name)


def _state(path: Path, archive: Archive, root: Any, most: int) -> dict[str, StoredTensor]:
    """Name -> tensor of a module and the modules in it, of which a pickle of `most` bytes has no more."""
    found: dict[str, StoredTensor] = {}
    programs: dict[str, Optional[State]] = {}
    ahead = [("", root)]
    for seen, (prefix, module) in enumerate(ahead):
        if not _is_own(module) or seen + len(found) > most or len(prefix) > _LONGEST:
            raise UserError(f"{path}: not a TorchScript archive of modules and tensors; take another file")
        of = module.call.module
        if of not in programs:
            programs[of] = None if "/" in of else _modules(archive, f"code/{of.replace('.', '/')}.py")
        modules = programs[of]
        if modules is not None and module.call.name not in modules:
            continue  # an object, but no module
        if not isinstance(module.state, dict):
            raise UserError(f"{path}: not a TorchScript archive of plain tensors: a program puts them in; take another")
        listed = None if modules is None else modules[module.call.name]
        for name, value in module.state.items():
            if len(name) > _LONGEST:
                raise UserError(f"{path}: a tensor in it has a name of {len(name)} letters; take another file")
            if _is_own(value):
                ahead.append((f"{prefix}{name}.", value))
            elif isinstance(value, StoredTensor) and (listed is None or name in listed):
                found[f"{prefix}{name}"] = value
    return found


def _is_own(value: Any) -> bool:
    return isinstance(value, Thing) and isinstance(value.call, Name) and value.call.module.startswith("__torch__")


def _modules(archive: Archive, record: str) -> Optional[State]:
    """The modules of a program; None where it is not there."""
    if record not in archive:
        return None
    program = archive.read(record).decode()
    heads = list(_CLASS.finditer(program))
    found: State = {}
    for head, end in zip(heads, [*(after.start() for after in heads[1:]), len(program)]):
        if head[2]:
            lists = _LISTS.findall(program, head.end(), end)
            names = frozenset(re.findall(r'"([^"]*)"', "".join(lists)))
            found[head[1]] = names if len(lists) == 2 else None
    return found
