"""The events of a job, derived from its facts, always in the same order.

    <run>.0                      job        the job as it was queued
    <run>.<entry>                job        the job after a unit has settled; entry as in history
    <run>.<entry>.<chunk>        segments   a chunk's text, once all chunks before it are settled
    <run>.end.<chunk>            segments   text that the history did not bring
    <run>.end                    end        the job with its final status

The same facts give the same bytes, and a longer history only appends events. Pure: no Redis,
no store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from orchestrator.cluster.job import Job, Receipts, Summary, describe_job
from tasks.runs.manifest import Manifest, Plan
from tasks.runs.stages import Stage
from tasks.state.receipts import Receipt

Kind = Literal["job", "segments", "end"]
Position = tuple[int, ...]  # compares in the order of the events: the run, then the place within it

_ID = re.compile(r"(\d{1,9})\.(?:(0)|(\d{1,20})-(\d{1,20})|(end))(?:\.(\d{1,9}))?", re.ASCII)
_END = 10**21  # larger than the time of any entry
_FIRST = "0"  # the id's part for the queued job, which has no entry in the history
# Many clients end a line at these characters too, although the standard of SSE does not.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True)
class Event:
    """One event; `data` is JSON on one line."""

    id: str
    kind: Kind
    data: str

    @cached_property
    def wire(self) -> bytes:
        """The event as server-sent event bytes; made once for all watchers."""
        return f"id: {self.id}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one run, from which its events are derived."""

    manifest: Manifest
    run: int
    plan: Plan | None
    history: Sequence[tuple[str, tuple[Stage, int]]]
    receipts: Receipts
    summary: Summary | None

    @property
    def ended(self) -> Job | None:
        """The job with its final status; None while it runs."""
        if self.summary is None:
            return None
        return describe_job(self.manifest, self.run, self.receipts, self.plan, self.summary, 0.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress through a run's events: how many of them were made so far."""

    entries: int = 0  # entries done; the queued job counts as one
    entry: str = ""  # the id of the last of them
    chunks: int = 0
    ended: bool = False


Text = Callable[[int], Sequence[Mapping[str, Any]]]  # returns a chunk's segments as JSON


def events_after(
    facts: Facts, text: Text, progress: Progress = Progress()
) -> Iterator[tuple[Event, Progress]]:
    """Yield the events after the progress `progress`, each with the new progress.

    A history that began anew after a Redis wipe is read from its first entry, without the chunks
    that were sent already. Raises what `text` raises; call again with the last progress to go on.
    """
    entries = _entries(facts)
    if progress.entries and progress.entry not in [
        entry for entry, _ in entries[progress.entries - 1 :][:1]
    ]:
        progress = replace(progress, entries=1, entry=_FIRST)
    seen: dict[tuple[Stage, int], Receipt] = {}
    plan: Plan | None = None
    for number, (entry, unit) in enumerate(entries, 1):
        if unit is not None:
            receipt = facts.receipts.get(unit, Receipt("cached"))
            # With the entry's own time, since a later receipt may have replaced the first.
            seen[unit] = replace(receipt, finished_at=_seconds(entry))
            if unit[0] is not Stage.ASSEMBLE and receipt.outcome != "failed":
                plan = facts.plan  # only after `prepare` succeeded can another unit succeed
        if number < progress.entries:
            continue
        if number > progress.entries:
            progress = replace(progress, entries=number, entry=entry)
            job = describe_job(facts.manifest, facts.run, seen, plan, None, _seconds(entry))
            yield _event(f"{facts.run}.{entry}", "job", job_json(job)), progress
        while (
            plan
            and progress.chunks < _live_chunks(plan)
            and _is_settled(facts, progress.chunks, seen)
        ):
            yield _release(facts, text, progress, entry)
            progress = replace(progress, chunks=progress.chunks + 1)
    if facts.summary is None or progress.ended:
        return
    if not facts.summary.error and not facts.summary.canceled and facts.plan:
        for _ in range(progress.chunks, _chunks(facts.plan)):
            yield _release(facts, text, progress, "end")
            progress = replace(progress, chunks=progress.chunks + 1)
    job = describe_job(facts.manifest, facts.run, seen, facts.plan, facts.summary, 0.0)
    yield _event(end_id(facts.run), "end", job_json(job)), replace(progress, ended=True)


def job_json(job: Job) -> dict[str, Any]:
    """Return a job as the API shows it."""
    return {"object": "transcription.job", **job.to_json()}


def end_id(run: int) -> str:
    """Return the id of a run's last event."""
    return f"{run}.end"


def position(id: str) -> Position | None:
    """Return the place of an event id in the order of events; None for text that is no event id."""
    found = _ID.fullmatch(id)
    if found is None:
        return None
    run, _, time, sequence, end, chunk = found.groups()
    if end and chunk is None:
        return (int(run), _END, 1)
    place = (_END, 0) if end else (int(time or 0), int(sequence or 0))
    return (int(run), *place, -1 if chunk is None else int(chunk))


def seen_before(last_event_id: str | None, run: int) -> Position | None:
    """Return the position after which a run's events are new to the client; None: all are new."""
    found = position(last_event_id) if last_event_id else None
    return found if found and found[0] == run else None


def _entries(facts: Facts) -> list[tuple[str, tuple[Stage, int] | None]]:
    """Return the entries from the queued job to the assembled one; later ones change nothing."""
    entries: list[tuple[str, tuple[Stage, int] | None]] = [(_FIRST, None)]
    for entry, unit in facts.history:
        entries.append((entry, unit))
        if unit[0] is Stage.ASSEMBLE:
            break
    return entries


def _release(facts: Facts, text: Text, progress: Progress, entry: str) -> tuple[Event, Progress]:
    chunk = progress.chunks
    data = {"chunk": chunk, "segments": list(text(chunk))}
    event = _event(f"{facts.run}.{entry}.{chunk}", "segments", data)
    return event, replace(progress, chunks=chunk + 1)


def _event(id: str, kind: Kind, data: Mapping[str, Any]) -> Event:
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Event(id, kind, written.translate(_LINE_ENDS))


def _chunks(plan: Plan) -> int:
    """Return the number of `segments` events.

    Split channels have one, because echoes are found only with all channels together.
    """
    return 1 if plan.channels else len(plan.chunks)


def _live_chunks(plan: Plan) -> int:
    """Return the number of `segments` events that come while other chunks still run."""
    return 0 if plan.channels else len(plan.chunks)


def _is_settled(facts: Facts, chunk: int, seen: Receipts) -> bool:
    heard = seen.get((Stage.TRANSCRIBE, chunk))
    if not facts.manifest.options.aligns or (heard and heard.outcome == "failed"):
        return heard is not None
    return (Stage.ALIGN, chunk) in seen


def _seconds(entry: str) -> float:
    """Return seconds since 1970: an entry's id begins with its milliseconds."""
    return int(entry.partition("-")[0]) / 1000
