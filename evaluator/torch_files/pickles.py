"""What a pickle describes, without making it: names are not looked up, nothing is called, no object gets an attribute.

Source: the operations as Python's `pickletools` lists them. A value becomes what is plain in it (numbers, texts, lists,
tuples, dictionaries by name) and, for all else, a `Thing`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple


class Name(NamedTuple):
    """Of something in a module of Python's, or of an archive's own."""

    module: str
    name: str


@dataclass
class Thing:
    """An object: what is called with what to make it, and what it is then given for a state."""

    call: Any
    arguments: Any = ()
    state: Any = None


_GIVEN = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "STRING"}
_GIVEN |= {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"}
_GIVEN |= {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_NEW: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
_UNDER_MARK = {"TUPLE": tuple, "LIST": list, "FROZENSET": list}
_PAIRS = ("SETITEM", "SETITEMS", "DICT")
_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), ("GET", "BINGET", "LONG_BINGET")
_NOTHING = ("PROTO", "FRAME", "STOP")
_PLACES = 1 << 32  # values that a pickle may number


class Machine:
    """Runs pickles. A subclass says what a name is, what calling it makes, and what stands outside of the pickle."""

    def name(self, name: Name) -> Any:
        return name

    def call(self, made: Any, arguments: Any) -> Any:
        return Thing(made, arguments)

    def outside(self, identity: Any) -> Any:
        raise ValueError("a pickle that refers to something outside of it")

    def read(self, stream: BinaryIO) -> Any:
        """The value of the pickle that begins where a stream stands. ValueError, or an error of lookup: it is none."""
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[Any, Any] = {}

        def since_mark() -> list[Any]:
            at = marks.pop()
            values = stack[at:]
            del stack[at:]
            return values

        for operation, argument, _ in pickletools.genops(stream):
            name = operation.name
            if name in _GIVEN:
                stack.append(argument)
            elif name in _NEW:
                stack.append(_NEW[name]())
            elif name in _PUT:
                place = len(memo) if argument is None else argument
                if place >= _PLACES:
                    raise ValueError("a pickle that numbers more values than a file has")
                memo[place] = stack[-1]
            elif name in _GET:
                stack.append(memo[argument])
            elif name == "MARK":
                marks.append(len(stack))
            elif name in _UNDER_MARK:
                stack.append(_UNDER_MARK[name](since_mark()))
            elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
                count = int(name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            elif name in _PAIRS:
                pairs = [stack.pop(-2), stack.pop()] if name == "SETITEM" else since_mark()
                if name == "DICT":
                    stack.append({})
                put(stack[-1], zip(pairs[::2], pairs[1::2]))
            elif name in ("APPEND", "APPENDS", "ADDITEMS"):
                values = [stack.pop()] if name == "APPEND" else since_mark()
                if isinstance(stack[-1], list):
                    stack[-1].extend(values)
            elif name in ("GLOBAL", "INST"):
                found = self.name(Name(*str(argument).split(" ", 1)))
                stack.append(found if name == "GLOBAL" else self.call(found, tuple(since_mark())))
            elif name == "STACK_GLOBAL":
                own, module = stack.pop(), stack.pop()
                if not isinstance(own, str) or not isinstance(module, str):
                    raise ValueError("a name that is no text")
                stack.append(self.name(Name(module, own)))
            elif name in ("REDUCE", "NEWOBJ"):
                arguments = stack.pop()
                stack.append(self.call(stack.pop(), arguments))
            elif name == "NEWOBJ_EX":
                named, arguments = stack.pop(), stack.pop()
                stack.append(Thing(stack.pop(), (arguments, named)))
            elif name == "OBJ":
                made, *arguments = since_mark()
                stack.append(self.call(made, tuple(arguments)))
            elif name == "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], Thing):
                    stack[-1].state = state
            elif name == "BINPERSID":
                stack.append(self.outside(stack.pop()))
            elif name == "POP" and marks and marks[-1] == len(stack):
                marks.pop()
            elif name == "POP":
                stack.pop()
            elif name == "POP_MARK":
                since_mark()
            elif name == "DUP":
                stack.append(stack[-1])
            elif name not in _NOTHING:
                raise ValueError(f"a pickle with {name}")
        return stack.pop()


def put(table: Any, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Put entries into a dictionary, by texts: a whole number's is its digits, another key's its kind and a number.

    ValueError: two entries have one name.
    """
    if isinstance(table, dict):
        for key, value in pairs:
            whole = isinstance(key, int) and not isinstance(key, bool) and abs(key) < _PLACES
            other = str(key) if whole else f"{type(key).__name__} {len(table)}"
            text = key if isinstance(key, str) else other
            if text in table:
                raise ValueError("a table with two entries of one name")
            table[text] = value
