"""What people have said of a transcript's lines: corrected, confirmed or refused.

The transcript itself is never changed. Each change is a version, written once; it names the lines
that it changes, so two editors do not lose each other's. Corrections belong to one run: to the
transcript of a retry they do not apply.

A version holds its own changes; each SNAPSHOT-th holds all lines, so that reading needs few.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from gpu_worker.errors import PermanentError
from orchestrator.cluster.connection import Cluster, NotFinished
from tasks.artifacts import ArtifactMissing, encode
from tasks.runs import keys
from tasks.runs.json_artifacts import read_record

LONGEST_TEXT = 4000  # characters; a window of 30 s has at most 448 tokens
MOST_LINES = 1000  # in one change
MOST_VERSIONS = 10_000  # of one run
SNAPSHOT = 32
START_SECONDS = 0.01  # a named start may differ so much from the line's
_DIGITS = 6  # of a version's number, so that its keys sort
_UNSEEN = ("Cf", "Zs")  # Unicode's categories of characters that show nothing
# Control characters, halves of surrogate pairs, and marks that turn the reading direction round.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class InvalidCorrection(PermanentError):
    """These corrections do not fit the transcript."""

    code = "invalid_correction"
    hint = "GET /v1/jobs/{id}/corrections and the transcript with corrections=off name the lines."


class CorrectionConflict(PermanentError):
    """The line was changed by another request, or the transcript is another one by now."""

    code = "correction_conflict"
    hint = "Read the corrections again, and send yours with the version that you then see."


class Action(StrEnum):
    """What a person says of a line."""

    CORRECTED = "corrected"  # another text is right
    CONFIRMED = "confirmed"  # it is right as it is
    REFUSED = "refused"  # nothing is said there
    NONE = "none"  # put back: as the models wrote it


@dataclass(frozen=True, slots=True)
class LineChange:
    """A wish to change one line."""

    segment: int  # its place among the transcript's segments
    start: float  # of the line, so that no other one is changed by mistake
    action: Action
    text: str | None = None  # of a corrected line


@dataclass(frozen=True, slots=True)
class LineCorrection:
    """What the last change of a line said, with who and when."""

    action: Action
    text: str | None
    by: str  # the name of the API key, `settings` or `anonymous`
    key: str | None  # the key's id
    at: float  # seconds since 1970
    version: int  # that changed it

    def to_json(self) -> dict[str, Any]:
        """Return the correction as it is stored and shown."""
        names = ("action", "text", "by", "key", "at", "version")
        return {name: it for name in names if (it := getattr(self, name)) is not None}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` gives."""
        return cls(
            Action(data["action"]),
            data.get("text"),
            str(data["by"]),
            data.get("key"),
            float(data["at"]),
            int(data["version"]),
        )


Lines = Mapping[int, LineCorrection]  # by the line's place among the segments


@dataclass(frozen=True, slots=True)
class Corrections:
    """All corrections of one run's transcript."""

    run: int
    version: int  # 0: there was no change so far
    lines: Lines = field(default_factory=dict)
    other_runs: tuple[int, ...] = ()  # that have corrections too, which do not apply here

    @property
    def standing(self) -> Lines:
        """The corrections without those that were put back."""
        return {at: line for at, line in self.lines.items() if line.action is not Action.NONE}


def corrections(cluster: Cluster, tenant: str, job: str, run: int) -> Corrections:
    """Return what people have said of the lines of this run of a job."""
    folder = keys.job(tenant, job, "corrections/")
    versions: dict[int, list[int]] = {}
    for key in cluster.store.list(folder):
        of_run, _, name = key.removeprefix(folder).partition("/")
        versions.setdefault(int(of_run), []).append(int(name.removesuffix(".json")))
    own = sorted(versions.pop(run, []))
    # The newest snapshot that is there: a copy of a bucket in use may lack one of the last ones.
    first = max((number for number in own if number % SNAPSHOT == 0), default=0)
    lines: dict[int, LineCorrection] = {}
    for number in own:
        if number >= first:
            lines |= _read(cluster, tenant, job, run, number)
    version = own[-1] if own else 0
    return Corrections(run, version, dict(sorted(lines.items())), tuple(sorted(versions)))


