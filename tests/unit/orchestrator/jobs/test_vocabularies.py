"""Vocabularies have names and versions, and belong to one tenant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from gpu_worker.transcript import Segment
from gpu_worker.writing.rules import NumberForm
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs import vocabularies
from orchestrator.jobs.vocabularies import (
    TooManyVocabularies,
    UnknownVocabulary,
    VocabularyOutOfBounds,
    delete_vocabulary,
    list_vocabularies,
    put_vocabulary,
    vocabulary_version,
)
from tasks.runs import vocabulary_keys
from tasks.runs.option_values import LONGEST_HOTWORDS
from tasks.runs.vocabulary import Vocabulary
from tests.inputs.examples import TENANT


def saying(written: str) -> Vocabulary:
    return Vocabulary(replacements={"pie torch": written})


def put(cluster: Cluster, name: str, written: str, tenant: str = TENANT) -> str:
    return put_vocabulary(cluster.store, tenant, name, saying(written)).reference


def test_another_content_is_a_new_version_and_the_same_is_none(connection: Cluster) -> None:
    assert [put(connection, "legal", it) for it in ("a", "a", "b", "a")] == [
        "legal@1", "legal@1", "legal@2", "legal@3",
    ]  # fmt: skip
    store = connection.store
    assert vocabulary_version(store, TENANT, "legal").number == 3
    assert vocabulary_version(store, TENANT, "legal@2").content == saying("b")
    (named,) = list_vocabularies(store, TENANT)
    assert (named.name, named.versions, named.newest) == ("legal", (1, 2, 3), 3)


def test_requests_at_once_each_get_a_version_of_their_own(connection: Cluster) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda it: put(connection, "legal", str(it)), range(8)))
    assert sorted(made) == [f"legal@{number}" for number in range(1, 9)]


def test_a_deleted_one_is_gone_with_all_versions_and_begins_anew(connection: Cluster) -> None:
    put(connection, "legal", "a")
    put(connection, "legal", "b")
    delete_vocabulary(connection.store, TENANT, "legal")
    assert list_vocabularies(connection.store, TENANT) == []
    for gone in ("legal", "legal@1"):
        with pytest.raises(UnknownVocabulary):
            vocabulary_version(connection.store, TENANT, gone)
    with pytest.raises(UnknownVocabulary):
        delete_vocabulary(connection.store, TENANT, "legal")
    assert put(connection, "legal", "c") == "legal@1"


def test_a_tenant_sees_its_own_alone(connection: Cluster) -> None:
    put(connection, "legal", "a", tenant="other")
    assert list_vocabularies(connection.store, TENANT) == []
    with pytest.raises(UnknownVocabulary):
        vocabulary_version(connection.store, TENANT, "legal")
    with pytest.raises(UnknownVocabulary):
        delete_vocabulary(connection.store, TENANT, "legal")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "-a", "a@", "a@0", "a@x", "x" * 64])
def test_what_cannot_be_a_name_is_unknown(connection: Cluster, name: str) -> None:
    with pytest.raises(UnknownVocabulary):
        vocabulary_version(connection.store, TENANT, name)
    with pytest.raises(UnknownVocabulary):
        put_vocabulary(connection.store, TENANT, name, saying("a"))


def test_there_are_bounds(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "MOST_NAMES", 2)
    monkeypatch.setattr(vocabularies, "MOST_VERSIONS", 2)
    for written in "abc":
        put(connection, "one", written)
    assert list_vocabularies(connection.store, TENANT)[0].versions == (2, 3)
    put(connection, "two", "a")
    with pytest.raises(TooManyVocabularies):
        put(connection, "three", "a")
    assert put(connection, "two", "b") == "two@2"
    large = Vocabulary(masked=tuple(f"{number:090}" for number in range(900)))
    with pytest.raises(VocabularyOutOfBounds):
        put_vocabulary(connection.store, TENANT, "two", large)


def test_stray_objects_are_passed_over(connection: Cluster) -> None:
    folder = vocabulary_keys.vocabularies(TENANT)
    for name in ("stray", "legal/notes.txt", "legal/a/b.json"):
        connection.store.put(folder + name, b"{}")
    assert list_vocabularies(connection.store, TENANT) == []
    assert put(connection, "legal", "a") == "legal@1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"hot_words": ["a,b"]},
        {"hot_words": ["x" * 101]},
        {"hot_words": ["x"] * 201},
        {"replacements": {"pie torch": ""}},
        {"replacements": {"...": "x"}},
        {"replacements": {"a\nb": "x"}},
        {"replacements": {"a": "b\x00"}},
        {"masked": ["*"]},
        {"masked": [" "]},
        {"mask_style": "none"},
        {"numbers": "roman"},
        {"digits_from": -1},
        {"regexes": {}},
    ],
)
def test_a_wrong_vocabulary_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Vocabulary.model_validate(wrong)


@pytest.mark.parametrize("task", ["translate", "transcribe"])
@pytest.mark.parametrize(
    ("form", "heard", "text"), [("digits", "twenty", "20"), ("words", "20", "twenty")]
)
def test_a_translation_is_in_english(form: NumberForm, heard: str, text: str, task: str) -> None:
    content = Vocabulary(numbers=form)
    (segment,) = content.writer(task).segments([Segment(0.0, 1.0, heard)], "ja")
    assert segment.text == (text if task == "translate" else heard)


def test_the_engine_gets_the_jobs_own_hot_words_first_and_as_many_as_fit() -> None:
    assert Vocabulary().expected(None) is None
    assert Vocabulary().expected("Anna") == "Anna"
    assert Vocabulary(hot_words=("Ben", "Cleo")).expected("Anna") == "Anna, Ben, Cleo"
    many = Vocabulary(hot_words=tuple(f"{number:099}" for number in range(50)))
    found = many.expected("Anna")
    assert found is not None and len(found) <= LONGEST_HOTWORDS
    assert found.startswith("Anna, 0") and len(found) > LONGEST_HOTWORDS - 110
