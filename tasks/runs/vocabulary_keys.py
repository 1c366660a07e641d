"""The keys of vocabularies, and of the copies that jobs have of them.

tenants/<tenant>/vocabularies/<name>/<version>.json
tenants/<tenant>/jobs/<job>/vocabulary/<name>@<version>.json
"""

from __future__ import annotations

from tasks.runs import keys

_DIGITS = 6  # of a version's number, so that its keys sort


def vocabularies(tenant: str) -> str:
    """Return the folder of a tenant's vocabularies."""
    return f"tenants/{tenant}/vocabularies/"


def versions(tenant: str, name: str) -> str:
    """Return the folder of the versions of a vocabulary."""
    return f"{vocabularies(tenant)}{name}/"


def version(tenant: str, name: str, number: int) -> str:
    return f"{versions(tenant, name)}{number:0{_DIGITS}}.json"


def copy(tenant: str, job: str, named: str) -> str:
    """Return the key of a job's own copy; `named` is such as `legal@3`."""
    return keys.job(tenant, job, "vocabulary/") + f"{named}.json"
