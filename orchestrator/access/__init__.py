"""Who may use the API: keys, their tenants and scopes, and the quota of a tenant.

ScriptoriumError
└── PermanentError
    ├── NotAuthenticated      not_authenticated    no key, or an unknown one
    ├── NotAllowed            not_allowed          the key lacks the scope
    ├── SourceNotAllowed      source_not_allowed   an address that jobs may not use
    └── TooManyKeys           too_many_keys        the tenant has as many keys as it may make
└── TransientError
    ├── QuotaExceeded         quota_exceeded       the tenant has too much in flight
    ├── BudgetSpent           budget_spent         the tenant has used what it may for now
    ├── TooManyWrongKeys      too_many_wrong_keys  the address has sent too many wrong keys
    └── ClusterFull           cluster_full         the cluster has too many open jobs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gpu_worker.errors import PermanentError, TransientError


class Scope(StrEnum):
    """A permission of an API key."""

    READ = "read"  # look at jobs and fetch transcripts
    WRITE = "write"  # submit, cancel, retry, delete
    ADMIN = "admin"  # keys, dead letters
    OPERATE = "operate"  # the whole cluster's load and metrics, but no contents of jobs


EVERY_SCOPE = frozenset(Scope)
USUAL_SCOPES = frozenset({Scope.READ, Scope.WRITE})  # of a key that is made without naming any


@dataclass(frozen=True, slots=True)
class Principal:
    """The sender of a request: its tenant, its scopes, and the id and the name of its key."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str | None = None  # None: anonymous, while no key is needed
    key_name: str | None = field(default=None, compare=False)  # for people

    def may(self, scope: Scope) -> bool:
        """Tell whether the sender has the scope."""
        return scope in self.scopes


class NotAuthenticated(PermanentError):
    """The request has no API key, or an unknown one."""

    code = "not_authenticated"
    hint = "Send it as `Authorization: Bearer KEY`; `scriptorium keys create` makes one."


class NotAllowed(PermanentError):
    """The API key does not have the scope that this request needs."""

    code = "not_allowed"
    hint = "Use a key with that scope; `scriptorium keys create --scope …` makes one."


class SourceNotAllowed(PermanentError):
    """The settings do not allow jobs to use this address as a source."""

    code = "source_not_allowed"
    hint = "Upload the file, or ask the operator to allow its bucket or URLs."


class TooManyKeys(PermanentError):
    """The tenant has as many API keys as the settings let its administrators make."""

    code = "too_many_keys"
    hint = "Revoke keys that are not used any more: DELETE /v1/admin/keys/{key}."


class TooManyWrongKeys(TransientError):
    """This address has sent too many wrong keys in a minute."""

    code = "too_many_wrong_keys"
    hint = "Correct the key, wait a minute and try again."


class QuotaExceeded(TransientError):
    """The tenant has as many jobs in flight, or as much of them, as its quota allows."""

    code = "quota_exceeded"
    hint = "Wait until some of them have ended and submit again."


class BudgetSpent(TransientError):
    """The tenant has used what its budget allows in this day or month."""

    code = "budget_spent"
    hint = "Submit again when it begins anew, or ask the operator for a larger one."


class ClusterFull(TransientError):
    """The cluster has as many open jobs as the settings allow."""

    code = "cluster_full"
    hint = "Submit again later; nothing of this submission was stored."
