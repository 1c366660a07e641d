"""Read lists of sources: CSV, JSON lines, or JSON. A bad line is named and stops no other. Pure.

A row of CSV is one line of the file, so that a quote that is not closed spoils its own line only.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from gpu_worker.errors import InvalidOption, ScriptoriumError
from orchestrator.collections.records import Line, UnreadableLine
from orchestrator.jobs.ready_by import check_ready_by
from orchestrator.jobs.requests import JobRequest
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options

METADATA = "metadata."  # how a column of metadata begins
_PLACES = ("source", "upload_id", "name")
_DIRECT = (*_PLACES, "ready_by")  # fields of a job that are no options
_COLUMNS = (*_DIRECT, *JobOptions.model_fields)
LONGEST_SHOWN = 200  # characters of a wrong line


def read_list(data: bytes, name: str, common: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a list, by its name's ending: `.csv`, else JSON lines.

    Raises InvalidOption for a CSV whose columns are not known.
    """
    texts = list(_texts(data))
    if name.lower().endswith(".csv"):
        return list(_csv_lines(texts, common))
    return [_json_line(number, text, common) for number, text in texts]


def checked_lines(items: Sequence[Any], common: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a request in JSON, numbered from 1."""
    return [checked(number, item, common) for number, item in enumerate(items, 1)]


def checked(number: int, values: Any, common: Mapping[str, Any]) -> Line:
    """Return a line, or the error of one that is no submission."""
    if isinstance(values, str):
        values = {"source": values}
    shown = str(values)[:LONGEST_SHOWN]
    if isinstance(values, dict):
        named = next((it for key in _PLACES[::-1] if (it := values.get(key))), "")
        shown = str(named)[:LONGEST_SHOWN]
    try:
        if not isinstance(values, dict):
            raise UnreadableLine("The line is neither an address nor a JSON object.")
        own = {} if (given := values.get("options")) is None else given
        if not isinstance(own, dict):
            raise UnreadableLine("The line's options are no JSON object.")
        if "webhook_url" in values:
            raise UnreadableLine("webhook_url is of the collection, not of a line.")
        asked = JobRequest.model_validate({**values, "options": {}})
        check_ready_by(asked.ready_by, time.time())
        _check_options(json.dumps({**common, **own}, sort_keys=True))
    except (ValidationError, ScriptoriumError) as error:
        return Line(number, name=shown, error=_of(error).to_json())
    return Line(
        number,
        source=asked.source,
        upload_id=asked.upload_id,
        name=asked.name,
        options=own,
        metadata=dict(asked.metadata),
        ready_by=asked.ready_by,
    )


@lru_cache(maxsize=256)  # most lines have the same options
def _check_options(text: str) -> None:
    job_options(json.loads(text))


def _of(error: ValidationError | ScriptoriumError) -> ScriptoriumError:
    if isinstance(error, ScriptoriumError):
        return error
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return UnreadableLine(f"{place}: {message}." if place else f"{message}.")


def _texts(data: bytes) -> Iterator[tuple[int, str | None]]:
    """Yield number and text of each line that is not blank; None for bytes that are no UTF-8."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            try:
                yield number, line.decode()
            except UnicodeDecodeError:
                yield number, None


def _json_line(number: int, text: str | None, common: Mapping[str, Any]) -> Line:
    if text is None:
        return _unreadable(number, "", "The line is not text in UTF-8.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return _unreadable(number, text, "The line is not JSON.")
    return checked(number, values, common)


def _csv_lines(
    texts: Sequence[tuple[int, str | None]], common: Mapping[str, Any]
) -> Iterator[Line]:
    if not texts:
        return
    first = _cells(texts[0][1]) or []
    is_headed = any(cell.strip() in _PLACES[:2] for cell in first)
    columns = [cell.strip() for cell in first] if is_headed else ["source"]
    wrong = [it for it in columns if it not in _COLUMNS and not it.startswith(METADATA)]
    if wrong or len(set(columns)) < len(columns):
        raise InvalidOption(
            f"The list has a column {wrong[0]!r}." if wrong else "The list has a column twice.",
            hint="Columns are source, upload_id, name, options of a job, and metadata.…",
        )
    for number, text in texts[is_headed:]:
        cells = _cells(text)
        if cells is None:
            yield _unreadable(number, text or "", "The line is no row of CSV in UTF-8.")
        elif len(cells) > len(columns):
            yield _unreadable(number, cells[0], f"The line has more than {len(columns)} cells.")
        else:
            yield checked(number, _values(columns, cells), common)


def _values(columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"options": {}, "metadata": {}}
    for column, cell in zip(columns, cells, strict=False):
        if not cell.strip():  # the common value
            continue
        if column in _DIRECT:
            values[column] = cell.strip()
        elif column.startswith(METADATA):
            values["metadata"][column.removeprefix(METADATA)] = cell
        else:
            values["options"][column] = _value(cell.strip())
    return values


def _value(cell: str) -> Any:
    """Return an option's value: pydantic reads numbers and booleans from text."""
    if cell[:1] in "[{":
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _cells(text: str | None) -> list[str] | None:
    """Return the cells of a row; None if it is none."""
    if text is None:
        return None
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None


def _unreadable(number: int, text: str, message: str) -> Line:
    return Line(number, name=text[:LONGEST_SHOWN], error=UnreadableLine(message).to_json())
