"""Layers of a network by their names, as checkpoints spell them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def at(network: Any, name: str) -> Any:
    """The module at `name`, as in down_blocks.0.resnets.1."""
    for word in name.split("."):
        network = network[int(word)] if word.isdigit() else getattr(network, word)
    return network


def put(network: Any, name: str, module: Any) -> None:
    """Put `module` in the place of the one at `name`."""
    head, _, leaf = name.rpartition(".")
    parent = at(network, head) if head else network
    if leaf.isdigit():
        parent.layers[list(parent.layers)[int(leaf)]] = module
    else:
        setattr(parent, leaf, module)


@contextmanager
def exchanged(network: Any, modules: Mapping[str, Any]) -> Iterator[None]:
    """Put `modules` (name -> module) in the places of those that are there, while the block lasts."""
    plain = {name: at(network, name) for name in modules}
    try:
        for name, module in modules.items():
            put(network, name, module)
        yield
    finally:
        for name, module in plain.items():
            put(network, name, module)
