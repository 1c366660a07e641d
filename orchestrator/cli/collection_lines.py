"""A collection and its lines, as the command line prints them."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.complaints import printable
from orchestrator.cli.context import checked_name


def head(shown: dict[str, Any]) -> str:
    """Return where a collection stands, in two lines."""
    left = "" if (eta := shown["eta_seconds"]) is None else f", {eta:.0f} s left"
    return f"{shown['id']}  {shown['status']}  {shown['progress']:.0%}{left}\n{counts(shown)}"


def counts(shown: dict[str, Any]) -> str:
    """Return the counts that are not 0."""
    found = {name: number for name, number in shown["counts"].items() if number}
    total = found.pop("total")
    return f"{total} lines: " + ", ".join(f"{number} {name}" for name, number in found.items())


def sentence(line: dict[str, Any]) -> str:
    """Return a line with its job, or why it is none."""
    why = f": {error['code']}: {error['message']}" if (error := line["error"]) else ""
    told = f"{line['status']}  {line['job'] or '-'}  {repr(line['name'])[1:-1]}{why}"
    return f"line {line['line']}  {told}"


def collection_name(given: str | None, default: str) -> str:
    """Return the collection's name. Raises InvalidOption for one that the API would refuse.

    `default`: a file or an address, whose name may have what no other text may have.
    """
    if given is None:
        return printable(default)[:255]
    return checked_name(given)
