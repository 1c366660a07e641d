"""A job has the version of its vocabulary of the moment when it was submitted, for ever."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpu_worker.errors import RedisUnavailable
from orchestrator.cluster.connection import Cluster
from orchestrator.cluster.job import Job
from orchestrator.collections.acceptance import Asked, accept
from orchestrator.collections.records import Line
from orchestrator.jobs import acceptance
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.submission import IdempotencyConflict, rerun, submit
from orchestrator.jobs.vocabularies import UnknownVocabulary, delete_vocabulary, put_vocabulary
from tasks.artifacts import encode, exists
from tasks.runs import keys, vocabulary_keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.vocabulary import Vocabulary, vocabulary_of
from tests.inputs.examples import TENANT, a_run

SOURCE = Source(name="talk.wav", url="s3://calls/talk.wav")
FIRST = Vocabulary(hot_words=("Ben",), replacements={"pie torch": "PyTorch"})
SECOND = Vocabulary(hot_words=("Ben",), replacements={"pie torch": "Torch"})


@pytest.fixture(autouse=True)
def legal(connection: Cluster) -> None:
    put_vocabulary(connection.store, TENANT, "legal", FIRST)


def submitted(to: Cluster, named: str | None = "legal", key: str | None = None, **more: Any) -> Job:
    options = JobOptions(model="fake", language="en", vocabulary=named, **more)
    return submit(to, SOURCE, options, tenant=TENANT, idempotency_key=key)


def options_of(to: Cluster, job: Job) -> JobOptions:
    return to.records.manifest(TENANT, job.id).options


def content_of(to: Cluster, job: Job) -> Vocabulary | None:
    return vocabulary_of(to.store, to.records.manifest(TENANT, job.id))


def end(to: Cluster, job: Job) -> None:
    to.store.put(keys.of_run(a_run(job=job.id), keys.RESULT), encode(result_record(canceled=True)))
    to.settle(a_run(job=job.id))


def test_the_manifest_has_the_version_and_the_hot_words(connection: Cluster) -> None:
    job = submitted(connection, hotwords="Anna")
    found = options_of(connection, job)
    assert (found.vocabulary, found.hotwords) == ("legal@1", "Anna, Ben")
    assert content_of(connection, job) == FIRST
    without = submitted(connection, None, hotwords="Anna")
    assert options_of(connection, without).hotwords == "Anna"
    assert content_of(connection, without) is None


def test_a_job_keeps_its_version_when_the_vocabulary_is_changed_and_deleted(
    connection: Cluster,
) -> None:
    job = submitted(connection)
    put_vocabulary(connection.store, TENANT, "legal", SECOND)
    newer = submitted(connection)
    delete_vocabulary(connection.store, TENANT, "legal")
    assert (content_of(connection, job), content_of(connection, newer)) == (FIRST, SECOND)
    assert options_of(connection, newer).vocabulary == "legal@2"


def test_only_other_hot_words_change_what_is_transcribed(connection: Cluster) -> None:
    def marks(job: Job) -> str:
        return keys.chunk_mark(Stage.TRANSCRIBE, options_of(connection, job), "en")

    first = submitted(connection)
    put_vocabulary(connection.store, TENANT, "legal", SECOND)
    assert marks(submitted(connection)) == marks(first)
    put_vocabulary(connection.store, TENANT, "legal", Vocabulary(hot_words=("Cleo",)))
    assert marks(submitted(connection)) != marks(first)


def test_an_unknown_one_is_refused_and_the_key_can_be_used_again(connection: Cluster) -> None:
    for named in ("other", "legal@2"):
        with pytest.raises(UnknownVocabulary):
            submitted(connection, named, key="call 1")
    assert not list(connection.store.list(keys.jobs(TENANT)))
    submitted(connection, key="call 1")


def test_a_submission_that_is_sent_again_is_the_same_job_even_if_the_vocabulary_has_changed(
    connection: Cluster,
) -> None:
    job = submitted(connection, key="call 1", hotwords="Anna")
    put_vocabulary(connection.store, TENANT, "legal", SECOND)
    assert submitted(connection, key="call 1", hotwords="Anna").id == job.id
    assert submitted(connection, "legal@1", key="call 1", hotwords="Anna").id == job.id
    delete_vocabulary(connection.store, TENANT, "legal")
    assert submitted(connection, key="call 1", hotwords="Anna").id == job.id
    for named, hotwords in (("legal", "Eva"), ("legal", None), ("legal@2", "Anna"), (None, "Anna")):
        with pytest.raises((IdempotencyConflict, UnknownVocabulary)):
            submitted(connection, named, key="call 1", hotwords=hotwords)
    assert content_of(connection, job) == FIRST


def test_a_rerun_has_the_first_version_unless_it_names_another(connection: Cluster) -> None:
    job = submitted(connection, hotwords="Anna")
    end(connection, job)
    put_vocabulary(
        connection.store, TENANT, "legal", SECOND.model_copy(update={"hot_words": ("Cleo",)})
    )

    def again(**changes: Any) -> tuple[str | None, str | None]:
        made = rerun(connection, TENANT, job.id, changes)
        found = options_of(connection, made)
        if found.vocabulary is not None:
            assert content_of(connection, made) is not None
        return found.vocabulary, found.hotwords

    assert again() == ("legal@1", "Anna, Ben")
    assert again(vocabulary="legal") == ("legal@2", "Anna, Cleo")
    assert again(vocabulary=None) == (None, "Anna")
    assert again(hotwords="Eva") == ("legal@1", "Eva, Ben")
    delete_vocabulary(connection.store, TENANT, "legal")
    assert again() == ("legal@1", "Anna, Ben")
    with pytest.raises(UnknownVocabulary):
        again(vocabulary="legal")


def test_the_copy_goes_with_the_job(connection: Cluster) -> None:
    job = submitted(connection)
    assert exists(connection.store, vocabulary_keys.copy(TENANT, job.id, "legal@1"))
    delete_job(connection, TENANT, job.id)
    assert not list(connection.store.list(keys.job(TENANT, job.id)))


def test_a_refused_job_leaves_no_copy(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RedisUnavailable("It is away.")

    monkeypatch.setattr(acceptance, "issue", fail)
    with pytest.raises(RedisUnavailable):
        submitted(connection)
    assert not list(connection.store.list(keys.jobs(TENANT)))


def test_all_lines_of_a_collection_have_the_version_of_its_acceptance(
    connection: Cluster,
) -> None:
    line = Line(number=1, source="s3://calls/a.wav", name="a.wav")
    accepted = accept(connection, TENANT, Asked("may", {"vocabulary": "legal"}), [line])
    assert accepted.options == {"vocabulary": "legal@1"}
    with pytest.raises(UnknownVocabulary):
        accept(connection, TENANT, Asked("may", {"vocabulary": "other"}), [line])


def test_a_manifest_without_a_vocabulary_has_none_of_its_fields(connection: Cluster) -> None:
    job = submitted(connection, None)
    data = json.loads(connection.store.get(keys.manifest(TENANT, job.id)))
    assert "own_hotwords" not in data and "vocabulary" not in data["options"]
