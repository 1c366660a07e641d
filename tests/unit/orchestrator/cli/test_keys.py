"""API keys on the command line."""

from __future__ import annotations

import pytest

from orchestrator.access import USUAL_SCOPES, NotAuthenticated, Scope
from orchestrator.access.keys import ApiKeys
from orchestrator.cluster.connection import Cluster
from tests.unit.orchestrator.cli.test_cli import Run, cluster, run

__all__ = ["cluster", "run"]


@pytest.fixture
def known(cluster: Cluster) -> ApiKeys:
    return ApiKeys(cluster.store, cluster.settings)


def test_a_key_is_printed_alone_and_once(run: Run, known: ApiKeys) -> None:
    made = run("keys", "create", "--name", "the page")
    key = made.out.strip()
    found = known.principal(key)
    assert (found.tenant, found.scopes) == ("default", USUAL_SCOPES)
    assert "not shown again" in made.err and key not in made.err
    listed = run("keys", "list")
    assert "the page" in listed.out and key not in listed.out


def test_tenant_and_scopes_are_chosen(run: Run, known: ApiKeys) -> None:
    made = run(
        "keys", "create", "--tenant", "acme", "--scope", "read", "--scope", "admin", "--json"
    ).json
    found = known.principal(made["key"])
    assert (found.tenant, found.scopes) == ("acme", frozenset({Scope.READ, Scope.ADMIN}))
    listed = run("keys", "list", "--json").json
    assert listed == [{name: it for name, it in made.items() if name != "key"}]


def test_a_revoked_key_is_known_no_more(run: Run, known: ApiKeys) -> None:
    made = run("keys", "create", "--json").json
    assert run("keys", "revoke", made["id"]).status == 0
    with pytest.raises(NotAuthenticated):
        known.principal(made["key"])
    again = run("keys", "revoke", made["id"])
    assert again.status == 2 and "There is no key" in again.err


def test_wrong_tenants_and_scopes_are_refused(run: Run, cluster: Cluster) -> None:
    assert run("keys", "create", "--tenant", "No Spaces").status == 2
    assert run("keys", "create", "--scope", "everything").status == 2
    assert run("keys", "list", "--json").json == []


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "x" * 256])
def test_a_name_that_no_record_should_have_is_refused(
    run: Run, cluster: Cluster, name: str
) -> None:
    assert (
        run("keys", "create", "--name", name).status == 2
    )  # corrections say the name of their key
    assert run("keys", "list", "--json").json == []


def test_old_keys_are_looked_at_and_then_signed(
    run: Run, cluster: Cluster, known: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("keys", "create", "--name", "old", "--json").json
    refused = run("keys", "sign")
    assert refused.status == 2 and "SCRIPTORIUM_KEYS_SECRET" in refused.err
    monkeypatch.setenv("SCRIPTORIUM_KEYS_SECRET", "s" * 32)
    assert run("keys", "list", "--json").json == []
    listed = run("keys", "sign")
    assert made["id"] in listed.out and "old" in listed.out
    assert run("keys", "sign", "0" * 12).status == 2
    assert run("keys", "sign", made["id"]).status == 0
    assert [key["id"] for key in run("keys", "list", "--json").json] == [made["id"]]
    assert "Every key is signed" in run("keys", "sign").out
    monkeypatch.delenv("SCRIPTORIUM_KEYS_SECRET")
    unsigned = run("keys", "create")
    assert unsigned.status == 2 and "are signed" in unsigned.err
