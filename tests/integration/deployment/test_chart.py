"""The chart's processes, started here as their pods would start them; there is no cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import httpx
import pytest

from orchestrator.local.redis_server import RedisServer
from tests.deployment.chart import Object, objects, of_kind, value_file, variables
from tests.eventually import eventually
from tests.integration.process_group import process_group
from tests.ip_families import needs_ipv6

RELEASE = "demo-scriptorium"
KEY = "0123456789abcdef0123456789abcdef"
OUTAGE_SECONDS = 5.0
FROM_ELSEWHERE = {"resourceFieldRef": "2", "secretKeyRef": KEY}  # what a node would fill in


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Pod:
    """One component's container, with directories of the test in the place of its mounts."""

    def __init__(self, component: str, directory: Path, redis_url: str) -> None:
        self.found = objects(value_file("single-node"))
        name = f"{RELEASE}-{component}"
        owner = of_kind(self.found, "Deployment")[name]
        (self.container,) = owner["spec"]["template"]["spec"]["containers"]
        self.grace_seconds = owner["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        self.directory, self.name = directory / component, name
        self.ports = {"http": free_port(), "metrics": free_port()}
        self._redis_url = redis_url
        self.host = "127.0.0.1"

    def path(self, text: str) -> str:
        """What the text says, with our directories."""
        for mount in self.container["volumeMounts"]:
            text = text.replace(mount["mountPath"], str(self._place(mount)))
        return text

    def _place(self, mount: Object) -> Path:
        # The store's volume is the same in every pod.
        base = self.directory.parent if mount["name"] == "store" else self.directory
        place = base / mount["mountPath"].strip("/")
        place.mkdir(parents=True, exist_ok=True)
        return place

    def environment(self) -> dict[str, str]:
        told = {}
        for name, value in variables(self.found, self.name).items():
            if isinstance(value, dict):
                told[name] = next((FROM_ELSEWHERE.get(kind, self.name) for kind in value), "")
            else:
                told[name] = self.path(value)
        return told | {
            "PATH": os.environ["PATH"],
            "TMPDIR": self.path("/tmp"),
            "SCRIPTORIUM_REDIS_URL": self._redis_url,
            "SCRIPTORIUM_METRICS_PORT": str(self.ports["metrics"]),
            "SCRIPTORIUM_DEVICE": "cpu",  # this machine may have no GPU
        }

    def command(self) -> list[str]:
        words = [word.replace("$(POD_NAME)", self.name) for word in self.container["args"]]
        words = [{"8000": str(self.ports["http"])}.get(word, word) for word in words]
        return [sys.executable, "-m", "orchestrator.cli", *words]

    def is_well(self) -> bool:
        """What the node's probe would find."""
        probe = self.container["livenessProbe"]
        if "exec" in probe:
            return not subprocess.run(
                [self.path(word) if "/tmp" in word else word for word in probe["exec"]["command"]],
                capture_output=True,
            ).returncode
        headers = {one["name"]: one["value"] for one in probe["httpGet"]["httpHeaders"]}
        return self.get("http", probe["httpGet"]["path"], headers) is not None

    def get(self, port: str, path: str, headers: dict[str, str] | None = None) -> bytes | None:
        """The answer, if it is a good one."""
        try:
            with urlopen(self.request(port, path, headers), timeout=10) as answer:
                body: bytes = answer.read()
                return body
        except URLError:
            return None

    def request(self, port: str, path: str, headers: dict[str, str] | None = None) -> Request:
        return Request(f"http://{self.host}:{self.ports[port]}{path}", headers=headers or {})

    def is_ready(self) -> bool:
        """Whether the node would keep it in its Service."""
        probe = self.container["readinessProbe"]["httpGet"]
        headers = {one["name"]: one["value"] for one in probe["httpHeaders"]}
        return self.get(probe["port"], probe["path"], headers) is not None


@contextmanager
def running(pod: Pod) -> Iterator[subprocess.Popen[bytes]]:
    log = pod.directory.parent / f"{pod.name}.log"
    with process_group(pod.command(), pod.environment(), log) as process:
        yield process


@pytest.mark.parametrize("component", ["worker-cpu", "worker-gpu", "reconciler", "triggers-celery"])
def test_a_pod_becomes_well_and_ends_when_it_is_told_to(
    component: str, tmp_path: Path, redis_url: str
) -> None:
    pod = Pod(component, tmp_path, redis_url)
    with running(pod) as process:
        assert not pod.is_well()
        assert eventually(pod.is_well), (tmp_path / f"{pod.name}.log").read_text()
        assert pod.get("metrics", "/metrics")
        process.send_signal(signal.SIGTERM)  # as Kubernetes does, to the main process alone
        assert process.wait(pod.grace_seconds) == 0


def test_the_number_that_keda_asks_for_is_there(tmp_path: Path, redis_url: str) -> None:
    trigger = of_kind(objects(value_file("keda")), "ScaledObject")[f"{RELEASE}-worker-gpu"]["spec"][
        "triggers"
    ][0]["metadata"]
    api, reconciler = (Pod(one, tmp_path, redis_url) for one in ("api", "reconciler"))
    with running(api), running(reconciler):
        assert eventually(api.is_well), (tmp_path / f"{api.name}.log").read_text()
        path = urlsplit(trigger["url"]).path
        assert eventually(lambda: api.get("metrics", path) is not None)
        answer = json.loads(api.get("metrics", path) or b"{}")
        assert answer[trigger["valueLocation"]] == 0
        assert api.get("http", path) is None  # the public port asks for a key


@needs_ipv6
def test_the_api_s_pod_is_reached_in_a_cluster_of_either_family(
    tmp_path: Path, redis_url: str
) -> None:
    api = Pod("api", tmp_path, redis_url)
    with running(api):
        assert eventually(api.is_ready), (tmp_path / f"{api.name}.log").read_text()
        api.host = "[::1]"
        assert api.is_ready() and api.is_well()
        assert api.get("metrics", "/metrics")


def test_an_outage_of_redis_takes_no_pod_of_the_api_out_of_its_service(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    api, reconciler = (Pod(one, tmp_path, redis.url) for one in ("api", "reconciler"))

    def scaled() -> bool:
        return api.get("metrics", "/v1/autoscale/gpu") is not None

    def submitted(http: httpx.Client) -> httpx.Response:
        return http.post("/v1/jobs", files={"file": ("a.wav", b"RIFF")})

    try:
        with running(api), running(reconciler), client_of(api) as http:
            assert eventually(api.is_ready), (tmp_path / f"{api.name}.log").read_text()
            assert eventually(scaled)
            assert api.get("http", "/readyz") is not None
            redis.stop()
            began, told = time.monotonic(), []
            while time.monotonic() < began + OUTAGE_SECONDS:
                assert api.is_ready() and api.is_well()
                assert b"scriptorium_http_requests" in (api.get("metrics", "/metrics") or b"")
                metrics = f"http://127.0.0.1:{api.ports['metrics']}/v1/autoscale/gpu"
                told += [submitted(http), http.get(metrics)]
            told.append(http.get("/readyz"))  # people are told
            answers = {(it.status_code, code_of(it), it.headers.get("Retry-After")) for it in told}
            assert answers == {(503, "redis_unavailable", "5")}
            redis.start()  # empty
            assert eventually(lambda: submitted(http).status_code == 202)
            assert eventually(scaled)
            assert api.get("http", "/readyz") is not None
    finally:
        redis.stop()
    slowest = max(it.elapsed.total_seconds() for it in told)
    print(f"ready at {len(told) // 2} looks of {len(told) // 2} in {OUTAGE_SECONDS:.0f} s")
    print(f"{len(told)} requests answered 503, the slowest after {slowest:.2f} s")


def client_of(api: Pod) -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"http://127.0.0.1:{api.ports['http']}"
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)


def code_of(reply: httpx.Response) -> str:
    code: str = reply.json()["error"]["code"]
    return code
