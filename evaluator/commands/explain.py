"""`jdart-eval explain`."""

from __future__ import annotations

from pathlib import Path

import click

from contest.screen import screen


@click.command("explain")
@click.argument("report", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON on standard output.")
@click.option("--csv", "as_csv", is_flag=True, help="One row a picture, as CSV on standard output.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw it, too.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many gains to show, of styles and of pictures.",
)
def command(report: Path, as_json: bool, as_csv: bool, plot: Path | None, top: int) -> None:
    """Say where the Final of REPORT comes from: a report.json, a report folder or a run folder.

    What each style and picture gives, how far each metric is from what no picture can pass, which pictures would gain
    most by being like their style's median, and what CLIP-R saw where it missed.
    """
    from contest.errors import UserError
    from evaluator.analysis.cells import read_cells
    from evaluator.analysis.explain import explain
    from evaluator.analysis.export import explanation_to_frame, explanation_to_json
    from evaluator.reporting.frame import frame_to_plain_csv

    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; give one of them")
    if plot is not None:
        from evaluator.analysis.plots import require_plot

        require_plot(plot)
    found = explain(*read_cells(report))
    if plot is not None:
        from evaluator.analysis.plots import draw_explanation, save_figure

        save_figure(draw_explanation(found, top), plot)
    if as_json:
        click.echo(explanation_to_json(found, top).encode("utf-8", "backslashreplace"), nl=False)
        return
    if as_csv:
        click.echo(frame_to_plain_csv(explanation_to_frame(found)), nl=False)
        return

    from evaluator.analysis.tables import show_explanation

    show_explanation(found, top, screen())
    if plot is not None:
        click.echo(f"plot: {plot}")