def correct(
    cluster: Cluster,
    tenant: str,
    job: str,
    changes: Sequence[LineChange],
    *,
    run: int,
    seen: int,
    by: str,
    key: str | None,
) -> Corrections:
    """Store changes to lines of a job's transcript, all of them or none; return what then holds.

    `run` and `seen` are the run and the version that the sender has seen. Raises UnknownJob,
    NotFinished, InvalidCorrection, or CorrectionConflict if one of these lines was changed since.
    """
    published, transcript = published_transcript(cluster, tenant, job)
    if run != published:
        raise CorrectionConflict(f"The transcript is that of run {published}, and not of {run}.")
    wanted = {change.segment: change for change in changes}
    if len(wanted) < len(changes):
        raise InvalidCorrection("A line is named twice.")
    texts = {at: _checked(change, transcript["segments"]) for at, change in wanted.items()}
    while True:
        known = corrections(cluster, tenant, job, run)
        if seen > known.version:
            raise CorrectionConflict(f"There is no version {seen}; the last is {known.version}.")
        if known.version >= MOST_VERSIONS:
            raise InvalidCorrection(f"There are {MOST_VERSIONS} versions of this transcript.")
        version, now = known.version + 1, round(time.time(), 3)
        new = {
            at: LineCorrection(change.action, texts[at], by, key, now, version)
            for at, change in wanted.items()
            if not _is_said(known.lines.get(at), change.action, texts[at])
        }
        changed = [at for at in new if at in known.lines and known.lines[at].version > seen]
        if changed:
            raise CorrectionConflict(_told(changed[0], known.lines[changed[0]]))
        if not new:  # said already; perhaps the reply to the first request was lost
            return known
        lines = {**known.lines, **new}
        data = encode(_to_json(new if version % SNAPSHOT else lines))
        if cluster.store.put(_version(tenant, job, run, version), data):
            return Corrections(run, version, dict(sorted(lines.items())), known.other_runs)
        # Another request has written this version: look at its lines, and take the next number.


def published_transcript(cluster: Cluster, tenant: str, job: str) -> tuple[int, dict[str, Any]]:
    """Return a job's transcript as the models wrote it, and its run.

    Raises UnknownJob or NotFinished.
    """
    run, result = cluster.published(tenant, job)
    if result["transcript"] is None:
        raise NotFinished(
            f"Job {job} has no transcript.", hint="`scriptorium status JOB` says why."
        )
    return run.number, result["transcript"]


def _checked(change: LineChange, segments: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the new text of a line, on one line. Raises InvalidCorrection."""
    at = change.segment
    if not 0 <= at < len(segments):
        raise InvalidCorrection(f"There is no line {at} in this transcript.")
    start = segments[at]["start"]
    if not abs(start - change.start) <= START_SECONDS:
        raise InvalidCorrection(f"Line {at} starts at {start} s, and not at {change.start} s.")
    if change.action is not Action.CORRECTED:
        if change.text is not None:
            raise InvalidCorrection(f"Line {at} is {change.action} and has a text too.")
        return None
    text = " ".join((change.text or "").split())
    if not any(unicodedata.category(it) not in _UNSEEN for it in text):
        raise InvalidCorrection(f"Line {at} has no text; refuse it if nothing is said.")
    if len(text) > LONGEST_TEXT or _UNWRITABLE.search(text):
        raise InvalidCorrection(
            f"The text of line {at} must be 1 to {LONGEST_TEXT} characters, none of them control "
            "characters."
        )
    return text


def _is_said(line: LineCorrection | None, action: Action, text: str | None) -> bool:
    if line is None:
        return action is Action.NONE
    return (line.action, line.text) == (action, text)


def _told(at: int, line: LineCorrection) -> str:
    return f"Line {at} was changed in version {line.version} by {line.by}."


def _to_json(lines: Lines) -> dict[str, Any]:
    return {"lines": {str(at): line.to_json() for at, line in lines.items()}}


def _read(
    cluster: Cluster, tenant: str, job: str, run: int, version: int
) -> dict[int, LineCorrection]:
    try:
        return read_record(cluster.store, _version(tenant, job, run, version), _of_json)
    except ArtifactMissing:  # the job was deleted just now
        return {}


def _of_json(data: Mapping[str, Any]) -> dict[int, LineCorrection]:
    return {int(at): LineCorrection.of_json(line) for at, line in data["lines"].items()}


def _version(tenant: str, job: str, run: int, number: int) -> str:
    return keys.job(tenant, job, "corrections/") + f"{run}/{number:0{_DIGITS}}.json"
