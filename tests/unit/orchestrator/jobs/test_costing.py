"""What jobs cost: estimated by a file's header or size, then measured."""

from __future__ import annotations

import io
import wave
from dataclasses import replace
from typing import Any

import pytest

from gpu_worker.errors import InvalidOption
from orchestrator.access import QuotaExceeded
from orchestrator.access.quotas import quota_of
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.costs import UNKNOWN, Cost
from orchestrator.jobs.costing import cost_of, estimated_seconds, estimated_units, measured_cost
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.submission import rerun, submit
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Plan, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tests.inputs.examples import TENANT, a_manifest, a_plan, a_run

OPTIONS = JobOptions(model="pico", language="en", aligner="cross_attention")
ADDRESS = Source(name="a.wav", url="s3://calls/a.wav")


def bounded(connection: Cluster, **quota: float) -> Cluster:
    quotas = {TENANT: quota}
    return replace(connection, settings=connection.settings.model_copy(update={"quotas": quotas}))


def submitted(cluster: Cluster, source: Source = ADDRESS, **named: Any) -> str:
    quota = quota_of(cluster.settings, TENANT)
    return submit(cluster, source, OPTIONS, tenant=TENANT, quota=quota, **named).id


def sound(seconds: int, rate: int = 44_100) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(4 * rate * seconds))
    return data.getvalue()


def test_a_wav_says_its_length_and_other_files_are_guessed_by_their_size() -> None:
    file = sound(7)
    assert estimated_seconds(file[:64], len(file)) == pytest.approx(7, abs=0.01)
    flac = b"fLaC" + bytes(14) + ((44_100 << 44) | (44_100 * 90)).to_bytes(8) + bytes(38)
    assert estimated_seconds(flac, 10**6) == 90.0
    assert estimated_seconds(b"ID3", 1_600_000) == 100.0
    assert estimated_seconds(b"ID3", 10**10) == 3600.0  # much of it may be pictures
    assert estimated_seconds(b"", None) == 600.0
    for broken in (b"RIFF", b"RIFF0000WAVEfmt " + bytes(20), b"fLaC", b"fLaC" + bytes(60), b""):
        assert estimated_seconds(broken, 16_000) >= 0.0


def test_units_are_estimated_as_they_are_counted() -> None:
    options = JobOptions(model="pico", language="en", diarize=True, chunk_seconds=60.0)
    plan = a_plan(*[60.0] * 10)
    exact = measured_cost(a_manifest(**options.model_dump()), plan, 0).units
    assert exact == 10 * 2 + 3 + 2 + 3  # chunks, shards, the fan-in, and what is before
    assert estimated_units(options, 600.0) == pytest.approx(exact, abs=3)


def test_channels_that_are_kept_apart_cost_each_its_seconds() -> None:
    plan = a_plan(10.0, 10.0)
    split = Plan.model_validate(
        plan.model_dump() | {"channels": ("ab", "cd", "ab"), "chunk_channels": (0, 1)}
    )
    assert measured_cost(a_manifest(), split, 7) == Cost(
        units=2 + 1 + 3, audio_seconds=40.0, stored_bytes=7 + 40 * 32_000, is_measured=True
    )


def test_nothing_is_asked_of_the_store_for_a_tenant_without_bounds(connection: Cluster) -> None:
    assert cost_of(connection, a_manifest(), None) == UNKNOWN


def test_an_uploaded_file_costs_its_bytes_and_its_audio(connection: Cluster) -> None:
    cluster = bounded(connection, audio_seconds_in_flight=100.0, bytes_in_flight=1e9)
    file = sound(3)
    cluster.store.put(keys.source(TENANT, "ab"), file)
    submitted(cluster, Source(name="a.wav", artifact=keys.source(TENANT, "ab")))
    used = cluster.jobs.in_flight(TENANT)
    assert used.audio_seconds == pytest.approx(3, abs=0.01)
    assert used.stored_bytes == pytest.approx(len(file) + 3 * 32_000, rel=0.01)


@pytest.mark.parametrize("entry", ["units_in_flight", "audio_seconds_in_flight", "bytes_in_flight"])
def test_the_error_names_the_entry_and_room_comes_back_with_the_end(
    connection: Cluster, entry: str
) -> None:
    most = {"units_in_flight": 10, "audio_seconds_in_flight": 1000, "bytes_in_flight": 30_000_000}
    cluster = bounded(connection, **{entry: float(most[entry])})
    first = submitted(cluster)  # ten minutes are assumed
    with pytest.raises(QuotaExceeded, match=entry) as raised:
        submitted(cluster)
    assert str(most[entry]) in raised.value.message
    assert "about" in raised.value.message
    cancel(cluster, TENANT, first)
    assert cluster.jobs.in_flight(TENANT) == UNKNOWN
    submitted(cluster)


def test_an_entry_for_all_others_holds_for_those_without_their_own(connection: Cluster) -> None:
    quotas = {"*": {"audio_seconds_in_flight": 5.0, "weight": 2.0}, "other": {"jobs_in_flight": 1}}
    settings = connection.settings.model_copy(update={"quotas": quotas})
    assert quota_of(settings, TENANT).audio_seconds_in_flight == 5.0
    assert quota_of(settings, "other").audio_seconds_in_flight is None


def test_a_retry_and_a_rerun_count_what_was_measured(connection: Cluster) -> None:
    cluster = bounded(connection, audio_seconds_in_flight=650.0)
    quota = quota_of(cluster.settings, TENANT)
    first = submitted(cluster)
    plan = a_plan(50.0, 40.0)
    cluster.store.put(keys.plan(TENANT, first), encode(plan.model_dump(mode="json")))
    cluster.store.put(keys.pcm(TENANT, plan.audio), b"x")
    cancel(cluster, TENANT, first)
    retry(cluster, TENANT, first, quota=quota)
    assert cluster.jobs.in_flight(TENANT).audio_seconds == 90.0
    with pytest.raises(QuotaExceeded, match="90 are"):
        submitted(cluster)
    data = encode(result_record(transcript={}))
    cluster.store.put(keys.of_run(a_run(2, job=first), keys.RESULT), data)
    cluster.settle(a_run(2, job=first))
    for _ in range(7):
        rerun(cluster, TENANT, first, {"beam_size": 5}, quota=quota)
    assert cluster.jobs.in_flight(TENANT).audio_seconds == 630.0
    with pytest.raises(QuotaExceeded, match="this job has 90"):
        rerun(cluster, TENANT, first, {"beam_size": 5}, quota=quota)


def test_a_refused_submission_leaves_nothing_behind(connection: Cluster) -> None:
    cluster = bounded(connection, audio_seconds_in_flight=700.0)
    submitted(cluster)
    before = sorted(cluster.store.list(""))
    with pytest.raises(QuotaExceeded):
        submitted(cluster)
    assert sorted(cluster.store.list("")) == before
    assert cluster.jobs.in_flight(TENANT).audio_seconds == 600.0


def test_a_rerun_whose_length_is_known_is_refused_at_once(connection: Cluster) -> None:
    first = submitted(connection)
    plan = a_plan(4000.0)
    connection.store.put(keys.plan(TENANT, first), encode(plan.model_dump(mode="json")))
    cancel(connection, TENANT, first)
    with pytest.raises(InvalidOption, match="chunk_seconds"):
        rerun(connection, TENANT, first, {"chunk_seconds": 5})
    assert connection.jobs.open_runs() == []
