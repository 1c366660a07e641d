"""`shadow report`: what the shadows of production have shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from orchestrator.cli.context import AsJson, opened_cluster, print_json
from orchestrator.evaluation.scoring import disagreements
from orchestrator.evaluation.shadows import shadow_report, shadows
from orchestrator.usage.prices import prices_of

app = typer.Typer(help="A new model beside production (SCRIPTORIUM_SHADOW).", no_args_is_help=True)
MOST_PERCENT = 20.0
SHOWN = 20


@app.callback()
def shadow() -> None:
    """See what another model makes of production's recordings, at no tenant's cost."""


@app.command()
def report(
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of newest shadows to look at.")
    ] = 1000,
    most: Annotated[
        float, typer.Option(min=0, help="Flag a recording if more per cent of its words differ.")
    ] = MOST_PERCENT,
    rows: Annotated[int, typer.Option(min=1, help="Recordings to show.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """Show how far the shadows differ from production: the worst recordings and lines first."""
    cluster = opened_cluster()
    prices = prices_of(cluster.settings)
    found = shadow_report(shadows(cluster, limit), most, prices, disagreements)
    if as_json:
        print_json(found)
    else:
        print_report(found, rows)


def print_report(found: Mapping[str, Any], rows: int) -> None:
    """Print the report: counts, both sides, and of each recording its worst lines."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    typer.echo(
        f"{found['done']} shadows are compared, {found['flagged']} of them flagged (more than "
        f"{found['most_percent']:g} % of the words differ); {found['going_on']} go on, "
        f"{found['waiting']} wait, {found['ended_badly']} ended badly."
    )
    if not found["jobs"]:
        return
    total = found["all"]
    table = Table("", *(Column(name, justify="right") for name in ("production", "shadow")),
                  box=None)  # fmt: skip
    sides = total["production"], total["shadow_side"]
    table.add_row("models", *(", ".join(side["models"]) for side in sides))
    table.add_row("device s", *(f"{side['device_seconds']:.1f}" for side in sides))
    table.add_row("audio s a device s", *(_number(side["speed"]) for side in sides))
    if sides[0]["cost"] is not None:
        table.add_row(
            f"cost {found['currency']}".strip(), *(_number(side["cost"], 4) for side in sides)
        )
    console.print(table)
    typer.echo(f"{_number(total['disagreement'])} % of production's words differ.\n")
    for row in found["jobs"][:rows]:
        flag = "  FLAGGED" if row["flagged"] else ""
        console.print(
            f"{row['disagreement']:6.2f} %  {row['errors']} of {row['words']} words  "
            f"{row['tenant']}  {row['job']}  {row['name']}{flag}"
        )
        for span in row["spans"] if row["flagged"] else row["spans"][:1]:
            console.print(f"    {span['start']:8.2f}–{span['end']:.2f}  {span['first']}")
            console.print(f"    {'shadow':>8}          {span['second'] or '(nothing)'}")


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
