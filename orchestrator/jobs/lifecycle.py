"""The lifecycle rules that a bucket may carry out by itself, as S3 takes them. Pure.

A bucket knows the age of an object, and nothing of jobs, claims and holds. So its rules may name
only what no job needs, in any state. Days that an operator chooses have no default.
"""

from __future__ import annotations

from typing import Any

from orchestrator.cluster.store_requirements import PROBES
from orchestrator.trail.entry import FOLDER as TRAIL
from tasks.runs import keys, usage_keys

_UNFINISHED = {"DaysAfterInitiation": 1}
BUDGET_DAYS = 32  # budgets of a month are counted from the packs of its days


def lifecycle(
    prefix: str,
    *,
    trail_days: int | None = None,
    usage_days: int | None = None,
    version_days: int | None = None,
) -> dict[str, Any]:
    """Return the configuration for `put_bucket_lifecycle_configuration`.

    `prefix`: of the store's keys in the bucket, with its slash; the rules name nothing outside.
    `version_days`: for which a bucket with versions keeps those that were deleted.
    """
    rules = [
        _rule(
            "unfinished-uploads", prefix, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}
        ),
        _expiring("doctor", prefix + PROBES, 1),
        _expiring("dead-letters-of-triggers", prefix + keys.DEAD_TRIGGERS, 30),
    ]
    if trail_days is not None:
        rules.append(_expiring("audit-trail", prefix + TRAIL, trail_days))
    if usage_days is not None:
        days = max(usage_days, BUDGET_DAYS)
        rules.append(_expiring("usage", prefix + usage_keys.DAYS, days))
    if version_days is not None:
        noncurrent = {"NoncurrentDays": version_days}
        rules.append(_rule("versions", prefix, NoncurrentVersionExpiration=noncurrent))
        marker = {"ExpiredObjectDeleteMarker": True}
        rules.append(_rule("delete-markers", prefix, Expiration=marker))
    return {"Rules": rules}


def _expiring(name: str, prefix: str, days: int) -> dict[str, Any]:
    return _rule(name, prefix, Expiration={"Days": days})


def _rule(name: str, prefix: str, **does: Any) -> dict[str, Any]:
    return {
        "ID": f"scriptorium-{name}",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        **does,
    }
