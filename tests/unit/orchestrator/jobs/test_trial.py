"""A share of new jobs goes another way, for the same job always the same one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.settings import Settings
from gpu_worker.errors import InvalidOption, ModelNotTrusted, ScriptoriumError, UnknownModel
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.ids import job_id
from orchestrator.jobs.options import accepted_options
from orchestrator.jobs.submission import IdempotencyConflict, rerun, submit
from orchestrator.jobs.trial import divided, is_variant, trial_of
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tests.inputs.examples import TENANT, a_run

SOURCE = Source(name="talk.wav", url="s3://calls/talk.wav")
IDS = [job_id() for _ in range(2000)]
INT8 = {"share": 1.0, "compute_type": "int8"}


def with_trial(**trial: Any) -> Settings:
    return Settings(model="pico", allowed_models="fake,me/mine@v2", trial=trial)


def side(trial: dict[str, Any], **options: Any) -> tuple[JobOptions, str | None]:
    given, settings = JobOptions(**options), with_trial(**trial)
    return divided(given, accepted_options(given, settings), "job-1", settings)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_is_kept_and_a_job_is_always_of_the_same_side(share: float) -> None:
    chosen = [job for job in IDS if is_variant(job, share)]
    four_deviations = 4 * (share * (1 - share) / len(IDS)) ** 0.5
    assert len(chosen) / len(IDS) == pytest.approx(share, abs=four_deviations)
    assert chosen == [job for job in IDS if is_variant(job, share)]


def test_a_larger_share_keeps_those_that_were_chosen_before() -> None:
    few, more = ({job for job in IDS if is_variant(job, share)} for share in (0.1, 0.2))
    assert few < more


def test_a_job_of_the_variant_gets_its_options_and_one_of_the_control_side_none() -> None:
    assert side(INT8) == (JobOptions(model="pico", compute_type="int8"), "variant")
    assert side(INT8 | {"share": 0.0}) == (JobOptions(model="pico"), "control")
    assert side({"share": 1.0, "model": "fake"}) == (JobOptions(model="fake"), "variant")
    mine: dict[str, Any] = {"model": "me/mine", "revision": "v2"}
    assert side(mine | {"share": 1.0}) == (JobOptions(**mine), "variant")
    assert side({}) == (JobOptions(model="pico"), None)


def test_a_job_that_names_an_option_of_the_trial_takes_no_part() -> None:
    assert side(INT8, compute_type="float32")[1] is None
    assert side({"share": 1.0, "model": "fake"}, model="pico") == (JobOptions(model="pico"), None)
    assert side({"share": 1.0, "model": "fake", "compute_type": "int8"}, model="pico")[1] is None
    assert side(INT8, model="fake") == (JobOptions(model="fake", compute_type="int8"), "variant")


def test_a_new_model_has_its_own_beams_unless_the_job_names_some() -> None:
    trial = {"share": 1.0, "model": "large-v3"}
    assert side(trial)[0].beam_size == JobOptions(model="large-v3").beam_size
    assert side(trial, beam_size=7)[0].beam_size == 7


@pytest.mark.parametrize("options", [{"language": "es"}, {"task": "translate"}])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_job_that_the_variant_could_not_do_is_on_neither_side(
    share: float, options: dict[str, Any]
) -> None:
    found = side({"share": share, "model": "tiny.en"}, **options)
    assert found == (JobOptions(model="pico", **options), None)


@pytest.mark.parametrize(
    ("trial", "kind", "told"),
    [
        ({"share": 0.5}, InvalidOption, "changes model or compute_type"),
        ({"compute_type": "int8"}, InvalidOption, "share"),
        ({"share": 1.5, "compute_type": "int8"}, InvalidOption, "share"),
        ({"share": 0.5, "compute_type": "int7"}, InvalidOption, "compute_type"),
        ({"share": 0.5, "revision": "v2"}, InvalidOption, "revision is of a model"),
        ({"share": 0.5, "beam_size": 5}, InvalidOption, "beam_size"),
        ({"share": 0.5, "model": "large-v9"}, UnknownModel, "large-v9"),
        ({"share": 0.5, "model": "a/stranger"}, ModelNotTrusted, "a/stranger"),
        ({"share": 0.5, "model": "base", "revision": "v9"}, ModelNotTrusted, "base@v9"),
    ],
)
def test_a_wrong_trial_is_told(
    trial: dict[str, Any], kind: type[ScriptoriumError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        trial_of(with_trial(**trial))


def tried(connection: Cluster, **trial: Any) -> Cluster:
    changed = connection.settings.model_copy(update={"trial": trial, "model": "pico"})
    return replace(connection, settings=changed)


def taken(connection: Cluster, key: str | None = None, **options: Any) -> Manifest:
    job = submit(connection, SOURCE, JobOptions(**options), tenant=TENANT, idempotency_key=key)
    return connection.records.manifest(TENANT, job.id)


def test_the_manifest_has_the_side_and_without_a_trial_it_is_as_before(
    connection: Cluster,
) -> None:
    variant = taken(tried(connection, **INT8))
    assert (variant.trial, variant.options.compute_type) == ("variant", "int8")
    assert taken(tried(connection, **INT8 | {"share": 0.0})).trial == "control"
    usual = taken(tried(connection))
    assert usual.trial is None and "trial" not in usual.model_dump(mode="json")
    found = connection.jobs.find(TENANT, variant.job)
    assert found is not None and found[0] == variant


@pytest.mark.parametrize("first", [{}, INT8, INT8 | {"share": 0.0}, {"share": 1, "model": "fake"}])
@pytest.mark.parametrize("later", [{}, INT8, INT8 | {"share": 0.0}])
def test_a_submission_sent_again_is_the_same_job_though_the_trial_was_changed_meanwhile(
    connection: Cluster, first: dict[str, Any], later: dict[str, Any]
) -> None:
    job = taken(tried(connection, **first), "call-1", language="en")
    assert taken(tried(connection, **later), "call-1", language="en") == job
    for other in ({"language": "es"}, {"language": "en", "compute_type": "float32"}):
        with pytest.raises(IdempotencyConflict):
            taken(tried(connection, **later), "call-1", **other)


def test_a_key_whose_job_was_deleted_gets_a_new_job_of_the_trial(connection: Cluster) -> None:
    first = taken(tried(connection, **INT8), "call-2")
    delete_job(connection, TENANT, first.job)
    again = taken(tried(connection, **INT8), "call-2")
    assert again.job != first.job and again.trial == "variant"


def test_a_job_that_is_run_again_keeps_its_options_and_is_of_no_trial(connection: Cluster) -> None:
    cluster = tried(connection, **INT8)
    first = taken(cluster)
    run = a_run(job=first.job)
    record = result_record(error={"code": "unreadable_audio"})
    connection.store.put(keys.of_run(run, keys.RESULT), encode(record))
    connection.settle(run)
    again = rerun(cluster, TENANT, first.job, {"language": "en"})
    manifest = connection.records.manifest(TENANT, again.id)
    assert (manifest.options.compute_type, manifest.trial) == ("int8", None)
