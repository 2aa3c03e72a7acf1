"""A case's result as tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(name: str, result: dict[str, Any]) -> None:
    """Costs, and for a comparison also the work, the seconds of the parts and both programs' scores."""
    console = Console()
    title = "{styles} styles x ({references} references + {outputs} outputs) at {size} px".format(**result["shape"])
    title = (
        f"{name}: {title}, {result['cores']} cores of {result['processor']}, load before {result['load_before']:.1f}"
    )
    if "floor" in result:
        console.print(_comparison(title, result), _parts(result["programs"]), _scores(result["scores"]))
    else:
        console.print(_runs(title, result["programs"]))
    for key, limit in result["targets"].items():
        verdict = "[red]missed[/red]" if key in result["missed"] else "[green]met[/green]"
        console.print(f"target for {key} ({limit:g}): {result[key]:.3g}, {verdict}", highlight=False)


def _comparison(title: str, result: dict[str, Any]) -> Table:
    table = _table(title, "seconds", "CPU s", "peak GB", "TFLOP", "GFLOP/s")
    for program, cost in result["programs"].items():
        table.add_row(program, *_cost(cost), f"{cost['tflop']:.3g}", f"{cost['gflop_per_second']:.0f}")
    table.add_section()
    theirs, ours = result["programs"].values()
    ratios = (theirs[key] / ours[key] for key in ("seconds", "cpu_seconds", "peak_gb", "tflop"))
    table.add_row("ratio", *(f"{ratio:.1f}" for ratio in ratios), style="bold")
    floor = result["floor"]
    for library, rate in floor["matmul_gflop_per_second"].items():
        seconds = 1000 * floor["tflop"] / rate
        table.add_row(
            f"least work at {library}'s rate", f"{seconds:.1f}", "", "", f"{floor['tflop']:.3g}", f"{rate:.0f}"
        )
    return table


def _runs(title: str, programs: dict[str, Any]) -> Table:
    table = _table(title, "seconds", "CPU s", "peak GB", "share of cold")
    for run, cost in programs.items():
        share = cost["seconds"] / programs["cold"]["seconds"]
        table.add_row(run, *_cost(cost), f"{share:.1%}")
    return table


def _cost(cost: dict[str, float]) -> tuple[str, str, str]:
    return f"{cost['seconds']:.1f}", f"{cost['cpu_seconds']:.1f}", f"{cost['peak_gb']:.2f}"


def _parts(programs: dict[str, Any]) -> Table:
    table = _table("seconds of the parts, as each program counts them", "seconds")
    for program, cost in programs.items():
        for part, seconds in cost["parts"].items():
            table.add_row(f"{program}: {part}", f"{seconds:.1f}")
    return table


def _scores(scores: dict[str, Any]) -> Table:
    table = _table(
        "the figures, equal as far as the profile is that of the installed libraries", "checker", "jdart-eval"
    )
    for key, values in scores.items():
        table.add_row(key, *(f"{value:.6f}" for value in values))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table("", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
