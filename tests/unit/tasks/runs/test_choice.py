"""A run's models are chosen once, by the first worker, and everything after follows the choice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker import loaded
from gpu_worker.loaded import register_engine
from gpu_worker.models.whisper import AUTO, NEEDED_FILES, find_model
from gpu_worker.pcm import Span
from gpu_worker.transcription.engines.fake import FakeEngine
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Status
from orchestrator.jobs.runs import retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import rerun, submit
from tasks.artifacts import ArtifactMissing, exists
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Choice, Plan
from tasks.runs.options import JobOptions
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.inputs.hub_cache import put_into_hub_cache
from tests.inputs.speech import recording, write_wav
from tests.unit.tasks.inline import run_job, run_task

RATE = 16_000
UNIT = a_unit(Stage.DETECT_LANGUAGE)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"model_dir": tmp_path / "models"})


@pytest.fixture(autouse=True)
def models(place: Workplace, no_hub: None, no_index: Path) -> Iterator[None]:
    """Model base is in the cache, in name; nothing else can be had."""
    names = (name.replace("*", "txt") for name in NEEDED_FILES)
    put_into_hub_cache(find_model("base"), Path(str(place.settings.model_dir)), *names)
    register_engine("base", lambda request: FakeEngine())
    yield
    del loaded._engines["base"]


def choose(place: Workplace, **options: Any) -> Choice:
    """What the stage writes down for a short file and these options."""
    samples = recording(12)[0]
    plan = Plan(audio="ab", seconds=len(samples) / RATE, chunks=(Span(0, len(samples)),))
    write_records(place.store, a_manifest(**options), plan)
    place.store.put(keys.pcm(TENANT, "ab"), (samples * 32767).astype("<i2").tobytes())
    assert run_task(UNIT)["outcome"] == "computed"
    return Choice.of_artifact(json.loads(place.store.get(keys.of_run(UNIT.run, keys.CHOICE))))


def test_all_is_chosen_where_nothing_is_named(place: Workplace) -> None:
    choice = choose(place, model=AUTO, language=None, aligner="ctc")
    assert (choice.model, choice.aligner) == ("base", "cross_attention")
    assert [warning.code for warning in choice.warnings] == ["words_not_aligned"]
    manifest = Records(place.store).resolved(UNIT.run)
    assert manifest.options.model == "base" and manifest.options.beam_size == 5
    assert Records(place.store).language(manifest, a_plan()) == "en"


@pytest.mark.parametrize("languages", [("en", "tl"), "any"])
def test_no_language_is_detected_where_several_are_given(
    place: Workplace, languages: object
) -> None:
    choice = choose(place, model=AUTO, language=None, languages=languages, aligner="ctc")
    assert choice.model == "base"
    manifest = Records(place.store).resolved(UNIT.run)
    assert not exists(place.store, keys.language(TENANT, "ab", manifest.options))


def test_a_given_number_of_beams_stays(place: Workplace) -> None:
    choose(place, model=AUTO, beam_size=1)
    assert Records(place.store).resolved(UNIT.run).options.beam_size == 1


def test_what_is_named_is_not_chosen(place: Workplace) -> None:
    choice = choose(place, model="base", language="en", aligner="ctc")
    assert (choice.model, choice.diarize_model, choice.aligner) == (None, None, "cross_attention")


def test_in_silence_no_aligner_is_looked_for(place: Workplace) -> None:
    write_records(
        place.store,
        a_manifest(model=AUTO, language=None, aligner="ctc"),
        Plan(audio="00", seconds=1.0, chunks=(Span(0, RATE),)),
    )
    place.store.put(keys.pcm(TENANT, "00"), bytes(RATE * 2))
    run_task(UNIT)
    choice = Choice.of_artifact(json.loads(place.store.get(keys.of_run(UNIT.run, keys.CHOICE))))
    assert (choice.model, choice.aligner, choice.warnings) == ("base", None, ())


def test_nothing_is_computed_under_a_name_that_is_not_chosen_yet(place: Workplace) -> None:
    write_records(place.store, a_manifest(model=AUTO), a_plan())
    with pytest.raises(ArtifactMissing, match="choice"):
        Records(place.store).key(a_unit(Stage.TRANSCRIBE))


def test_a_run_that_an_older_worker_began_is_done_as_it_was_accepted(place: Workplace) -> None:
    manifest = a_manifest(model="base", aligner="ctc")
    write_records(place.store, manifest, a_plan())
    records = Records(place.store)
    assert records.resolved(UNIT.run) == manifest
    chunk = a_plan().chunks[0]
    heard = keys.of_chunk(Stage.TRANSCRIBE, TENANT, "ab", chunk, manifest.options, "en")
    assert records.key(a_unit()) == heard


def test_fields_of_a_later_release_are_ignored() -> None:
    assert Choice.of_artifact({"model": "base", "receipt": {}, "mood": "good"}).model == "base"


@pytest.mark.slow
def test_a_job_ends_with_one_choice_and_one_warning(
    connection: Cluster, redis: Redis, tmp_path: Path
) -> None:
    samples = recording(30)[0]
    path = write_wav(tmp_path / "talk.wav", samples)
    options = JobOptions(chunk_seconds=5.0)
    first = submit(connection, upload(connection, path, TENANT), options, tenant=TENANT)
    assert first.model == AUTO and first.stage is Stage.PREPARE
    run_job(redis, first)
    ended = connection.job(TENANT, first.id)
    assert (ended.status, ended.model) == (Status.COMPLETED, "base")
    assert ended.chunks.total > 1 and ended.progress == 1.0
    assert [warning["code"] for warning in ended.warnings] == ["words_not_aligned"]

    again = rerun(connection, TENANT, first.id, {"model": "base"})
    run_job(redis, again)
    receipts = connection.ledger.read(a_run(1, job=again.id))
    assert receipts[Stage.TRANSCRIBE, 0].outcome == "cached"


def test_the_next_run_chooses_anew(place: Workplace, connection: Cluster) -> None:
    choose(place, model=AUTO, language="en", aligner="ctc")
    connection.cancellations.flag(a_run())
    connection.store.put(
        keys.of_run(UNIT.run, keys.RESULT),
        b'{"transcript":null,"missing":[],"error":null,"canceled":true}',
    )
    retry(connection, TENANT, JOB)
    second = Run(TENANT, JOB, 2).unit(Stage.DETECT_LANGUAGE)
    assert Records(place.store).resolved(second.run).options.model == AUTO
    run_task(second)
    assert Records(place.store).resolved(second.run).options.model == "base"


def test_the_clusters_own_model_is_no_choice(connection: Cluster, tmp_path: Path) -> None:
    own = replace(connection, settings=connection.settings.model_copy(update={"model": "base"}))
    path = write_wav(tmp_path / "talk.wav", recording(5)[0])
    job = submit(own, upload(own, path, TENANT), job_options({}), tenant=TENANT)
    assert job.model == "base"
    named = submit(own, upload(own, path, TENANT), job_options({"model": "tiny"}), tenant=TENANT)
    assert named.model == "tiny"
    manifest = own.records.manifest(TENANT, job.id)
    assert manifest.options.beam_size == 5
