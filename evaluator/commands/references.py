"""`jdart-eval references`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evaluator.commands.options import network_options, weights_option


@click.group("references")
def command() -> None:
    """References that need no pictures."""


@command.command("pack")
@click.argument("references", type=click.Path(path_type=Path), metavar="DIR")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE.npz", required=True)
@weights_option(required=True)
@network_options
def pack(references: Path, out: Path, weights: Path, **network: Any) -> None:
    """Keep of the references in DIR only what the metrics need, in FILE.npz.

    `--references FILE.npz` then gives the same figures as the folder, starts faster, and holds no picture. It works
    with the weights and the profile it was made with.
    """
    from contest.disk.writable import require_file
    from contest.errors import UserError, needs
    from evaluator.commands.options import progress_bars, read_options
    from evaluator.extractors import EXTRACTORS
    from evaluator.inputs.references import FolderReferences
    from evaluator.inputs.refpack import write_pack
    from evaluator.scoring.scorer import Scorer

    if out.suffix != ".npz":
        raise UserError(f"{out}: the pack's name must end in .npz")
    require_file(out)
    options = read_options(**network)
    if options.precision != "float32":
        raise UserError("a pack is made in float32; leave --precision out")
    with needs("eval"), progress_bars() as progress:
        folder = FolderReferences(references)
        viewer = Scorer(folder, weights, options, progress).viewer_of(EXTRACTORS)
        header = write_pack(out, folder, viewer, options.profile, progress)
    count = sum(map(len, header.pictures.values()))
    click.echo(f"{out}: {len(header.prompts)} styles, {count} references, {out.stat().st_size / 1e6:.1f} MB")
