"""A job's vocabulary: which version it gets, its hot words for the engine, and the job's copy.

The version and the hot words are fixed in the manifest when the job is submitted: all that stages
make of a chunk follows from the options there. What is written is read from the job's copy.
"""

from __future__ import annotations

from typing import Any

from orchestrator.jobs.vocabularies import UnknownVocabulary, Version, vocabulary_version
from tasks.artifacts import ArtifactMissing, ArtifactStore, encode, exists
from tasks.runs import keys, vocabulary_keys
from tasks.runs.json_artifacts import read_record
from tasks.runs.manifest import Manifest
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options
from tasks.runs.vocabulary import Vocabulary


def asked_version(
    store: ArtifactStore, tenant: str, options: JobOptions, idempotency_key: str | None
) -> Version | None:
    """Return the version that a new job gets; None without one. Raises UnknownVocabulary.

    A submission that is sent again has its job already: it needs no vocabulary, which may be gone.
    """
    if options.vocabulary is None:
        return None
    try:
        return _asked(store, tenant, options.vocabulary)
    except UnknownVocabulary:
        if idempotency_key is None or not exists(store, keys.idempotency(tenant, idempotency_key)):
            raise
        return None


def fixed(accepted: JobOptions, given: JobOptions, found: Version | None) -> dict[str, Any]:
    """Return what a manifest says of options that were accepted, and of their vocabulary.

    The options get the version's number, and its hot words behind those that were given.
    """
    if found is None:
        return {"options": accepted, "own_hotwords": None}
    changes = {
        "vocabulary": found.reference,
        "hotwords": found.content.expected(given.hotwords),
    }
    return {"options": accepted.model_copy(update=changes), "own_hotwords": given.hotwords}


def changed(first: Manifest, changes: dict[str, Any]) -> JobOptions:
    """Return a job's options with changes, without its vocabulary's hot words.

    Raises InvalidOption.
    """
    options = first.options
    if options.vocabulary is not None:
        options = options.model_copy(update={"hotwords": first.own_hotwords})
    return changed_options(options, changes)


def as_first(first: Manifest, given: JobOptions) -> JobOptions:
    """Return the options of a submission that is sent again, to be compared with the first one's.

    The vocabulary may have another version since, or be deleted: the name alone counts then.
    """
    had, asked = first.options, given.vocabulary
    is_same = had.vocabulary is not None and asked in (
        had.vocabulary,
        had.vocabulary.partition("@")[0],
    )
    if is_same and given.hotwords in (first.own_hotwords, had.hotwords):
        return given.model_copy(update={"vocabulary": had.vocabulary, "hotwords": had.hotwords})
    return given


def fixed_again(
    store: ArtifactStore, first: Manifest, options: JobOptions, changes: dict[str, Any]
) -> dict[str, Any]:
    """Return what `fixed` does for a job that is run again, with these options.

    It has the first one's version, unless that is changed. Raises UnknownVocabulary.
    """
    found = None
    if options.vocabulary is not None and "vocabulary" in changes:
        found = _asked(store, first.tenant, options.vocabulary)
    elif options.vocabulary is not None:
        name, _, number = options.vocabulary.partition("@")
        content = _copy(store, first.tenant, first.job, options.vocabulary)
        found = Version(name, int(number), content)
    return fixed(options, options, found)


def keep_copy(store: ArtifactStore, manifest: Manifest) -> None:
    """Put the vocabulary into the job's folder, before the job can run. Raises UnknownVocabulary.

    A job that is run again has it from the job before.
    """
    named, tenant = manifest.options.vocabulary, manifest.tenant
    if named is None or exists(store, vocabulary_keys.copy(tenant, manifest.job, named)):
        return
    content = _copy(store, tenant, manifest.rerun_of or manifest.job, named)
    key = vocabulary_keys.copy(tenant, manifest.job, named)
    store.put(key, encode(content.model_dump(mode="json")))


def copies(manifest: Manifest) -> tuple[str, ...]:
    """Return the key of the job's copy, if it has a vocabulary."""
    named = manifest.options.vocabulary
    return (vocabulary_keys.copy(manifest.tenant, manifest.job, named),) if named else ()


def pinned(store: ArtifactStore, tenant: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return options for many jobs, with the version of this moment. Raises UnknownVocabulary."""
    if options.get("vocabulary") is None:
        return options
    found = _asked(store, tenant, options["vocabulary"])
    return {**options, "vocabulary": found.reference}


def _copy(store: ArtifactStore, tenant: str, job: str, named: str) -> Vocabulary:
    """Return a job's copy, or the version itself if there is none. Raises UnknownVocabulary."""
    try:
        key = vocabulary_keys.copy(tenant, job, named)
        return read_record(store, key, Vocabulary.of_artifact)
    except ArtifactMissing:
        return _asked(store, tenant, named).content


def _asked(store: ArtifactStore, tenant: str, named: str) -> Version:
    """Return the version that the option names. Raises UnknownVocabulary, which says so."""
    try:
        return vocabulary_version(store, tenant, named)
    except UnknownVocabulary as error:
        error.option = "vocabulary"
        raise
