"""Writes the table of values in helm/scriptorium/README.md from the comments in values.yaml.

    python -m scripts.chart_readme

A comment that begins with `# --` describes the key in the next line and all that is below it; one
that begins with `##` begins a new table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent / "helm" / "scriptorium"
BEGIN, END = "<!-- values: made by scripts/chart_readme.py -->", "<!-- end of values -->"
LONGEST_DEFAULT = 60  # characters; longer ones are in values.yaml for who wants them


@dataclass(frozen=True, slots=True)
class Value:
    """One line of the table."""

    section: str
    path: str
    default: Any
    meaning: str


def described_values(text: str) -> tuple[Value, ...]:
    """Every value with its comment. Raises ValueError for one without."""
    default = yaml.safe_load(text)
    section, comment, lists_until = "", "", -1
    parents: list[tuple[int, str]] = []
    found: dict[str, Value] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words, indent = line.strip(), len(line) - len(line.lstrip())
        if words.startswith("## "):
            section = words.removeprefix("## ")
        elif words.startswith("# -- "):
            comment = words.removeprefix("# -- ")
        if not words or words.startswith(("#", "- ")) or indent > lists_until >= 0:
            continue
        lists_until = -1
        key = words.partition(":")[0]
        parents = [one for one in parents if one[0] < indent] + [(indent, key)]
        path = ".".join(name for _, name in parents)
        if comment:
            found[path] = Value(section, path, _at(default, path), comment)
            comment, lists_until = "", indent  # what is below it is a part of it
        elif not words.endswith(":"):
            raise ValueError(f"values.yaml line {number}: {path} has no comment `# --`.")
    return tuple(found.values())


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def table(values: tuple[Value, ...]) -> str:
    """The values as Markdown, a table for each section."""
    return "\n".join(_lines(values)) + "\n"


def _lines(values: tuple[Value, ...]) -> Iterator[str]:
    for section in dict.fromkeys(value.section for value in values):
        yield from (f"### {section}", "", "| key | default | meaning |", "|---|---|---|")
        for value in values:
            if value.section == section:
                meaning = value.meaning.replace("|", "\\|")
                yield f"| `{value.path}` | {_written(value.default)} | {meaning} |"
        yield ""


def _written(default: Any) -> str:
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see values.yaml"


def readme(old: str, values: str) -> str:
    """The page with a new table in the place of the old one."""
    head, _, rest = old.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table(described_values(values))}{END}{tail}"


def main() -> None:
    """Write the page."""
    page = CHART / "README.md"
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    page.write_text(readme(page.read_text(encoding="utf-8"), values), encoding="utf-8")


if __name__ == "__main__":
    main()
