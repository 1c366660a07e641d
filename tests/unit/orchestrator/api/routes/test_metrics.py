"""GET /metrics of the API, the requests that it counts, and its port for machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from redis import Redis

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.access import EVERY_SCOPE
from orchestrator.access.keys import ApiKeys
from orchestrator.api.application import make_application
from orchestrator.api.server import make_server, run_server
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.programs import settings_environment
from orchestrator.local.redis_server import RedisServer
from orchestrator.scaling.scaler import Scaler
from tests.unit.counted import Counted
from tests.unit.orchestrator.api.test_access import ROUTES

HOST = "http://127.0.0.1"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def http(connection: Cluster) -> Iterator[TestClient]:
    with TestClient(make_application(connection), base_url=HOST) as client:
        yield client


def names(text: str) -> set[str]:
    return {family.name for family in text_string_to_metric_families(text)}


def test_it_tells_counts_and_the_clusters_load(http: TestClient, connection: Cluster) -> None:
    Scaler(connection).publish([])
    reply = http.get("/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {"scriptorium_leases_lost", "scriptorium_queue_depth"} <= names(reply.text)


def test_it_is_open_metrics_for_who_asks_for_that(http: TestClient) -> None:
    reply = http.get("/metrics", headers={"Accept": f"{OPEN_METRICS}, text/plain;q=0.5"})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert "scriptorium_units" in {one.name for one in open_metrics_families(reply.text)}
    assert reply.text.endswith("# EOF\n")


def test_without_a_load_the_rest_is_told(http: TestClient) -> None:
    reply = http.get("/metrics")
    assert reply.status_code == 200
    assert "scriptorium_load_age_seconds" not in names(reply.text)


@pytest.mark.slow
def test_it_works_while_redis_is_away(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    url = SecretStr(server.url)
    connection = open_cluster(Settings(redis_url=url, store_url=(tmp_path / "store").as_uri()))
    try:
        with TestClient(make_application(connection), base_url=HOST) as http:
            Scaler(connection).publish([])
            assert "scriptorium_queue_depth" in names(http.get("/metrics").text)
            server.stop()
            reply = http.get("/metrics")
            assert reply.status_code == 200 and "scriptorium_leases_lost" in names(reply.text)
            assert "scriptorium_queue_depth" not in names(reply.text)
    finally:
        connection.close()
        server.stop()


def test_a_request_is_counted_by_its_routes_template(http: TestClient) -> None:
    with Counted() as grew:
        for job in ("one", "two"):
            assert http.get(f"/v1/jobs/{job}").status_code == 404
        http.get("/nowhere/1234")
        http.get("/nowhere/5678")
        http.request("EVIL", "/healthz")
    labels = {"method": "GET", "route": "/v1/jobs/{job}"}
    assert grew("scriptorium_http_requests_total", **labels, status="404") == 2
    assert grew("scriptorium_http_request_seconds_count", **labels) == 2
    unknown = {"method": "GET", "route": "other", "status": "404"}
    assert grew("scriptorium_http_requests_total", **unknown) == 2
    assert grew("scriptorium_http_requests_total", method="other") == 1


def test_a_failure_of_ours_is_counted_too(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("orchestrator.cluster.job_index.JobIndex.find", fail)
    with Counted() as grew:
        assert http.get("/v1/jobs/none").status_code == 500
    labels = {"method": "GET", "route": "/v1/jobs/{job}", "status": "500"}
    assert grew("scriptorium_http_requests_total", **labels) == 1


@pytest.mark.parametrize("name", [name for name in ROUTES if "{" in name])
def test_no_label_holds_what_was_asked_for(http: TestClient, name: str) -> None:
    method, _, template = name.partition(" ")
    path = template.replace("{", "canary-").replace("}", "").replace(":path", "")
    with Counted() as grew:
        http.request(method, path)
    assert grew("scriptorium_http_requests_total", route=template) == 1


def test_a_submission_is_counted_once_by_the_way_it_came(http: TestClient) -> None:
    with Counted() as grew:
        for _ in range(2):
            reply = http.post(
                "/v1/jobs",
                files={"file": ("a.wav", b"x")},
                headers={"Idempotency-Key": "the-same"},
            )
            assert reply.status_code in (200, 202)
        job = reply.json()["id"]
        http.post(f"/v1/jobs/{job}/cancel")
        http.post(f"/v1/jobs/{job}/cancel")
    assert grew("scriptorium_jobs_submitted_total", way="api") == 1
    assert grew("scriptorium_jobs_ended_total", status="canceled") == 1


@pytest.fixture
def internal(settings: Settings, redis: Redis) -> Iterator[tuple[str, str]]:
    """The addresses of an API with keys: for people, for machines."""
    with (
        socket.create_server(("127.0.0.1", 0)) as main,
        socket.create_server(("127.0.0.1", 0)) as machines,
    ):
        port = machines.getsockname()[1]
        connection = open_cluster(settings.model_copy(update={"metrics_port": port}))
        ApiKeys(connection.store, settings).create("anna", "test", EVERY_SCOPE)
        Scaler(connection).publish([])
        server = make_server(connection, "127.0.0.1", 0, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [main, machines]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"{HOST}:{main.getsockname()[1]}", f"{HOST}:{port}"
        server.should_exit = True
        thread.join()
    connection.close()


def test_machines_need_no_key_on_their_port_and_find_nothing_else(
    internal: tuple[str, str],
) -> None:
    people, machines = internal
    with httpx.Client(trust_env=False) as http:
        for path in ("/metrics", "/v1/autoscale", "/v1/autoscale/gpu", "/healthz", "/readyz"):
            assert http.get(machines + path).status_code == 200, path
        for path in ("/", "/v1/jobs", "/docs", "/openapi.json", "/v1/admin/keys", "/v1/session"):
            assert http.get(machines + path).status_code == 404, path
        for path in ("/metrics", "/v1/autoscale", "/v1/autoscale/gpu", "/v1/jobs"):
            assert http.get(people + path).status_code == 401, path
        # The port counts on which a request came in, not what it says.
        forged = {"Host": machines.removeprefix("http://"), "X-Forwarded-Port": machines[-5:]}
        assert http.get(f"{people}/metrics", headers=forged).status_code == 401
        reply = http.get(machines + "/metrics")
        assert "scriptorium_desired_workers" in names(reply.text)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        missing = http.get(f"{machines}/v1/autoscale/none")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_pool")


def test_a_metrics_port_that_is_taken_is_said_in_a_sentence(
    settings: Settings, redis: Redis
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        connection = open_cluster(settings.model_copy(update={"metrics_port": port}))
        with pytest.raises(InvalidOption, match=f"port {port}") as refused:
            run_server(connection, "127.0.0.1", 0)
        connection.close()
    assert "SCRIPTORIUM_METRICS_PORT" in refused.value.advice


@pytest.mark.slow
def test_serve_has_both_ports_and_gives_both_back(settings: Settings, redis: Redis) -> None:
    values = settings.model_copy(update={"metrics_port": 0, "api_port": 0})
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "serve"],
        env=settings_environment(values, os.environ, takes_over=True),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process, process.stderr:
        finished = threading.Timer(60, process.kill)  # else reading would wait for ever
        finished.start()
        ports = [0]
        for line in process.stderr:
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("event") == "metrics_served":
                ports.append(said["port"])
            if "startup complete" in line:
                break
        reply = httpx.get(f"{HOST}:{ports[-1]}/metrics", trust_env=False)
        assert "scriptorium_http_requests" in names(reply.text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)  # it raises it once more
        finished.cancel()
