"""The server around the application: where it may listen, and what it shows of itself."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.exposure import is_loopback
from orchestrator.access.keys import ApiKeys
from orchestrator.api.server import listen, make_server
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.trail.reading import Wanted, entries
from scriptorium_client import Client
from tests.eventually import PATIENCE_SECONDS, eventually
from tests.ip_families import needs_ipv6
from tests.servers.api import serving

SCRIPT = """
import sys
from pathlib import Path
from pydantic import SecretStr
from config.logging import configure_logging
from config.settings import Settings
from orchestrator.api.server import run_server
from orchestrator.cluster.connection import open_cluster

configure_logging()
values = Settings(redis_url=SecretStr(sys.argv[1]), store_url=sys.argv[2])
connection = open_cluster(values.model_copy(update={"heartbeat_file": Path(sys.argv[3])}))
run_server(connection, "127.0.0.1", 0)
connection.close()
"""


@pytest.fixture
def own_tempdir() -> Iterator[None]:
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.7", False), ("example.com", False)],
)  # fmt: skip
def test_a_loopback_address_is_known(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


def test_without_keys_no_public_address_is_listened_on(
    connection: Cluster, settings: Settings, own_tempdir: None
) -> None:
    with pytest.raises(InvalidOption, match="no API keys") as refused:
        make_server(connection, "0.0.0.0", 0)
    assert "scriptorium keys create" in refused.value.advice
    ApiKeys(connection.store, settings).create("anna", "test", EVERY_SCOPE)
    make_server(connection, "0.0.0.0", 0)
    assert tempfile.gettempdir() == str(settings.work_dir)


def test_who_says_so_may_serve_anybody(settings: Settings, redis: Redis, own_tempdir: None) -> None:
    public = open_cluster(settings.model_copy(update={"allow_anonymous": True}))
    make_server(public, "0.0.0.0", 0)
    public.close()


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(InvalidOption, match="another process"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InvalidOption, match="cannot listen"):
        listen("192.0.2.1", 0)


@pytest.mark.slow
def test_documents_come_from_this_host_only(connection: Cluster, own_tempdir: None) -> None:
    with serving(connection) as url, httpx.Client(base_url=url, trust_env=False) as http:
        page = http.get("/docs")
        assert "'self'" in page.headers["Content-Security-Policy"]
        assert "http" not in page.text.replace("http-equiv", "")
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon.png", "start.js"):
            assert http.get(f"/docs/{name}").status_code == 200
        for name in ("index.html", "..%2Fsetup.py", "%2e%2e"):
            assert http.get(f"/docs/{name}").status_code in (404, 200) and name
        assert http.get("/docs/index.html").status_code == 404
        document = http.get("/openapi.json").json()
        assert "JobRequest" in document["components"]["schemas"]
        assert "server" not in page.headers


@pytest.mark.slow
def test_it_beats_and_ends_when_it_is_told_to(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url, str(settings.store_url), str(tmp_path / "heartbeat")],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert process.stderr
    with process, process.stderr:
        finished = threading.Timer(
            PATIENCE_SECONDS, process.kill
        )  # else reading would wait for ever
        finished.start()
        for line in process.stderr:
            if "startup complete" in line:
                break
        assert eventually((tmp_path / "heartbeat").exists)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        process.wait(PATIENCE_SECONDS)
        finished.cancel()
    assert "Finished server process" in rest


@needs_ipv6
def test_it_is_reached_over_both_families_and_shows_clients_as_they_are(
    connection: Cluster, settings: Settings, own_tempdir: None
) -> None:
    secret, _ = ApiKeys(connection.store, settings).create("anna", "test", EVERY_SCOPE)
    jobs = {}
    with serving(connection, host="::") as url:
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            with Client(f"http://{host}:{port}", secret, trust_env=False) as client:
                jobs[client.submit(io.BytesIO(b"RIFF")).id] = host.strip("[]")
    connection.trail.flush()
    today = datetime.now(UTC).date()
    first = today - timedelta(days=1)  # midnight may pass in the test
    found = entries(connection.store, first, today, Wanted(action="job.submit"))
    assert {it.job: it.origin for it in found} == jobs
