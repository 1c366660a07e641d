"""One chunk's samples become its artifact."""

from __future__ import annotations

import json

import pytest

from gpu_worker.heard import ChunkTranscript
from gpu_worker.pcm import Span
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.records import Records, failures
from tasks.runs.stages import Stage
from tests.inputs.examples import TENANT, a_manifest, a_run, a_unit, write_records
from tests.inputs.speech import recording
from tests.unit.tasks.inline import run_task

RATE = 16_000
CUT = 6 * RATE


@pytest.fixture(autouse=True)
def audio(place: Workplace) -> None:
    """Two chunks of speech in the store."""
    samples = recording(12)[0]
    chunks = (Span(0, CUT), Span(CUT, len(samples)))
    plan = Plan(audio="ab", seconds=len(samples) / RATE, chunks=chunks)
    write_records(place.store, a_manifest(), plan)
    place.store.put(keys.pcm(TENANT, "ab"), (samples * 32767).astype("<i2").tobytes())


def test_a_chunk_is_heard_in_times_of_the_file(place: Workplace) -> None:
    receipt = run_task(a_unit(index=1))
    assert receipt["outcome"] == "computed"
    artifact = json.loads(place.store.get(Records(place.store).key(a_unit(index=1))))
    heard = ChunkTranscript.from_json(artifact)
    assert heard.segments[0].start >= 6.0
    assert min(start for window in heard.windows for start, _ in window.spans) >= CUT
    said = [artifact[name] for name in ("model", "engine", "device")]
    assert said == ["fake", "fake", "cpu"]
    assert artifact["receipt"]["audio_seconds"] == receipt["audio_seconds"] > 5


def test_a_chunk_of_a_split_channel_is_heard_in_that_channel(place: Workplace) -> None:
    samples = recording(12)[0]
    plan = Plan(
        audio="silent",
        seconds=len(samples) / RATE,
        chunks=(Span(0, len(samples)), Span(CUT, len(samples))),
        channels=("silent", "ab"),
        chunk_channels=(0, 1),
    )
    write_records(place.store, a_manifest("split", channels="split"), plan)
    place.store.put(keys.pcm(TENANT, "silent"), bytes(2 * len(samples)))
    heard = []
    for index in range(2):
        unit = a_unit(index=index, job="split")
        assert run_task(unit)["outcome"] == "computed"
        artifact = json.loads(place.store.get(Records(place.store).key(unit)))
        heard.append(ChunkTranscript.from_json(artifact))
    assert heard[0].windows == () and heard[1].segments


def test_a_chunk_heard_before_is_not_heard_again(place: Workplace) -> None:
    run_task(a_unit(index=0))
    assert run_task(a_unit(index=0, run=2))["outcome"] == "cached"


def test_a_chunk_that_cannot_be_had_is_a_failure_and_no_exception(place: Workplace) -> None:
    place.store.delete(keys.pcm(TENANT, "ab"))
    assert run_task(a_unit(index=0))["outcome"] == "failed"
    assert (Stage.TRANSCRIBE, 0) in failures(place.store, a_run())
