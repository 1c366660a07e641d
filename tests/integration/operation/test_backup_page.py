"""The commands of docs/backup.md, each run as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from config.settings import Settings
from gpu_worker.builtin import HELLO
from orchestrator.cli.commands import app
from orchestrator.cluster.connection import open_cluster
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import submit
from orchestrator.local.redis_server import RedisServer
from tasks.artifacts import exists
from tasks.artifacts.local import LocalStore
from tasks.artifacts.opening import open_store
from tasks.runs import keys
from tasks.runs.submitted_options import job_options
from tasks.runs.units import Run
from tests import ROOT
from tests.eventually import eventually

TENANT = "default"
PAGE = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
PACKAGES = {"aws": "awscli", "rclone": "rclone", "rsync": "rsync"}
WITH_BUCKETS = [line for line in COMMANDS if line.startswith(("aws", "rclone"))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    """The store of a cluster with an accepted job, whose open marker a copy then lacks."""
    redis = RedisServer(tmp_path)
    redis.start()
    settings = Settings(
        home=tmp_path,
        redis_url=SecretStr(redis.url),
        store_url=(tmp_path / "store").as_uri(),
        allowed_models="fake",
    )
    cluster = open_cluster(settings)
    options = job_options({"model": "fake", "language": "en", "aligner": "cross_attention"})
    submit(cluster, upload(cluster, HELLO, TENANT), options, tenant=TENANT)
    cluster.close()
    redis.stop()
    yield LocalStore(tmp_path / "store")


def the_job(store: LocalStore) -> Run:
    (key,) = store.list(keys.OPEN)
    return Run.parse(key.removeprefix(keys.OPEN))


def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a person types it."""
    # The machine's own bundle of certificates is not for a server without any.
    own = {name: it for name, it in os.environ.items() if name != "AWS_CA_BUNDLE"}
    return subprocess.run(
        shlex.split(command),
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def skip_without(command: str) -> None:
    program = command.split()[0]
    if shutil.which(program) is None:
        package = PACKAGES[program]
        pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")


def at(tmp_path: Path, command: str) -> str:
    """The command with directories of this test."""
    command = command.replace("/var/lib/scriptorium/store", str(tmp_path / "store"))
    return command.replace("/backup/store", str(tmp_path / "backup")).replace(
        "~/restored", str(tmp_path / "restored")
    )


def test_every_command_of_the_page_is_one_that_a_test_here_runs() -> None:
    programs = [line.split()[0] for line in COMMANDS]
    assert programs == ["aws", "rclone", "rsync", *["scriptorium"] * 4]
    for line in COMMANDS[3:]:
        assert "--store-url file:///backup/store" in line


@pytest.mark.parametrize("command", WITH_BUCKETS, ids=lambda it: it.split()[0])
def test_a_bucket_is_copied_with_all_deletions(
    command: str, store: LocalStore, s3_endpoint: str, bucket: str
) -> None:
    skip_without(command)
    ours = open_store(f"s3://{bucket}/prefix", endpoint_url=s3_endpoint)
    backup = open_store(f"s3://{bucket}/backup", endpoint_url=s3_endpoint)
    for key in store.list(""):
        ours.put(key, store.get(key))
    backup.put(keys.tombstone(TENANT, "gone"), b"{}")
    command = command.replace("bucket/prefix", f"{bucket}/prefix")
    command = command.replace("backup/prefix", f"{bucket}/backup")
    environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Other",
        "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
        "RCLONE_CONFIG_STORE_ENDPOINT": s3_endpoint,
        "RCLONE_CONFIG_STORE_FORCE_PATH_STYLE": "true",
    }
    done = run(command, **environment)
    assert done.returncode == 0, done.stderr
    assert list(backup.list("")) == list(store.list(""))


def test_a_directory_is_copied_with_all_deletions(store: LocalStore, tmp_path: Path) -> None:
    skip_without(COMMANDS[2])
    backup = LocalStore(tmp_path / "backup")
    backup.put(keys.tombstone(TENANT, "gone"), b"{}")
    done = run(at(tmp_path, COMMANDS[2]))
    assert done.returncode == 0, done.stderr
    assert list(backup.list("")) == list(store.list(""))


def test_a_copied_directory_is_looked_at_and_repaired(store: LocalStore, tmp_path: Path) -> None:
    verify, dry_run, repair = (at(tmp_path, line) for line in COMMANDS[3:6])
    job, copy = the_job(store), tmp_path / "backup"
    shutil.copytree(tmp_path / "store", copy)
    found = LocalStore(copy)
    found.delete(keys.open_run(job))
    assert told(verify).exit_code == 0  # of the last minute: perhaps just being submitted
    older = make_older(found, job)
    looked = told(verify)
    assert looked.exit_code == 1
    assert f"run_not_open       write    '{keys.open_run(older)}'" in looked.stdout
    assert told(dry_run).exit_code == 0
    assert not exists(found, keys.open_run(older))
    assert told(repair).exit_code == 0
    assert exists(found, keys.open_run(older))
    assert told(verify).exit_code == 0


@pytest.mark.heavy
def test_a_cluster_that_is_started_on_a_copy_completes_its_jobs(
    store: LocalStore, tmp_path: Path
) -> None:
    """The reconciler alone opens the run again."""
    up, job, copy = at(tmp_path, COMMANDS[6]), the_job(store), tmp_path / "backup"
    shutil.copytree(tmp_path / "store", copy)
    found = LocalStore(copy)
    found.delete(keys.open_run(job))
    environment = {**os.environ, "SCRIPTORIUM_MODEL": "fake", "SCRIPTORIUM_SELF_TEST": "false"}
    command = [sys.executable, "-m", "orchestrator.cli", *shlex.split(up)[1:]]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            result = keys.of_run(job, keys.RESULT)
            assert eventually(lambda: exists(found, result), within=120.0)
        finally:
            process.terminate()
            process.wait(60)


def told(command: str) -> Result:
    """The same command, in this process: each would take seconds to start."""
    return CliRunner().invoke(app, shlex.split(command)[1:])


def make_older(store: LocalStore, job: Run) -> Run:
    """Give the job an id of an hour ago, wherever it is named."""
    older = Run(job.tenant, f"{int(job.job[:11], 16) - 3_600_000:011x}{job.job[11:]}", job.number)
    for key in list(store.list("")):
        if job.job in key:
            data = store.get(key).replace(job.job.encode(), older.job.encode())
            store.put(key.replace(job.job, older.job), data)
            store.delete(key)
    return older
