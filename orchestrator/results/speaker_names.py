"""The names that users give to a job's speakers, shown instead of the labels.

Each change is stored as a new version, written once; the highest one counts. The transcript
itself is never changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gpu_worker.errors import PermanentError
from orchestrator.cluster.connection import Cluster, NotFinished
from tasks.artifacts import ArtifactMissing, encode
from tasks.runs import keys

LONGEST_NAME = 64  # characters
_DIGITS = 6  # of a version's number, so that its keys sort


class InvalidSpeakerNames(PermanentError):
    """These names cannot be given to the speakers of this job."""

    code = "invalid_speaker_names"
    hint = 'Send an object such as {"SPEAKER_00": "Anna"}, with labels of the transcript.'


def speaker_names(cluster: Cluster, tenant: str, job: str) -> dict[str, str]:
    """Return the name to show for each speaker label of a job.

    Raises UnknownJob or NotFinished.
    """
    given = given_names(cluster, tenant, job)
    return {label: given.get(label, label) for label in _labels(cluster, tenant, job)}


def name_speakers(
    cluster: Cluster, tenant: str, job: str, names: Mapping[str, str]
) -> dict[str, str]:
    """Replace the given names; a speaker that `names` leaves out has its label again.

    Raises UnknownJob, NotFinished or InvalidSpeakerNames.
    """
    labels = _labels(cluster, tenant, job)
    for label, name in names.items():
        if label not in labels:
            raise InvalidSpeakerNames(f"No speaker is labeled {label!r} in this transcript.")
        if not (name.strip() and len(name) <= LONGEST_NAME and name.isprintable()):
            raise InvalidSpeakerNames(
                f"The name of {label!r} must be 1 to {LONGEST_NAME} printable characters."
            )
    data = encode({label: name.strip() for label, name in names.items()})
    version = _newest(cluster, tenant, job) + 1
    while not cluster.store.put(_version(tenant, job, version), data):
        version += 1  # another request has written this version; take the next number
    return speaker_names(cluster, tenant, job)


def given_names(cluster: Cluster, tenant: str, job: str) -> dict[str, str]:
    """Return the given names by label; empty if none were given."""
    newest = _newest(cluster, tenant, job)
    if not newest:
        return {}
    try:
        names: dict[str, str] = json.loads(cluster.store.get(_version(tenant, job, newest)))
    except ArtifactMissing:  # the job was deleted just now
        return {}
    return names


def with_names(transcript: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a published transcript with names in place of labels. Pure."""
    if not names:
        return dict(transcript)
    segments = [
        segment | {"words": [_named(word, names) for word in segment.get("words", ())]}
        for segment in _all_named(transcript.get("segments", ()), names)
    ]
    named = {"segments": segments}
    for part in ("word_segments", "turns"):
        if part in transcript:
            named[part] = _all_named(transcript[part], names)
    return {**transcript, **named}


def _all_named(items: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[Any]:
    return [_named(item, names) for item in items]


def _named(item: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    name = names.get(item.get("speaker", ""))
    return {**item, "speaker": name} if name else dict(item)


def _labels(cluster: Cluster, tenant: str, job: str) -> list[str]:
    transcript = cluster.result(tenant, job)["transcript"]
    if transcript is None:
        raise NotFinished(
            f"Job {job} has no transcript.", hint="`scriptorium status JOB` says why."
        )
    items = [*transcript.get("segments", ()), *transcript.get("turns", ())]
    items += transcript.get("word_segments", ())
    return sorted({item["speaker"] for item in items if item.get("speaker")})


def _newest(cluster: Cluster, tenant: str, job: str) -> int:
    *_, last = (0, *map(_number, cluster.store.list(keys.job(tenant, job, "speakers/"))))
    return last


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))


def _version(tenant: str, job: str, number: int) -> str:
    return keys.job(tenant, job, "speakers/") + f"{number:0{_DIGITS}}.json"
