"""Who reads a LoRA file, and what each will lose: one list of rules about other programs.

Seen in ComfyUI 0.3.64, kohya's sd-scripts 0.10.1, diffusers 0.34 to 0.42, JDiffusion f10e14b and PEFT 0.15 to 0.21.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contest.screen import screen
from jdart.lora.pairs import LoraPair

CLIENTS = ("ComfyUI", "sd-scripts", "diffusers", "JDiffusion")
PEFT_CLIENTS = ("PEFT, transformers 4", "PEFT, transformers 5")

UNREAD, STRENGTH, OTHERWISE, REFUSED, OLDER = "unread", "strength", "otherwise", "refused", "older versions"


class Layer(NamedTuple):
    """One adapted layer of a file, and the major version of transformers that a PEFT folder was written beside."""

    network: str
    name: str
    pair: LoraPair
    transformers: int
    mixed: bool  # other layers of its network have other ranks


@dataclass(frozen=True)
class Rule:
    """What a client does to some layers of a file of some formats.

    UNREAD; read at another STRENGTH, or OTHERWISE than they are meant; the file REFUSED; or something that OLDER
    versions do.
    """

    code: str
    client: str
    formats: tuple[str, ...]
    effect: str
    applies: Callable[[Layer], bool]
    message: str


@dataclass(frozen=True)
class Loss:
    """What one rule says of a file: stable code, effect, words, and the names of the layers that it concerns."""

    code: str
    effect: str
    message: str
    layers: tuple[str, ...]
    strengths: tuple[float, ...] = ()  # at which the layers act, relative to what they should; of STRENGTH alone


@dataclass(frozen=True)
class Reader:
    """How one client reads a file: `reads` of its `layers`, not always at their strength, and what is lost."""

    client: str
    reads: int
    layers: int
    losses: tuple[Loss, ...]


def _every(layer: Layer) -> bool:
    return True


def _text(layer: Layer) -> bool:
    return layer.network == "text_encoder"


def _attention(layer: Layer) -> bool:
    return layer.network == "unet" and (".attn1." in layer.name or ".attn2." in layer.name)


def _scaled(layer: Layer) -> bool:
    return layer.pair.scale != 1


def _dora(layer: Layer) -> bool:
    return layer.pair.magnitude is not None


def _ends(layer: Layer) -> bool:
    return layer.name in ("conv_in", "conv_out")


def _outside_blocks(layer: Layer) -> bool:
    return _ends(layer) or layer.name.startswith("time_embedding.")


def _to_out(layer: Layer) -> bool:
    return layer.name.endswith(".to_out.0")


def _per_output(layer: Layer) -> bool:
    return _dora(layer) and len(layer.pair.magnitude) == len(layer.pair.b)  # type: ignore[arg-type]


MERGE = "merge it into its base"
RULES = (
    Rule("C101", "ComfyUI", ("peft",), UNREAD, _every, "knows none of these names: convert --to kohya"),
    Rule(
        "C102",
        "ComfyUI",
        ("diffusers", "bin"),
        UNREAD,
        _attention,
        "knows no UNet attention by these names: convert --to kohya",
    ),
    Rule(
        "C103",
        "ComfyUI",
        ("diffusers",),
        STRENGTH,
        lambda layer: _scaled(layer) and not _attention(layer),
        "reads no alpha from metadata, and takes it as the rank: convert --to kohya",
    ),
    Rule("C104", "ComfyUI", ("kohya",), OTHERWISE, _per_output, f"scales a DoRA by the base's own norms: {MERGE}"),
    Rule(
        "C105",
        "ComfyUI",
        ("diffusers",),
        OTHERWISE,
        lambda layer: _dora(layer) and not _attention(layer),
        f"leaves out a DoRA's magnitude by this name: {MERGE}",
    ),
    Rule(
        "K101",
        "sd-scripts",
        ("diffusers", "bin", "peft"),
        UNREAD,
        _every,
        "knows none of these names: convert --to kohya",
    ),
    Rule("K102", "sd-scripts", ("kohya",), UNREAD, _outside_blocks, "adapts nothing outside the UNet's blocks"),
    Rule("K103", "sd-scripts", ("kohya",), OTHERWISE, _dora, f"leaves out a DoRA's magnitude: {MERGE}"),
    Rule("D101", "diffusers", ("peft",), REFUSED, _every, "is loaded by PEFT, not by load_lora_weights"),
    Rule("D102", "diffusers", ("diffusers",), OLDER, _scaled, "before 0.34 takes alpha as the rank"),
    Rule("D103", "diffusers", ("kohya",), OLDER, _outside_blocks, "before 0.39 reads nothing outside the blocks"),
    Rule("D104", "diffusers", ("bin",), OLDER, lambda layer: layer.mixed, "before 0.40 wants one rank a network"),
    Rule("D105", "diffusers", ("kohya",), OTHERWISE, _dora, "leaves out a DoRA's magnitude: convert --to diffusers"),
    Rule("J101", "JDiffusion", ("diffusers", "kohya", "peft"), REFUSED, _every, "reads .bin alone: convert --to bin"),
    Rule(
        "J102",
        "JDiffusion",
        ("bin",),
        REFUSED,
        lambda layer: _text(layer) or _ends(layer),
        "refuses a file with these layers: train without them",
    ),
    Rule("J103", "JDiffusion", ("bin",), UNREAD, _to_out, "never adapts to_out.0"),
    Rule(
        "P104",
        PEFT_CLIENTS[0],
        ("peft",),
        UNREAD,
        lambda layer: _text(layer) and layer.transformers >= 5,
        "names text encoders otherwise: convert beside transformers 4",
    ),
    Rule(
        "P105",
        PEFT_CLIENTS[1],
        ("peft",),
        UNREAD,
        lambda layer: _text(layer) and layer.transformers < 5,
        "names text encoders otherwise: convert beside transformers 5",
    ),
)


def readers(networks: Mapping[str, Mapping[str, LoraPair]], format: str, transformers: int = 0) -> tuple[Reader, ...]:
    """How each client reads a file of `format` with these pairs; `transformers` is for "peft" alone."""
    layers = []
    for network, own in networks.items():
        mixed = len({pair.rank for pair in own.values()}) > 1
        layers += [Layer(network, name, pair, transformers, mixed) for name, pair in own.items()]
    clients = (*CLIENTS, *PEFT_CLIENTS) if format == "peft" else CLIENTS
    return tuple(_reader(client, format, layers) for client in clients)


def _reader(client: str, format: str, layers: Sequence[Layer]) -> Reader:
    losses = []
    for rule in RULES:
        concerned = [layer for layer in layers if rule.applies(layer)] if rule.client == client else []
        if concerned and format in rule.formats:
            names = tuple(f"{layer.network}.{layer.name}" for layer in concerned)
            scales = {layer.pair.scale for layer in concerned if rule.effect == STRENGTH}
            strengths = tuple(sorted(1 / scale for scale in scales if scale != 0))
            losses.append(Loss(rule.code, rule.effect, rule.message, names, strengths))
    unread = {name for loss in losses if loss.effect == UNREAD for name in loss.layers}
    refused = any(loss.effect == REFUSED for loss in losses)
    return Reader(client, 0 if refused else len(layers) - len(unread), len(layers), tuple(losses))


def show_readers(found: Sequence[Reader], title: str) -> None:
    """Print who reads the file as a table."""
    from rich.table import Table

    table = Table("read by", "layers", "what is lost", title=title)
    for reader in found:
        losses = "\n".join(_words(loss, reader.layers) for loss in reader.losses)
        table.add_row(reader.client, f"{reader.reads} of {reader.layers}", losses if losses else "nothing")
    screen().print(table)


def _words(loss: Loss, layers: int) -> str:
    """Code and message; at which strength the layers act; of which kinds they are, where not all are meant."""
    words = f"{loss.code} {loss.message}"
    if loss.strengths:
        ends = dict.fromkeys(f"{strength:.3g}" for strength in (loss.strengths[0], loss.strengths[-1]))
        words += f"; acts at {' to '.join(ends)} of its strength"
    if len(loss.layers) < layers:
        kinds = Counter((name.partition(".")[0], _kind(name)) for name in loss.layers)
        words += ": " + ", ".join(f"{count} {network} {kind}" for (network, kind), count in kinds.items())
    return words


def _kind(layer: str) -> str:
    """The end of a layer's name that says what it is: "to_q", "to_out.0", "linear_1"."""
    *_, parent, leaf = layer.split(".")
    return f"{parent}.{leaf}" if leaf.isdigit() else leaf
