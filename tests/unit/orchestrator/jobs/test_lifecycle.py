"""What a bucket may expire by itself: S3 takes it, and nothing that a job needs is named."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.collections import places
from orchestrator.jobs.holds import hold_key
from orchestrator.jobs.lifecycle import lifecycle
from tasks.runs import keys, usage_keys
from tests.inputs.examples import JOB, TENANT, a_run, a_unit

EVERYTHING = {"trail_days": 400, "usage_days": 800, "version_days": 7}
NEEDED = (
    *(keys.open_run(a_run()), keys.owed(a_run()), keys.tombstone(TENANT, JOB)),
    *(keys.pending(TENANT, "u"), keys.dead_letter(a_unit()), keys.manifest(TENANT, JOB)),
    *(keys.source(TENANT, "s"), keys.upload(TENANT, "u"), keys.pcm(TENANT, "a")),
    *(keys.uses(TENANT, "s") + JOB, keys.releasing(TENANT, "s"), keys.idempotency(TENANT, "k")),
    *(usage_keys.used(a_run()), f"{usage_keys.UNCOUNTED}{TENANT}/{JOB}/1", hold_key(TENANT, JOB)),
    *(places.record(TENANT, "c-1"), places.lines(TENANT, "c-1"), places.deleted(TENANT, "c-1")),
    *(places.open_round(a_run(job="c-1")), places.OWED + a_run(job="c-1").name),
)


def test_a_bucket_takes_the_rules(s3_shared_client: Any, bucket: str) -> None:
    for asked in ({}, EVERYTHING):
        rules = lifecycle("calls/", **asked)
        s3_shared_client.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration=rules
        )
        told = s3_shared_client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert [(it["ID"], it["Filter"]) for it in told] == [
            (it["ID"], it["Filter"]) for it in rules["Rules"]
        ]
        assert len({it["ID"] for it in told}) == len(told)


@pytest.mark.parametrize("prefix", ["", "calls/"])
def test_no_rule_expires_what_a_job_a_claim_or_a_hold_needs(prefix: str) -> None:
    for rule in lifecycle(prefix, **EVERYTHING)["Rules"]:
        begins = rule["Filter"]["Prefix"]
        assert begins.startswith(prefix)
        if "Days" in rule.get("Expiration", {}):
            assert begins != prefix
            assert [key for key in NEEDED if (prefix + key).startswith(begins)] == []


def test_what_budgets_count_is_kept_for_a_month() -> None:
    rules = {it["ID"]: it for it in lifecycle("", usage_days=1)["Rules"]}
    assert rules["scriptorium-usage"]["Expiration"] == {"Days": 32}
    assert "scriptorium-audit-trail" not in rules
