"""The tables in docs/artifacts.md have the keys that the code makes, and no others."""

from __future__ import annotations

import inspect
import re
from hashlib import sha256

import pytest

from orchestrator.cluster import shadows
from orchestrator.cluster.ended_jobs import ended_key
from orchestrator.cluster.job import Status
from orchestrator.collections import places
from orchestrator.jobs.holds import hold_key
from orchestrator.jobs.lines import gone
from tasks.runs import keys, usage_keys, vocabulary_keys
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tests import ROOT
from tests.inputs.examples import TENANT, a_unit

NUMBERS = {"pack", "run", "index", "try", "first", "last", "shard", "version"}
UNIT, OPTIONS, HASH = a_unit(index=3), JobOptions(), sha256(b"").hexdigest()
RUN, JOB = UNIT.run, UNIT.run.job
VOICES = keys.embedded(TENANT, HASH, 0, OPTIONS)
# The keys by the function that makes them, or that makes the folder that they are in.
MADE = {
    "open_run": [keys.open_run(RUN)],
    "owed": [keys.owed(RUN)],
    "tombstone": [keys.tombstone(TENANT, JOB)],
    "dead_letter": [keys.dead_letter(UNIT)],
    "dead_trigger": [keys.dead_trigger("0f8e")],
    "source": [keys.source(TENANT, HASH)],
    "upload": [keys.upload(TENANT, "upload-1")],
    "uses": [keys.uses(TENANT, HASH) + JOB],
    "releasing": [keys.releasing(TENANT, HASH)],
    "pending": [keys.pending(TENANT, "upload-1")],
    "idempotency": [keys.idempotency(TENANT, "call 1")],
    "manifest": [keys.manifest(TENANT, JOB)],
    "plan": [keys.plan(TENANT, JOB)],
    "job": [
        keys.job(TENANT, JOB, "uses/") + HASH,
        keys.job(TENANT, JOB, "speakers/") + "00001.json",
        keys.job(TENANT, JOB, "corrections/") + "1/000001.json",
    ],
    "tries": [keys.tries(RUN, "webhook") + "1"],
    "delivered": [keys.delivered(RUN, "webhook")],
    "failed": [keys.failed(UNIT)],
    "of_run": [
        keys.of_run(RUN, name)
        for name in (
            "started.json",
            keys.CHOICE,
            "canceled",
            "timings.json",
            keys.RESULT,
            "expired/source",
        )
    ],
    "prepared": [keys.prepared(TENANT, HASH, OPTIONS)],
    "pcm": [keys.pcm(TENANT, HASH)],
    "chunks": [keys.chunks(TENANT, HASH, OPTIONS)],
    "language": [keys.language(TENANT, HASH, OPTIONS)],
    "of_chunk": [
        keys.of_chunk(stage, TENANT, HASH, (0, 160), OPTIONS, "en")
        for stage in (Stage.TRANSCRIBE, Stage.ALIGN)
    ],
    "embedded": [VOICES],
    "receipt": [keys.receipt(VOICES)],
    "diarized": [keys.diarized(TENANT, HASH, OPTIONS)],
    "uncounted": [usage_keys.uncounted(RUN)],
    "used": [usage_keys.used(RUN)],
    "version": [vocabulary_keys.version(TENANT, "legal", 3)],
    "copy": [vocabulary_keys.copy(TENANT, JOB, "legal@3")],
    "pack": [usage_keys.pack("2026-11-29", 0)],
}
TURN = Run(TENANT, "c-1", 2)
COLLECTIONS = [
    *(make(TENANT, "c-1") for make in (places.record, places.deleted, places.lines)),
    *(make(TURN) for make in (places.open_round, places.wanted, places.canceled, places.ended)),
    *(places.OWED + TURN.name, places.piece(TURN, 0), places.delivered(TURN)),
    *(places.tries(TURN) + "1", gone(TENANT, "c-1", JOB)),
]
SHADOWS = [shadows.DUE + RUN.name, shadows.MADE + RUN.name]
TRAIL = "audit/2026-11-29/1795960793.123-api-17-1.jsonl"  # as orchestrator/trail/writing.py has it
ENDED_JOB = ended_key(TENANT, (1795960793.123, JOB), Status.FAILED)
# Parts of keys
OTHER_FUNCTIONS = {"anchor", "behind", "claims", "content", "digest", "jobs", "made_of"}
OTHER_FUNCTIONS |= {"day_of", "marked_chunk", "run_of", "runs", "versions", "vocabularies"}


def documented(table: int) -> list[re.Pattern[str]]:
    """The patterns of a table; a line that is indented is below `tenants/<tenant>/`."""
    page = (ROOT / "docs" / "artifacts.md").read_text(encoding="utf-8")
    lines = page.split("```")[2 * table + 1].strip().splitlines()
    folder, found = "", []
    for line in lines:
        name = re.split(r"  +", line.strip())[0]
        if name.endswith("/"):
            folder = name
        else:
            found.append(pattern((folder if line.startswith(" ") else "") + name))
    return found


def pattern(name: str) -> re.Pattern[str]:
    """The keys that a line of the table names."""
    parts = re.split(r"<(.*?)>", name)  # every second one is a placeholder
    return re.compile(
        "".join(
            expression(part) if number % 2 else re.escape(part) for number, part in enumerate(parts)
        )
    )


def expression(placeholder: str) -> str:
    """What stands for a placeholder."""
    if placeholder.startswith("sha256"):
        return "[0-9a-f]{64}"
    if placeholder == "digest":
        return "[0-9a-f]{16}"
    return "[0-9]+" if placeholder in NUMBERS else "[^/]+"


@pytest.mark.parametrize("table", [0, 1])
def test_every_line_of_a_table_is_a_key_and_every_key_has_one_line(table: int) -> None:
    lines = documented(table)
    made = (
        [key for some in MADE.values() for key in some],
        [*COLLECTIONS, *SHADOWS, hold_key(TENANT, JOB), hold_key(TENANT, None), ENDED_JOB, TRAIL],
    )[table]
    for line in lines:
        assert len([key for key in made if line.fullmatch(key)]) == 1, line.pattern
    for key in made:
        assert len([line for line in lines if line.fullmatch(key)]) == 1, key


def test_every_function_of_keys_is_compared_with_the_table() -> None:
    functions = {
        name
        for module in (keys, usage_keys, vocabulary_keys)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert functions == MADE.keys() | OTHER_FUNCTIONS


def test_workers_copy_audio_and_what_stages_made_of_it_and_nothing_else() -> None:
    made_of_audio = {"pcm", "chunks", "language", "of_chunk", "embedded", "diarized"}
    for name, some in MADE.items():
        anchor = keys.pcm(TENANT, HASH) if name in made_of_audio else None
        assert {keys.anchor(key) for key in some} == {anchor}, name


def test_a_copy_s_anchor_is_deleted_with_all_that_has_it() -> None:
    _, folder = keys.made_of(TENANT, HASH)
    for key in (key for some in MADE.values() for key in some):
        anchor = keys.anchor(key)
        assert anchor is None or (key.startswith(folder) and anchor.startswith(folder))


def test_keys_that_only_look_like_audio_have_no_anchor() -> None:
    pcm = keys.pcm(TENANT, HASH)
    for key in (pcm + "x", "x/" + pcm, pcm[:-3] + "other.json", pcm.replace(HASH, "audio"), ""):
        assert keys.anchor(key) is None
