"""Retention and legal holds on the command line."""

from __future__ import annotations

import json

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.collections import places
from orchestrator.collections.records import Collection
from orchestrator.jobs.deletion import delete_job
from orchestrator.jobs.holds import holds
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.records import result_record
from tasks.state import claims
from tests.inputs.examples import a_manifest, a_run, write_records
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run

__all__ = ["cluster", "run"]


@pytest.fixture
def old(cluster: Cluster) -> str:
    """A job of 2001 that has ended."""
    manifest = a_manifest()
    write_records(cluster.store, manifest.model_copy(update={"created_at": 1e9}))
    cluster.store.put(keys.of_run(a_run(), keys.RESULT), encode(result_record(canceled=True)))
    return manifest.job


def test_a_dry_run_tells_what_the_rules_would_delete(
    run: Run, cluster: Cluster, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("retention", "--dry-run", "--json").json == []  # without rules
    rules = {"*": {"transcripts": 30.0}}
    monkeypatch.setenv("SCRIPTORIUM_RETENTION", json.dumps(rules))
    assert run("retention").json == rules
    (due,) = run("retention", "--dry-run", "--json").json
    assert (due["job"], due["kind"]) == (old, "transcripts")
    assert old in run("retention", "--dry-run", "--tenant", due["tenant"]).out
    assert run("retention", "--dry-run", "--tenant", "other").out == ""
    assert cluster.store.size(keys.manifest(due["tenant"], old)) is not None


def test_a_dry_run_names_the_collections_whose_jobs_would_all_go(
    run: Run, cluster: Cluster, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = a_run(job="c-" + job_id_of(1e9))
    record = Collection(tenant=first.tenant, id=first.job, created_at=1e9, name="calls", lines=1)
    cluster.store.put(places.record(first.tenant, first.job), encode(record.model_dump()))
    cluster.store.put(places.piece(first, 0), encode({"lines": [{"number": 1, "job": old}]}))
    monkeypatch.setenv("SCRIPTORIUM_RETENTION", '{"*": {"audio": 30}}')
    assert run("retention", "--dry-run", "--json").json == []
    monkeypatch.setenv("SCRIPTORIUM_RETENTION", '{"*": {"transcripts": 30}}')
    due = run("retention", "--dry-run", "--json").json
    assert [(it["job"], it["kind"]) for it in due] == [
        (old, "transcripts"),
        (first.job, "collection"),
    ]


def job_id_of(created_at: float) -> str:
    return f"{int(created_at * 1000):011x}{'0' * 12}"


def test_a_hold_is_put_listed_heeded_and_released(run: Run, cluster: Cluster, old: str) -> None:
    assert run("hold", old, "--reason", "case 7").status == 0
    assert old in run("hold", "--list").out
    refused = run("delete", old)
    assert refused.status == 1 and "job_held" in refused.err
    assert run("hold", old, "--release").status == 0
    assert run("hold", old, "--release").status == 2
    assert run("delete", old).status == 0
    told = [json.loads(line)["action"] for line in run("audit", "--json").out.splitlines()]
    assert told == ["hold.put", "hold.release", "job.delete"]


def test_a_hold_that_comes_too_late_says_so(run: Run, cluster: Cluster, old: str) -> None:
    delete_job(cluster, a_manifest().tenant, old)
    for which in ([old], []):
        late = run("hold", *which, "--tenant", a_manifest().tenant)
        assert late.status == 1
        assert old in late.err
        assert "too late" in late.err


def test_a_hold_beside_a_deletion_that_does_not_go_on_says_that_it_stands(
    run: Run, cluster: Cluster, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.1)
    with claims.marked(cluster.store, cluster.leases, a_manifest().tenant, old):  # it died
        told = run("hold", old)
    assert told.status == 1
    assert "store_unavailable: The hold stands." in told.err
    assert "Give the command again" in told.err


@pytest.mark.parametrize("job", ["../../x", "a/b", "", "x\n", "\udcff"])
def test_a_hold_on_what_can_be_no_job_is_refused(run: Run, cluster: Cluster, job: str) -> None:
    assert "is no id of a job" in run("hold", job).err
    assert list(holds(cluster.store)) == []


def test_a_reason_may_be_anything_that_a_shell_gives(run: Run, cluster: Cluster, old: str) -> None:
    assert run("hold", old, "--tenant", a_manifest().tenant, "--reason", "\udcff").status == 0


@pytest.mark.parametrize("command", [("hold",), ("retention", "--dry-run"), ("audit",), ("usage",)])
def test_a_tenant_that_cannot_be_is_refused(
    run: Run, cluster: Cluster, command: tuple[str, ...]
) -> None:
    for name in ("../x", "A B"):
        assert "cannot be a tenant" in run(*command, "--tenant", name).err
    assert list(holds(cluster.store)) == []
    if command != ("hold",):
        assert run(*command, "--tenant", "_shadow").status == 0


def test_the_rules_of_a_bucket_are_printed_and_a_directory_has_none(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("retention", "--lifecycle")
    assert refused.status == 2 and "directory" in refused.err
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", "s3://calls/cluster")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    rules = run("retention", "--lifecycle", "--audit-days", "400").json["Rules"]
    prefixes = {it["Filter"]["Prefix"] for it in rules}
    assert {"cluster/", "cluster/audit/"} < prefixes


def test_wrong_kinds_are_refused_at_the_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPTORIUM_RETENTION", '{"*": {"pictures": 3}}')
    assert run("retention").status == 2
