"""The vocabularies of a tenant: named, with versions that are written once.

The highest version counts. A job names one, and gets the version of that moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from gpu_worker.errors import PermanentError
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode
from tasks.runs import vocabulary_keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.vocabulary import Vocabulary

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
MOST_NAMES = 100  # of one tenant
MOST_VERSIONS = 100  # of one name; older ones are deleted
MOST_BYTES = 64 * 1024  # of a version, which each job that names it has a copy of


class UnknownVocabulary(PermanentError):
    """There is no such vocabulary."""

    code = "unknown_vocabulary"
    hint = "GET /v1/vocabularies and `scriptorium vocabulary list` show the names and versions."


class TooManyVocabularies(PermanentError):
    """The tenant has as many vocabularies as one may have."""

    code = "too_many_vocabularies"
    hint = "Delete one that is not used any more; jobs that were submitted with it keep their copy."


class VocabularyOutOfBounds(PermanentError):
    """The vocabulary is larger than is accepted."""

    code = "vocabulary_out_of_bounds"
    hint = "Leave out words that your recordings do not have, or make two vocabularies."


@dataclass(frozen=True, slots=True)
class Named:
    """A vocabulary of a tenant: its name and the numbers of its versions."""

    name: str
    versions: tuple[int, ...]  # the newest last

    @property
    def newest(self) -> int:
        """The version that a job gets which names none."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a vocabulary."""

    name: str
    number: int
    content: Vocabulary

    @property
    def reference(self) -> str:
        """The name and the number, as the option `vocabulary` takes them: `legal@3`."""
        return f"{self.name}@{self.number}"


def list_vocabularies(store: ArtifactStore, tenant: str) -> list[Named]:
    """Return the tenant's vocabularies by their names."""
    folder = vocabulary_keys.vocabularies(tenant)
    parts = (key.removeprefix(folder).split("/") for key in store.list(folder))
    names = groupby((part for part in parts if len(part) == 2), key=lambda part: part[0])
    found = ((name, tuple(_numbers(file for _, file in same))) for name, same in names)
    return [Named(name, numbers) for name, numbers in found if numbers]


def put_vocabulary(store: ArtifactStore, tenant: str, name: str, content: Vocabulary) -> Version:
    """Write a new version and return it; the newest one, if that has the same content.

    Raises UnknownVocabulary for what cannot be a name, TooManyVocabularies or
    VocabularyOutOfBounds.
    """
    _check_name(name)
    data = encode(content.model_dump(mode="json"))
    if len(data) > MOST_BYTES:
        raise VocabularyOutOfBounds(
            f"It has {len(data):,} bytes as JSON; at most {MOST_BYTES:,} are accepted."
        )
    numbers = _versions(store, tenant, name)
    if not numbers and len(list_vocabularies(store, tenant)) >= MOST_NAMES:
        raise TooManyVocabularies(f"You have {MOST_NAMES} vocabularies.")
    if numbers:
        with suppress(ArtifactMissing):  # it was deleted just now
            if store.get(vocabulary_keys.version(tenant, name, numbers[-1])) == data:
                return Version(name, numbers[-1], content)
    number = numbers[-1] + 1 if numbers else 1
    while not store.put(vocabulary_keys.version(tenant, name, number), data):
        number += 1  # another request has written this version; take the next number
    for old in [it for it in numbers if it <= number - MOST_VERSIONS]:
        store.delete(vocabulary_keys.version(tenant, name, old))
    return Version(name, number, content)


def vocabulary_version(store: ArtifactStore, tenant: str, reference: str) -> Version:
    """Return a version by `name@version`, or by `name` the newest. Raises UnknownVocabulary."""
    name, at, asked = reference.partition("@")
    _check_name(name)
    if at and not re.fullmatch(r"[1-9][0-9]{0,5}", asked):
        raise UnknownVocabulary(f"There is no vocabulary {reference[:80]!r}.")
    numbers = [int(asked)] if at else _versions(store, tenant, name)
    if numbers:
        key = vocabulary_keys.version(tenant, name, numbers[-1])
        with suppress(ArtifactMissing):
            return Version(name, numbers[-1], read_record(store, key, Vocabulary.of_artifact))
    raise UnknownVocabulary(f"There is no vocabulary {reference[:80]!r}.")


def delete_vocabulary(store: ArtifactStore, tenant: str, name: str) -> None:
    """Delete all versions; jobs keep the copies that they have. Raises UnknownVocabulary."""
    _check_name(name)
    found = list(store.list(vocabulary_keys.versions(tenant, name)))
    if not found:
        raise UnknownVocabulary(f"There is no vocabulary {name!r}.")
    for key in found:
        store.delete(key)


def _check_name(name: str) -> None:
    """Raise UnknownVocabulary for what cannot be a name: it becomes a part of a key."""
    if not re.fullmatch(NAME, name):
        raise UnknownVocabulary(
            "A vocabulary's name has 1 to 63 letters, digits, _ and -, "
            "and begins with a letter or digit."
        )


def _versions(store: ArtifactStore, tenant: str, name: str) -> list[int]:
    folder = vocabulary_keys.versions(tenant, name)
    return list(_numbers(key.removeprefix(folder) for key in store.list(folder)))


def _numbers(files: Iterable[str]) -> Iterator[int]:
    """Yield the numbers of versions by the names of their files; stray ones are passed over."""
    for file in files:
        number = file.removesuffix(".json")
        if number.isdecimal():
            yield int(number)
