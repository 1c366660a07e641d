"""Jobs and dead letters are listed a piece at a time, of one tenant or of all."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from gpu_worker.errors import ChunkCrashed, InvalidOption
from orchestrator.cli.commands import app
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.submission import submit
from tasks.artifacts import encode
from tasks.runs import keys
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions
from tasks.runs.records import result_record
from tasks.runs.stages import Stage
from tasks.runs.units import Run
from tasks.state.receipts import Ledger, Receipt
from tests.inputs.examples import a_manifest, a_run, write_records

TENANTS = ("acme", "default", "other")


@pytest.fixture
def cluster(connection: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The commands find this cluster in their environment."""
    values = connection.settings
    assert values.redis_url is not None
    monkeypatch.setenv("REDIS_URL", values.redis_url.get_secret_value())
    monkeypatch.setenv("SCRIPTORIUM_STORE_URL", values.store_url or "")
    monkeypatch.setenv("SCRIPTORIUM_HOME", str(values.home))
    return connection


@pytest.fixture
def jobs(cluster: Cluster) -> dict[str, str]:
    """The tenants of two jobs each, newest first; of each tenant one has failed."""
    source, options = Source(name="talk.wav", url="s3://b/talk.wav"), JobOptions(model="fake")
    made: dict[str, str] = {}
    for _ in range(2):
        for tenant in TENANTS:
            job = submit(cluster, source, options, tenant=tenant)
            made = {job.id: tenant} | made
    for job_id, tenant in list(made.items())[:3]:
        run = Run(tenant, job_id, 1)
        error = encode(ChunkCrashed().to_json())
        cluster.store.put(keys.dead_letter(run.unit(Stage.TRANSCRIBE, 2)), error)
        record = encode(result_record(error=ChunkCrashed().to_json()))
        cluster.store.put(keys.of_run(run, keys.RESULT), record)
        cluster.settle(run)
    return made


def told(*arguments: str) -> Result:
    ended = CliRunner().invoke(app, list(arguments))
    assert ended.exit_code == 0, ended.exception
    return ended


def listed(*arguments: str) -> dict[str, str]:
    found = json.loads(told("list", "--json", *arguments).stdout)
    return {job["id"]: job["tenant"] for job in found}


def test_the_jobs_of_all_tenants_are_one_list_newest_first(jobs: dict[str, str]) -> None:
    assert list(listed("--all-tenants").items()) == list(jobs.items())
    assert set(listed().values()) == {"default"}


def test_a_table_of_all_tenants_names_them(
    jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a row is a line
    rows = told("list", "--all-tenants").stdout.splitlines()
    assert rows[0].split()[:2] == ["job", "tenant"]
    assert [row.split()[1] for row in rows[1:]] == list(jobs.values())
    assert "tenant" not in told("list").stdout


def test_a_long_list_is_shown_in_pieces(jobs: dict[str, str]) -> None:
    first = told("list", "--all-tenants", "--limit", "4", "--json")
    shown = [job["id"] for job in json.loads(first.stdout)]
    assert shown == list(jobs)[:4]
    assert first.stderr.strip() == f"There may be more: --before {shown[-1]}"
    last = told("list", "--all-tenants", "--limit", "4", "--before", shown[-1], "--json")
    assert [job["id"] for job in json.loads(last.stdout)] == list(jobs)[4:]
    assert last.stderr == ""


def test_jobs_are_listed_by_their_status(jobs: dict[str, str]) -> None:
    assert list(listed("--all-tenants", "--status", "failed")) == list(jobs)[:3]
    assert list(listed("--all-tenants", "--status", "queued")) == list(jobs)[3:]
    assert listed("--status", "completed") == {}


def test_a_status_is_found_behind_more_jobs_of_another_one(
    cluster: Cluster, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked for most, a job that waits long, is listed behind all that came later."""
    monkeypatch.setattr("orchestrator.jobs.newest._PIECE", 1)
    waiting = list(jobs)[3:]
    newest = list(jobs)[3]
    run = Run(jobs[newest], newest, 1)
    Ledger(cluster.redis).record(run.unit(Stage.PREPARE, 0), Receipt("computed"))
    first = told("list", "--all-tenants", "--status", "queued", "--limit", "1", "--json")
    assert [job["id"] for job in json.loads(first.stdout)] == [waiting[1]]
    assert first.stderr.strip() == f"There may be more: --before {waiting[1]}"
    assert list(listed("--all-tenants", "--status", "queued")) == waiting[1:]


def test_what_was_not_looked_at_is_told(
    cluster: Cluster, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.jobs.newest._PIECE", 1)
    monkeypatch.setattr("orchestrator.jobs.newest._PIECES", 2)
    shown = told("list", "--all-tenants", "--status", "processing", "--limit", "1")
    assert shown.stderr.strip() == f"There may be more: --before {list(jobs)[4]}"


@pytest.mark.parametrize("of", [(), ("--all-tenants",)], ids=["of one tenant", "of all"])
def test_a_list_goes_on_behind_a_job_whose_id_does_not_say_its_time(
    cluster: Cluster, jobs: dict[str, str], of: tuple[str, ...]
) -> None:
    """An id that a caller has chosen, as `list` itself tells it."""
    for number, job in enumerate(("job-2", "job-1")):
        manifest = a_manifest(job).model_copy(update={"created_at": 1000.0 - number})
        write_records(cluster.store, manifest)
        cluster.jobs.add(manifest, a_run(job=job))
    first = told("list", *of, "--limit", str(7 if of else 3), "--json")
    behind = json.loads(first.stdout)[-1]["id"]
    assert behind == "job-2" and first.stderr.strip().endswith(f"--before {behind}")
    assert list(listed(*of, "--before", behind)) == ["job-1"]


@pytest.mark.parametrize("given", ["no-such", "a/b", ".."])
def test_a_place_that_is_none_is_refused(jobs: dict[str, str], given: str) -> None:
    ended = CliRunner().invoke(app, ["list", "--before", given])
    assert isinstance(ended.exception, InvalidOption)


def test_the_dead_letters_of_all_tenants_name_them(jobs: dict[str, str]) -> None:
    found = json.loads(told("dead-letters", "--all-tenants", "--json").stdout)
    assert [letter["tenant"] for letter in found] == list(TENANTS)
    (own,) = json.loads(told("dead-letters", "--json").stdout)
    assert "tenant" not in own
    shown = told("dead-letters", "--all-tenants")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(TENANTS)
    assert "scriptorium --tenant TENANT retry JOB" in shown.stderr


def test_many_dead_letters_are_shown_in_pieces(jobs: dict[str, str]) -> None:
    first = told("dead-letters", "--all-tenants", "--limit", "2")
    behind = first.stderr.splitlines()[-1].removeprefix("There are more: --after ")
    last = told("dead-letters", "--all-tenants", "--limit", "2", "--after", behind)
    assert len(first.stdout.splitlines()) == 2
    assert [line.split()[0] for line in last.stdout.splitlines()] == ["other"]
    assert "There are more" not in last.stderr


def test_a_command_about_a_job_is_told_its_tenant(jobs: dict[str, str]) -> None:
    job = next(job for job, tenant in jobs.items() if tenant == "acme")
    assert CliRunner().invoke(app, ["status", job]).exit_code != 0
    assert json.loads(told("--tenant", "acme", "status", job, "--json").stdout)["id"] == job
    ended = CliRunner().invoke(app, ["--tenant", "No Tenant", "list"])
    assert isinstance(ended.exception, InvalidOption)
