"""A tenant submits a file, whatever happens to an equal one meanwhile."""

from __future__ import annotations

import io

import pytest

from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.requests import FormRequest
from orchestrator.jobs.submitter import Submitter
from tasks.artifacts import exists
from tests.inputs.examples import TENANT
from tests.unit.orchestrator.jobs.lost_source import lose_source_once


@pytest.mark.parametrize("key", [None, "call-1"])
def test_a_file_that_goes_with_another_job_before_it_is_claimed_is_put_again(
    connection: Cluster, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    claimed_by = lose_source_once(monkeypatch)
    submitter = Submitter(connection, TENANT, key, "api")
    job = submitter.submit_file(io.BytesIO(b"sound"), "a.wav", FormRequest.model_validate({}))
    assert len(claimed_by) == 2
    source = connection.records.manifest(TENANT, job.id).source
    assert exists(connection.store, str(source.artifact))


def test_a_tenant_that_asks_for_the_interactive_lane_gets_it_for_short_files(
    connection: Cluster,
) -> None:
    asked = FormRequest.model_validate({"options": {"lane": "interactive"}})
    for tenant, lane in ((TENANT, "interactive"), ("acme", None)):
        job = Submitter(connection, tenant, None, "api").submit_file(io.BytesIO(b"a"), "a", asked)
        assert connection.records.manifest(tenant, job.id).options.lane == lane
