"""The keys of a collection's artifacts, and its names in Redis.

    collections/<tenant>/<collection>                    the record: it is accepted
    open-collections/<tenant>/<collection>/<round>       the round has not ended
    owed-collections/<tenant>/<collection>/<round>       it has ended; a webhook is owed
    deleted-collections/<tenant>/<collection>            deleted; parts of it and jobs may be left
    tenants/<tenant>/collections/<collection>/lines.jsonl
                                             /wanted/<round>.json        the lines of a retry
                                             /made/<round>/<place>.json  what became of lines
                                             /gone/<job>                 a line's job is deleted
                                             /canceled/<round>
                                             /ended/<round>.json
                                             /delivery/<round>/<try>, and <round>.json

A round is named like a run, by tenant, collection and number. A collection's id begins with `c-`,
so that people tell it from a job's.
"""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from orchestrator.cluster.outbox import DUE_ROUNDS, Outbox
from orchestrator.jobs.ids import keyed_job
from orchestrator.jobs.lines import ACCEPTED as ACCEPTED
from tasks.artifacts import ArtifactStore, encode
from tasks.runs.units import Run

OPEN = "open-collections/"
OWED = "owed-collections/"
DELETED = "deleted-collections/"
PREFIX = "c-"  # of an id
_DIGITS = 8  # of a number in a key, so that keys sort as their numbers


def outbox(store: ArtifactStore, redis: Redis) -> Outbox:
    """Return the outbox of ended rounds: apart from that of jobs, which knows no collections."""
    return Outbox(store, redis, OWED, DUE_ROUNDS)


def record(tenant: str, collection: str) -> str:
    return f"{ACCEPTED}{tenant}/{collection}"


def open_round(turn: Run) -> str:
    return OPEN + turn.name


def marker(now: float) -> bytes:
    """Return the content of an open round's marker: since when it is there."""
    return encode({"since": now})


def deleted(tenant: str, collection: str) -> str:
    return f"{DELETED}{tenant}/{collection}"


def folder(tenant: str, collection: str, part: str = "") -> str:
    return f"tenants/{tenant}/collections/{collection}/{part}"


def lines(tenant: str, collection: str) -> str:
    return folder(tenant, collection, "lines.jsonl")


def wanted(turn: Run) -> str:
    return _of_round(turn, "wanted", ".json")


def canceled(turn: Run) -> str:
    return _of_round(turn, "canceled")


def ended(turn: Run) -> str:
    return _of_round(turn, "ended", ".json")


def made(turn: Run) -> str:
    """Return the folder of the pieces that say what became of a round's lines."""
    return _of_round(turn, "made", "/")


def piece(turn: Run, place: int) -> str:
    """Return the key of the piece that begins at that place of a round's lines."""
    return f"{made(turn)}{place:0{_DIGITS}}.json"


def tries(turn: Run) -> str:
    return _of_round(turn, "delivery", "/")


def delivered(turn: Run) -> str:
    return _of_round(turn, "delivery", ".json")


def newest_round(store: ArtifactStore, tenant: str, collection: str) -> Run:
    """Return the newest round of a collection, by the lines that its retries have named."""
    number = 1
    for key in store.list(folder(tenant, collection, "wanted/")):
        name = key.rpartition("/")[2].removesuffix(".json")
        number = max(number, int(name) if name.isdecimal() else 1)
    return Run(tenant, collection, number)


def names_of(store: ArtifactStore, top: str, tenant: str) -> Iterator[str]:
    """Yield the collections of a tenant in a folder of all tenants, oldest first."""
    begin = f"{top}{tenant}/"
    return (key.removeprefix(begin) for key in store.list(begin))


def client_key(key: str) -> str:
    """Return what a client's idempotency key for a collection is kept as, beside those of jobs."""
    return f"collection {key}" if key.strip() else key


def keyed_collection(store: ArtifactStore, tenant: str, key: str) -> str:
    """Return the id that belongs to a client's idempotency key, as `keyed_job` does."""
    return PREFIX + keyed_job(store, tenant, client_key(key))


def _of_round(turn: Run, part: str, end: str = "") -> str:
    return folder(turn.tenant, turn.job, f"{part}/{turn.number:0{_DIGITS}}{end}")
