"""Who may come in: API keys, the tenants they stand for, and how much a tenant may have.

ScriptoriumError
└── PermanentError
    ├── NotAuthenticated      not_authenticated    no key, or one that is not known
    ├── NotAllowed            not_allowed          the key lacks the scope
    └── SourceNotAllowed      source_not_allowed   an address that submitters may not name
└── TransientError
    ├── QuotaExceeded         quota_exceeded       the tenant has enough in flight
    └── ClusterFull           cluster_full         the cluster has
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gpu_worker.errors import PermanentError, TransientError


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"  # look at jobs and fetch transcripts
    WRITE = "write"  # submit, cancel, retry, delete
    ADMIN = "admin"  # keys, dead letters
    OPERATE = "operate"  # the whole cluster's load and metrics; nothing of what jobs hold


EVERY_SCOPE = frozenset(Scope)
USUAL_SCOPES = frozenset({Scope.READ, Scope.WRITE})  # of a key that is made without a word


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request is from."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str | None = None  # None: nobody asked for a key

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope."""
        return scope in self.scopes


class NotAuthenticated(PermanentError):
    """There is no API key in the request, or it is not known."""

    code = "not_authenticated"
    hint = "Send it as `Authorization: Bearer KEY`; `scriptorium keys create` makes one."


class NotAllowed(PermanentError):
    """The API key does not have the scope that this needs."""

    code = "not_allowed"
    hint = "Use a key with that scope; `scriptorium keys create --scope …` makes one."


class SourceNotAllowed(PermanentError):
    """Submitters may not name that address."""

    code = "source_not_allowed"
    hint = "Upload the file, or ask the operator to allow its bucket or URLs."


class QuotaExceeded(TransientError):
    """The tenant has as many jobs in flight as it may have."""

    code = "quota_exceeded"
    hint = "Wait until some of them have ended and submit again."


class ClusterFull(TransientError):
    """The cluster has as many open jobs as it takes."""

    code = "cluster_full"
    hint = "Submit again later; nothing of this submission was kept."
