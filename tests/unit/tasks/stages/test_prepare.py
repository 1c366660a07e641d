"""The submitted file becomes PCM, chunks and a plan; nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_worker.audio.chunking import ChunkingOptions, plan_chunks
from gpu_worker.audio.vad import speech_likelihood
from gpu_worker.errors import SourceUnavailable, StoreRefused
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from tasks.artifacts import encode, submitted
from tasks.artifacts.s3 import S3Store
from tasks.execution import ending
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tasks.runs.records import Records, failures
from tasks.runs.stages import Stage
from tasks.runs.units import Run, Unit
from tasks.stages import prepare as module
from tests.inputs.bad_audio import encoded, wav
from tests.inputs.examples import TENANT
from tests.inputs.speech import Samples, recording, write_wav
from tests.servers.s3_script import Script
from tests.servers.web import body, web_server
from tests.unit.tasks.inline import run_task


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(12)[0])


def prepared(
    connection: Cluster, source: Source, *, source_stays: bool = True, **options: Any
) -> Unit:
    job = submit(connection, source, JobOptions(model="fake", **options), tenant=TENANT)
    if not source_stays:
        connection.store.delete(source.artifact or "")
    unit = Run(TENANT, job.id, 1).unit(Stage.PREPARE)
    connection.redis.flushall()
    run_task(unit)
    return unit


def failure(place: Workplace, unit: Unit) -> str:
    return str(failures(place.store, unit.run)[Stage.PREPARE, 0]["code"])


def test_the_plan_names_the_audio_and_tiles_it(
    connection: Cluster, place: Workplace, file: Path
) -> None:
    unit = prepared(connection, upload(connection, file, TENANT), chunk_seconds=5)
    plan = Records(place.store).plan(TENANT, unit.run.job)
    samples = recording(12)[0]
    assert plan.seconds == len(samples) / 16_000
    assert place.store.size(keys.pcm(TENANT, plan.audio)) == 2 * len(samples)
    assert [start for start, _ in plan.chunks[1:]] == [end for _, end in plan.chunks[:-1]]
    assert (plan.chunks[0][0], plan.chunks[-1][1]) == (0, len(samples))
    assert len(plan.chunks) == 3


@pytest.mark.slow
def test_behind_noise_chunks_end_where_the_speech_detector_hears_a_pause(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    speech = recording(60, gap=(0.1, 0.4))[0]
    noise = np.random.default_rng(0).normal(0, np.sqrt(np.mean(speech**2)), len(speech))
    mixed = ((speech + noise) / 2).astype(np.float32)
    source = upload(connection, write_wav(tmp_path / "street.wav", mixed), TENANT)
    unit = prepared(connection, source, chunk_seconds=15)
    plan = Records(place.store).plan(TENANT, unit.run.job)
    pcm = np.frombuffer(place.store.get(keys.pcm(TENANT, plan.audio)), "<i2")
    by_speech = plan_chunks(pcm, ChunkingOptions(15), speech_likelihood)
    assert plan.chunks == tuple((chunk.start, chunk.end) for chunk in by_speech)
    assert by_speech != plan_chunks(pcm, ChunkingOptions(15))


@pytest.mark.slow
def test_the_same_file_is_decoded_once(
    connection: Cluster, place: Workplace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(connection, upload(connection, file, TENANT))

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(module, "decode", never)
    second = prepared(connection, upload(connection, file, TENANT))
    third = prepared(connection, upload(connection, file, TENANT), chunk_seconds=5)
    plans = [Records(place.store).plan(TENANT, unit.run.job) for unit in (first, second, third)]
    assert plans[0] == plans[1]
    assert plans[0].audio == plans[2].audio and plans[0].chunks != plans[2].chunks


def test_a_job_has_a_bounded_number_of_chunks(
    connection: Cluster, place: Workplace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(place, settings=place.settings.model_copy(update={"max_chunks": 2}))
    monkeypatch.setattr(ending, "workplace", lambda: few)
    source = upload(connection, file, TENANT)
    assert failure(place, prepared(connection, source, chunk_seconds=5)) == "invalid_option"
    unit = prepared(connection, source, chunk_seconds=10)
    assert len(Records(place.store).plan(TENANT, unit.run.job).chunks) == 2


def test_one_channel_is_other_audio(connection: Cluster, place: Workplace, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "mono.wav", recording(3)[0])
    source = upload(connection, path, TENANT)
    assert failure(place, prepared(connection, source, channel=1)) == "invalid_option"


@pytest.mark.slow
def test_one_audio_track_is_other_audio(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "film.mkv").write_bytes(encoded(".mkv", "flac", seconds=1.0, tracks=2, default=1))
    source = upload(connection, tmp_path / "film.mkv", TENANT)
    units = [
        prepared(connection, source),
        prepared(connection, source, audio_track=0),
        prepared(connection, source, audio_track=1, channels="split"),
    ]
    default, first, second = (Records(place.store).plan(TENANT, unit.run.job) for unit in units)
    assert default.audio == second.audio != first.audio
    assert [warning.code for warning in default.warnings] == ["several_audio_streams"]
    assert (first.warnings, second.warnings) == ((), ())
    assert failure(place, prepared(connection, source, audio_track=2)) == "invalid_option"


def stereo(path: Path, *channels: Samples) -> Path:
    """Channels of different lengths, the shorter ones with silence behind."""
    table = np.zeros((max(map(len, channels)), len(channels)), np.float32)
    for number, samples in enumerate(channels):
        table[: len(samples), number] = samples
    data = (np.clip(table, -1, 1) * 32767).astype("<i2").tobytes()
    path.write_bytes(wav(data, channels=len(channels)))
    return path


def test_split_channels_are_audio_of_their_own_with_cuts_of_their_own(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    left, right = recording(12)[0], recording(9, seed=3)[0]
    source = upload(connection, stereo(tmp_path / "call.wav", left, right), TENANT)
    unit = prepared(connection, source, channels="split", chunk_seconds=5)
    plan = Records(place.store).plan(TENANT, unit.run.job)
    assert len(set(plan.channels)) == 2 and plan.audio == plan.channels[0]
    assert plan.chunk_channels == (0, 0, 0, 1, 1, 1)
    assert plan.chunks[:3] != plan.chunks[3:]
    for spans in (plan.chunks[:3], plan.chunks[3:]):
        assert (spans[0][0], spans[-1][1]) == (0, len(left))
        assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
    sound = np.frombuffer(place.store.get(keys.pcm(TENANT, plan.chunk_audio(4))), "<i2")
    expected = (np.clip(right, -1, 1) * 32767).astype("<i2")
    assert np.array_equal(sound[: len(right)], expected)
    assert plan.seconds == len(left) / 16_000


@pytest.mark.slow
def test_a_channel_alone_and_the_same_channel_split_are_the_same_audio(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    path = stereo(tmp_path / "call.wav", recording(4)[0], recording(4, seed=3)[0])
    source = upload(connection, path, TENANT)
    split = prepared(connection, source, channels="split")
    alone = prepared(connection, source, channel=1)
    plans = [Records(place.store).plan(TENANT, unit.run.job) for unit in (split, alone)]
    assert plans[0].channels[1] == plans[1].audio
    assert plans[0].chunks[1] == plans[1].chunks[0]


@pytest.mark.slow
def test_split_channels_are_decoded_once(
    connection: Cluster, place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stereo(tmp_path / "call.wav", recording(4)[0], recording(4, seed=3)[0])
    source = upload(connection, path, TENANT)
    first = prepared(connection, source, channels="split")
    before = Records(place.store).plan(TENANT, first.run.job)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(module, "decode_channels", never)
    second = prepared(connection, source, channels="split")
    assert Records(place.store).plan(TENANT, second.run.job) == before
    place.store.delete(keys.pcm(TENANT, before.channels[1]))
    gone = prepared(connection, source, channels="split")
    assert failures(place.store, gone.run)  # it had to be decoded again


@pytest.mark.parametrize("count", [1, 2])
def test_mono_is_one_channel_also_where_it_is_stored_as_stereo(
    connection: Cluster, place: Workplace, tmp_path: Path, count: int
) -> None:
    path = stereo(tmp_path / "mono.wav", *[recording(4)[0]] * count)
    unit = prepared(connection, upload(connection, path, TENANT), channels="split")
    plan = Records(place.store).plan(TENANT, unit.run.job)
    assert plan.channels == (plan.audio,) * count
    assert (len(plan.chunks), plan.chunk_channels) == (1, (0,))


def test_a_channel_behind_equal_ones_keeps_its_number(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    quiet, speech = np.zeros(16_000, np.float32), recording(4)[0]
    path = stereo(tmp_path / "four.wav", quiet, speech, quiet, speech * 0.5)
    unit = prepared(connection, upload(connection, path, TENANT), channels="split")
    assert Records(place.store).plan(TENANT, unit.run.job).chunk_channels == (0, 1, 3)


def test_mixed_audio_has_no_channels(connection: Cluster, place: Workplace, file: Path) -> None:
    unit = prepared(connection, upload(connection, file, TENANT))
    plan = Records(place.store).plan(TENANT, unit.run.job)
    assert (plan.channels, plan.chunk_channels) == ((), ())


@pytest.mark.needs("av")
def test_a_file_without_audio_ends_the_run_with_its_error(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "notes.mp3").write_text("not audio at all " * 100)
    unit = prepared(connection, upload(connection, tmp_path / "notes.mp3", TENANT))
    assert failure(place, unit) == "unreadable_audio"
    assert connection.queues.lengths()["assemble.interactive"] == 1
    run_task(replace(unit, stage=Stage.ASSEMBLE))
    ended = connection.job(TENANT, unit.run.job)
    assert ended.status is Status.FAILED
    assert ended.error and ended.error["code"] == "unreadable_audio"


def test_a_source_that_is_gone_is_reported(
    connection: Cluster, place: Workplace, file: Path
) -> None:
    source = upload(connection, file, TENANT)
    unit = prepared(connection, source, source_stays=False)
    assert failure(place, unit) == "source_missing"


def test_a_source_that_is_too_large_is_not_fetched(
    connection: Cluster, place: Workplace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = place.settings.model_copy(update={"max_source_bytes": 100})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    unit = prepared(connection, upload(connection, file, TENANT))
    assert failure(place, unit) == "audio_out_of_bounds"


@pytest.mark.slow
def test_an_object_of_somebody_s_bucket_is_fetched_and_named_by_its_content(
    connection: Cluster,
    place: Workplace,
    file: Path,
    s3_endpoint: str,
    s3_shared_client: Any,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3_shared_client.put_object(Bucket=bucket, Key="in/talk.wav", Body=file.read_bytes())
    values = place.settings.model_copy(update={"s3_endpoint_url": s3_endpoint})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    theirs = Source(name="talk.wav", url=f"s3://{bucket}/in/talk.wav")
    units = [prepared(connection, source) for source in (theirs, upload(connection, file, TENANT))]
    plans = [Records(place.store).plan(TENANT, unit.run.job) for unit in units]
    assert plans[0] == plans[1]


@pytest.fixture
def refusing(
    s3_shared_client: Any, place: Workplace, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Script]:
    """What the bucket of a submitter answers; the tries follow one another at once."""
    values = place.settings.model_copy(update={"s3_endpoint_url": s3_endpoint})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    monkeypatch.setattr("tasks.artifacts.s3.s3_client", lambda *_, **__: s3_shared_client)
    monkeypatch.setattr(submitted, "FIRST_PAUSE_SECONDS", 0.01)
    script = Script(s3_shared_client)
    yield script
    script.undo()


def test_a_submitter_s_bucket_that_denies_access_fails_the_job_after_a_few_tries(
    connection: Cluster, place: Workplace, bucket: str, refusing: Script
) -> None:
    sent = refusing.answer("HeadObject", *[(403, "AccessDenied")] * 9)
    unit = prepared(connection, Source(name="talk.wav", url=f"s3://{bucket}/in/talk.wav"))
    assert failure(place, unit) == "source_refused"
    assert len(sent) == submitted.REFUSED_TRIES


def test_one_refusal_of_a_submitter_s_bucket_does_no_harm(
    connection: Cluster,
    place: Workplace,
    file: Path,
    s3_shared_client: Any,
    bucket: str,
    refusing: Script,
) -> None:
    s3_shared_client.put_object(Bucket=bucket, Key="in/talk.wav", Body=file.read_bytes())
    refusing.answer("GetObject", (403, "AccessDenied"))
    unit = prepared(connection, Source(name="talk.wav", url=f"s3://{bucket}/in/talk.wav"))
    assert Records(place.store).plan(TENANT, unit.run.job).seconds > 0


def own_store_refuses(*_: object) -> None:
    raise StoreRefused("Access was denied.")


@pytest.mark.parametrize("theirs", [(403, "AccessDenied"), (400, "ExpiredToken")])
def test_a_worker_without_credentials_is_not_the_submitter_s_fault(
    tmp_path: Path,
    s3_endpoint: str,
    bucket: str,
    refusing: Script,
    theirs: tuple[int, str],
) -> None:
    refusing.answer("HeadObject", *[theirs] * 9)
    with pytest.raises(StoreRefused):
        submitted.fetch_object(
            f"s3://{bucket}/in/talk.wav",
            tmp_path / "source",
            max_bytes=100,
            endpoint_url=s3_endpoint,
            check_own=own_store_refuses,
        )


def test_an_outage_of_a_submitter_s_bucket_is_not_one_of_the_store(
    tmp_path: Path, s3_endpoint: str, bucket: str, refusing: Script
) -> None:
    refusing.answer("HeadObject", *[(503, "SlowDown")] * 9)
    with pytest.raises(SourceUnavailable, match=bucket):
        submitted.fetch_object(
            f"s3://{bucket}/in/talk.wav",
            tmp_path / "source",
            max_bytes=100,
            endpoint_url=s3_endpoint,
            check_own=lambda: None,
        )


def test_a_missing_bucket_of_the_cluster_is_not_a_missing_source(
    tmp_path: Path, s3_shared_client: Any
) -> None:
    own = S3Store("no-such-bucket", "", s3_shared_client)
    with pytest.raises(StoreRefused):
        submitted.fetch_within(own, "sources/ab", tmp_path / "source", 100)


def test_audio_decoded_before_a_crash_is_not_fetched_again(
    connection: Cluster, place: Workplace, file: Path
) -> None:
    source = upload(connection, file, TENANT)
    first = prepared(connection, source)
    plan = Records(place.store).plan(TENANT, first.run.job)
    place.store.delete(keys.chunks(TENANT, plan.audio, JobOptions()))
    second = prepared(connection, source, source_stays=False)
    assert Records(place.store).plan(TENANT, second.run.job) == plan


def test_nothing_is_left_in_the_scratch_directory(
    connection: Cluster, place: Workplace, file: Path
) -> None:
    prepared(connection, upload(connection, file, TENANT))
    scratch = place.settings.work_dir
    assert scratch is not None and list(scratch.iterdir()) == []


def test_the_pcm_is_the_audio(connection: Cluster, place: Workplace, file: Path) -> None:
    unit = prepared(connection, upload(connection, file, TENANT))
    audio = Records(place.store).plan(TENANT, unit.run.job).audio
    pcm = np.frombuffer(place.store.get(keys.pcm(TENANT, audio)), "<i2")
    expected = (np.clip(recording(12)[0], -1, 1) * 32767).astype("<i2")
    assert np.array_equal(pcm, expected)


@pytest.mark.slow
def test_a_web_address_is_fetched_and_named_by_its_content(
    connection: Cluster, place: Workplace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = place.settings.model_copy(update={"allow_urls": True, "trusted_hosts": "127.0.0.1"})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    with web_server(body(file.read_bytes())) as server:
        theirs = Source(name="talk.wav", url=server.url())
        units = [prepared(connection, each) for each in (theirs, upload(connection, file, TENANT))]
    plans = [Records(place.store).plan(TENANT, unit.run.job) for unit in units]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        (False, "http://127.0.0.1:{port}/talk.wav"),
        (True, "http://127.0.0.1:{port}/talk.wav"),
        (True, "https://localhost/talk.wav"),
        (True, "file:///etc/passwd"),
        (True, ""),
    ],
)
def test_an_address_that_is_not_allowed_is_not_fetched_though_it_was_submitted(
    connection: Cluster,
    place: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    allowed: bool,
    address: str,
) -> None:
    values = place.settings.model_copy(update={"allow_urls": allowed})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    with web_server(body(b"secret")) as canary:
        source = Source(name="talk.wav", url=address.replace("{port}", str(canary.port)))
        assert failure(place, prepared(connection, source)) == "address_not_allowed"
    assert not canary.connections


@pytest.mark.parametrize("bound", [{"max_audio_seconds": 5.0}, {"max_source_bytes": 100}])
def test_a_tenant_s_quota_holds_for_every_source(
    connection: Cluster, place: Workplace, file: Path, bound: dict[str, float]
) -> None:
    upload_of = upload(connection, file, TENANT).artifact or ""
    lying = keys.upload(TENANT, "0" * 23)
    connection.store.put(lying, connection.store.get(upload_of))
    job = submit(connection, Source(name="a", artifact=lying), JobOptions(), tenant=TENANT)
    manifest = connection.records.manifest(TENANT, job.id).model_copy(update=bound)
    key = keys.manifest(TENANT, job.id)
    connection.store.delete(key)
    connection.store.put(key, encode(manifest.model_dump(mode="json")))
    place.records.forget(TENANT, job.id)
    unit = Run(TENANT, job.id, 1).unit(Stage.PREPARE)
    run_task(unit)
    assert failure(place, unit) == "audio_out_of_bounds"


def bounded(connection: Cluster, place: Workplace, source: Source, seconds: float) -> Unit:
    """Prepare a job of split channels whose tenant may have so many seconds."""
    options = JobOptions(model="fake", channels="split")
    job = submit(connection, source, options, tenant=TENANT)
    manifest = connection.records.manifest(TENANT, job.id)
    key = keys.manifest(TENANT, job.id)
    connection.store.delete(key)
    changed = manifest.model_copy(update={"max_audio_seconds": seconds})
    connection.store.put(key, encode(changed.model_dump(mode="json")))
    place.records.forget(TENANT, job.id)
    unit = Run(TENANT, job.id, 1).unit(Stage.PREPARE)
    run_task(unit)
    return unit


def test_split_channels_count_one_by_one_whether_they_are_decoded_before_or_not(
    connection: Cluster, place: Workplace, tmp_path: Path
) -> None:
    path = stereo(tmp_path / "call.wav", recording(4)[0], recording(4, seed=3)[0])
    source, seconds = upload(connection, path, TENANT), len(recording(4)[0]) / 16_000
    assert (
        failure(place, bounded(connection, place, source, 1.5 * seconds)) == "audio_out_of_bounds"
    )
    enough = bounded(connection, place, source, 2.5 * seconds)
    assert len(Records(place.store).plan(TENANT, enough.run.job).channels) == 2
    assert (
        failure(place, bounded(connection, place, source, 1.5 * seconds)) == "audio_out_of_bounds"
    )


def test_the_operator_s_bound_of_decoded_bytes_holds(
    connection: Cluster, place: Workplace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = place.settings.model_copy(update={"max_decoded_bytes": 100_000})
    monkeypatch.setattr(ending, "workplace", lambda: replace(place, settings=values))
    unit = prepared(connection, upload(connection, file, TENANT))
    assert failure(place, unit) == "audio_out_of_bounds"
