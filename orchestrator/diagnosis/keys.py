"""Check whether API keys are signed, so that no worker can make one."""

from __future__ import annotations

from itertools import islice

from config.settings import Settings
from orchestrator.access.key_records import KeyRecords
from orchestrator.access.signatures import Signer
from orchestrator.diagnosis.check_result import CheckResult
from tasks.artifacts.opening import open_store

MOST_LOOKED_AT = 1000  # keys


def check_keys(settings: Settings) -> CheckResult:
    """Check that there is a secret for the API keys in the store, and that each is signed."""
    if settings.store_url is None:
        return CheckResult("keys", "ok", "No store is configured; `up` signs the keys that it has.")
    store = open_store(settings.store_url, endpoint_url=settings.s3_endpoint_url)
    records = KeyRecords(store, Signer(settings))
    if settings.keys_secret is None:
        if records.are_any_signed():
            return CheckResult("keys", "ok", "API keys are signed, by a secret that is not here.")
        if records.are_any(revoked=False):
            return CheckResult(
                "keys",
                "warning",
                "API keys are not signed: what can write to the store can make one.",
                "Set SCRIPTORIUM_KEYS_SECRET for the API, then `scriptorium keys sign`.",
            )
        return CheckResult("keys", "ok", "There are no API keys in the store.")
    looked_at = list(islice(records.all(), MOST_LOOKED_AT))
    unsigned = [key.id for key, is_signed in looked_at if not is_signed]
    if unsigned:
        return CheckResult(
            "keys",
            "warning",
            f"{len(unsigned)} API keys are not signed and do not work: {', '.join(unsigned[:5])}.",
            "Look at them with `scriptorium keys sign`, then sign or revoke them.",
        )
    return CheckResult("keys", "ok", f"{len(looked_at)} API keys, all signed.")
