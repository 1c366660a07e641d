"""Packs: sums by tenant, and the names of the runs that are in them."""

from __future__ import annotations

import json

from orchestrator.usage.accounts import Accounts, Pack, add_record
from tasks.usage.record import RunUsage
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


def test_a_pack_keeps_the_labels_apart_and_its_sums_as_an_earlier_release_reads_them() -> None:
    red, blue = (("team", "red"),), (("team", "blue"), ("x", "1"))
    records = [a_record("a"), a_record("b", labels=red), a_record("c", labels=blue), a_record("d")]
    data = json.loads(Pack.of(records).to_bytes())
    account = Pack.of_artifact(data).tenants["acme"]
    assert {labels: part.runs for labels, part in account.by_labels().items()} == {
        (): 2, red: 1, blue: 1,
    }  # fmt: skip
    plain = Pack.of(a_record(job) for job in "abcd")
    assert account == plain.tenants["acme"]
    sums = data["tenants"]["acme"]
    assert {"runs": sums["runs"], "use": sums["use"]} == json.loads(plain.to_bytes())["tenants"][
        "acme"
    ]


def test_a_record_is_read_with_its_labels_and_without() -> None:
    for labels in ((), (("team", "red"),)):
        record = a_record(labels=labels)
        assert RunUsage.of_artifact(record.run, json.loads(record.to_bytes())) == record
    assert b"labels" not in a_record().to_bytes()
