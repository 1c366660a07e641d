"""The option --label of the commands that submit or list jobs."""

from __future__ import annotations

from typing import Annotated

import typer

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label of the job; repeatable."),
]
