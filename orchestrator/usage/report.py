"""Rows of what was used, by day, tenant, stage and labels, with what they cost. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Any

from gpu_worker.errors import InvalidOption
from orchestrator.usage.accounts import Account, Accounts
from orchestrator.usage.prices import Prices
from tasks.runs.stages import Stage
from tasks.usage.figures import SECONDS_DIGITS, Figures
from tasks.usage.record import NO_DEVICE, Place

_STAGES = [stage.value for stage in Stage]


class Dimension(StrEnum):
    """What the rows of a report are by."""

    DAY = "day"
    TENANT = "tenant"
    STAGE = "stage"


LABEL = "label:"  # before a label's key: rows are by its values
BY_PATTERN = r"^(day|tenant|stage|label:[A-Za-z0-9][A-Za-z0-9._/-]{0,62})$"
BY_HELP = "day, tenant, stage or label:KEY; repeatable."


@dataclass(frozen=True, slots=True)
class Row:
    """What was used on a day, by a tenant, in a stage, or all together."""

    keys: Mapping[str, str]  # by dimension
    runs: int | None  # None by stage: a run has several
    figures: Figures  # audio is that of `transcribe` alone, if the rows are not by stage
    device_seconds: Mapping[str, float]  # by the card's name
    cost: float | None  # None without prices


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of some days, in order, and their sum."""

    first: str
    last: str
    by: tuple[str, ...]  # names of Dimension, or `label:` and a key
    currency: str
    rows: tuple[Row, ...]
    total: Row


def period(first: str | None, last: str | None, now: float) -> tuple[str, str]:
    """Return the first and the last day; by default this month until today, in UTC.

    Raises InvalidOption.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    end = _day("to", last) if last else today
    begin = _day("from", first) if first else end.replace(day=1)
    if begin > end:
        raise InvalidOption(f"{begin} is behind {end}.", hint="`from` is the first day.")
    return begin.isoformat(), end.isoformat()


def dimension(name: str) -> str:
    """Return what rows are by, from a text. Raises InvalidOption."""
    if not re.fullmatch(BY_PATTERN, name):
        raise InvalidOption(f"Rows cannot be by {name[:80]!r}.", hint=f"Give {BY_HELP}")
    return name


def make_report(
    accounts: Accounts,
    days: tuple[str, str],
    by: Sequence[str],
    prices: Prices | None,
) -> Report:
    """Make the report of accounts."""
    dimensions = tuple(dict.fromkeys(map(str, by))) or (Dimension.DAY.value,)
    by_label = any(it.startswith(LABEL) for it in dimensions)
    groups: dict[tuple[str, ...], Account] = {}
    total = Account()
    for (day, tenant), account in accounts.items():
        total.add(account.runs, account.figures)
        parts = account.by_labels() if by_label else {(): account}
        for labels, part in parts.items():
            names: dict[str, str] = {Dimension.DAY: day, Dimension.TENANT: tenant}
            names |= {f"{LABEL}{key}": value for key, value in labels}
            for stage, figures in _parts(part, by_stage=Dimension.STAGE in dimensions):
                named = names | {Dimension.STAGE: stage}
                group = groups.setdefault(tuple(named.get(it, "") for it in dimensions), Account())
                group.add(part.runs, figures)
    rows = [_row(dimensions, names, group, prices) for names, group in groups.items()]
    rows.sort(key=lambda row: [_order(it, row.keys[it]) for it in dimensions])
    return Report(
        first=days[0],
        last=days[1],
        by=dimensions,
        currency=prices.currency if prices else "",
        rows=tuple(rows),
        total=_row((), (), total, prices),
    )


def _parts(account: Account, *, by_stage: bool) -> list[tuple[str, Mapping[Place, Figures]]]:
    """Return the figures of each stage, with its name; or all of them, without one."""
    if not by_stage:
        return [("", account.figures)]
    stages = dict.fromkeys(stage for stage, _ in account.figures)
    return [
        (name, {place: it for place, it in account.figures.items() if place[0] == name})
        for name in stages
    ]


def _row(
    dimensions: Sequence[str], names: Sequence[str], group: Account, prices: Prices | None
) -> Row:
    by_stage = Dimension.STAGE in dimensions
    devices: dict[str, float] = {}
    for (_, device), each in group.figures.items():
        if device != NO_DEVICE:
            devices[device] = round(devices.get(device, 0.0) + each.device_seconds, SECONDS_DIGITS)
    heard = (it for (stage, _), it in group.figures.items() if by_stage or _is_heard(stage))
    audio: Figures = reduce(add, heard, Figures())
    figures: Figures = reduce(add, group.figures.values(), Figures())
    return Row(
        keys=dict(zip(dimensions, names, strict=True)),
        runs=None if by_stage else group.runs,
        figures=replace(
            figures,
            audio_seconds=audio.audio_seconds,
            cached_audio_seconds=audio.cached_audio_seconds,
        ),
        device_seconds=dict(sorted(devices.items())),
        cost=prices.cost(group.figures) if prices else None,
    )


def _is_heard(stage: str) -> bool:
    """Tell whether a stage's audio is that of the job: others hear the same once more."""
    return stage == Stage.TRANSCRIBE


def _order(dimension: str, name: str) -> tuple[int, str]:
    """Return what rows are sorted by: stages stand in the order in which a run does them."""
    if dimension != Dimension.STAGE or name not in _STAGES:
        return 0, name
    return _STAGES.index(name), name


def _day(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise InvalidOption(f"{name}={text[:50]!r} is no day.", hint="Write it as 2026-11-29.")
    return found


def row_json(row: Row) -> dict[str, Any]:
    """Return a row as JSON: every figure, also those that are zero; None for what is not known."""
    figures = row.figures
    runs = {} if row.runs is None else {"runs": row.runs}
    cost = {} if row.cost is None else {"cost": row.cost}
    return {
        **row.keys,
        **runs,
        "audio_seconds": figures.audio_seconds,
        "cached_audio_seconds": figures.cached_audio_seconds,
        "units": figures.units,
        "cached": figures.cached,
        "retries": figures.retries,
        "stored_bytes": figures.stored_bytes,
        "device_seconds": dict(row.device_seconds),
        "joules": figures.joules,
        **cost,
    }
