"""Packs: sums by tenant, and the names of the runs that are in them."""

from __future__ import annotations

import json

from orchestrator.usage.accounts import Accounts, Pack, add_record
from tests.unit.orchestrator.usage.records import DAY, FIGURES, a_record


def test_accounts_are_by_day_and_tenant() -> None:
    accounts: Accounts = {}
    for record in (a_record(), a_record("job-2"), a_record(tenant="bolt"), a_record(ended_at=DAY)):
        add_record(accounts, record)
    assert {key: account.runs for key, account in accounts.items()} == {
        ("1970-04-11", "acme"): 2, ("1970-04-11", "bolt"): 1, ("1970-01-02", "acme"): 1,
    }  # fmt: skip
    two = accounts["1970-04-11", "acme"].figures
    assert two == {place: one + one for place, one in FIGURES.items()}


def test_a_pack_has_the_sums_of_its_records_and_comes_back_from_json() -> None:
    pack = Pack.of([a_record(), a_record("job-2"), a_record(tenant="bolt")])
    assert pack.names == {"acme/job-1/1", "acme/job-2/1", "bolt/job-1/1"}
    assert pack.tenants["acme"].runs == 2
    assert pack.tenants["acme"].figures["transcribe", "NVIDIA H200"].joules == 6000.0
    assert Pack.of_artifact(json.loads(pack.to_bytes()) | {"later": 1}) == pack
