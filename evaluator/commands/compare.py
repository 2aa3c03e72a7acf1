"""`jdart-eval compare`."""

from __future__ import annotations

from pathlib import Path

import click

from contest.screen import screen


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON on standard output.")
@click.option("--csv", "as_csv", is_flag=True, help="One row a figure and style, as CSV on standard output.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw it, too.")
@click.option("--force", is_flag=True, help="Compare what the two share, even if they were scored differently.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the resamples.")
def command(a: Path, b: Path, as_json: bool, as_csv: bool, plot: Path | None, force: bool, seed: int) -> None:
    """Say whether B is better than A, figure by figure and style by style, or whether it is noise.

    A and B are each a report.json, a report folder or a run folder, scored alike. Intervals come from 1,000
    paired resamples of the pictures.
    """
    from contest.errors import UserError
    from evaluator.analysis.cells import read_cells
    from evaluator.analysis.compare import compare
    from evaluator.analysis.export import comparison_to_frame, comparison_to_json
    from evaluator.reporting.frame import frame_to_plain_csv

    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; give one of them")
    if plot is not None:
        from evaluator.analysis.plots import require_plot

        require_plot(plot)
    found = compare(read_cells(a), read_cells(b), seed=seed, force=force)
    if plot is not None:
        from evaluator.analysis.plots import draw_comparison, save_figure

        save_figure(draw_comparison(found), plot)
    if as_json:
        click.echo(comparison_to_json(found).encode("utf-8", "backslashreplace"), nl=False)
        return
    if as_csv:
        click.echo(frame_to_plain_csv(comparison_to_frame(found)), nl=False)
        return

    from evaluator.analysis.tables import show_comparison

    show_comparison(found, screen())
    if plot is not None:
        click.echo(f"plot: {plot}")
