"""A bad model in the shadow of production is found by the report, and its tenant sees nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.commands import app
from orchestrator.cluster.listed_jobs import listed_jobs
from orchestrator.cluster.shadows import MADE, SHADOW_TENANT
from orchestrator.jobs.deletion import delete_job
from tasks.runs import keys
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT
from tests.integration.conftest import StartCluster

RECORDINGS = 3
BAD = {"share": 1.0, "max_new_tokens": 2}  # a model that ends each window after a few words


def test_a_bad_model_in_the_shadow_is_found_and_the_tenant_neither_sees_nor_pays_for_it(
    start_cluster: StartCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = start_cluster(workers=1, shadow=BAD)
    files = [
        write_wav(tmp_path / f"{seed}.wav", recording(10, seed=seed)[0])
        for seed in range(RECORDINGS)
    ]
    jobs = [cluster.submit(file, language="en") for file in files]
    assert {job.status for job in cluster.follow(*jobs) if job.status.final} == {"completed"}
    connection = cluster.connection

    def all_done() -> bool:
        made = [job for _, job in listed_jobs(connection, SHADOW_TENANT, 10)]
        done = [connection.job(SHADOW_TENANT, job).status == "completed" for job in made]
        return len(done) == RECORDINGS and all(done)

    cluster.wait_until(all_done, 120.0)
    assert len(list(listed_jobs(connection, TENANT, 10))) == RECORDINGS

    settings = connection.settings
    assert settings.redis_url is not None and settings.store_url is not None
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", settings.store_url)
    runner = CliRunner()
    ended = runner.invoke(app, ["shadow", "report", "--json"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout)
    print(f"\n{report['all']['disagreement']:.1f} % of the words differ")
    assert (report["done"], report["flagged"], report["waiting"]) == (RECORDINGS, RECORDINGS, 0)
    assert report["all"]["disagreement"] > 50 and report["jobs"][0]["spans"]
    percents = [row["disagreement"] for row in report["jobs"]]
    assert percents == sorted(percents, reverse=True)
    assert report["jobs"][0]["shadow_side"]["device_seconds"] > 0

    # The operator pays for the shadows' transcription, and the tenant for its own.
    today = datetime.now(UTC).date().isoformat()
    accounts = connection.books.reader.accounts("2000-01-01", today)
    runs = {tenant: account.runs for (_, tenant), account in accounts.items()}
    assert runs == {TENANT: RECORDINGS, SHADOW_TENANT: RECORDINGS}

    for job in jobs:
        delete_job(connection, TENANT, job.id)
    assert list(connection.store.list(MADE)) == []
    assert not [
        key for key in connection.store.list(keys.jobs(SHADOW_TENANT)) if "/uses/" not in key
    ]
