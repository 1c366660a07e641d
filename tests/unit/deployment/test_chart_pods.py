"""The pods of the chart: what they run, what they may, how they are known to be well."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from config.settings import Settings
from orchestrator.cli.commands import app
from orchestrator.diagnosis.components import named_component
from orchestrator.local.front_door import flower_program
from tests.deployment.chart import (
    VALUE_FILES,
    Object,
    containers,
    objects,
    of_kind,
    pod_templates,
    value_file,
    values_of,
    variables,
)

names = pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
WORKS_HERE = frozenset({"/tmp", "/scratch", "/models", "/store", "/data"})


@names
def test_every_container_is_bounded_and_watched(name: str) -> None:
    for owner, container in containers(objects(value_file(name))):
        assert set(container["resources"]["requests"]) >= {"cpu"}, owner
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), owner


@names
def test_every_process_knows_what_it_is_for(name: str) -> None:
    """`scriptorium doctor` in a container then checks what belongs to it."""
    for owner, container in containers(objects(value_file(name))):
        told = {one["name"]: one.get("value") for one in container.get("env", [])}
        if "SCRIPTORIUM_STORE_URL" in told or "SCRIPTORIUM_WORK_DIR" in told:
            assert named_component(str(told["SCRIPTORIUM_COMPONENT"])), owner


@names
def test_every_pod_is_nobody_in_particular_on_a_root_that_is_read_only(name: str) -> None:
    found = objects(value_file(name))
    pods = [template["spec"] for _, template in pod_templates(found)]
    pods += [one["spec"] for one in of_kind(found, "Pod").values()]
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        user = None if name == "openshift" else 10001
        assert pod["securityContext"].get("runAsUser") == user
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@names
def test_what_a_process_writes_to_is_mounted(name: str) -> None:
    found = objects(value_file(name))
    for owner, template in pod_templates(found):
        volumes = {one["name"]: one for one in template["spec"]["volumes"]}
        for container in template["spec"]["containers"]:
            mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
            assert {one["name"] for one in mounts.values()} <= set(volumes), owner
            assert "/tmp" in mounts
            written = {path for path, one in mounts.items() if not one.get("readOnly")}
            assert written <= WORKS_HERE, owner
            assert "/models" in mounts or "worker" not in owner
            told = {one["name"]: one.get("value") for one in container["env"]}
            if "SCRIPTORIUM_WORK_DIR" in told:
                assert volumes[mounts[told["SCRIPTORIUM_WORK_DIR"]]["name"]]["emptyDir"][
                    "sizeLimit"
                ]


@pytest.mark.slow
@names
def test_every_command_is_one_of_the_command_line(name: str) -> None:
    commands = set()
    for owner, container in containers(objects(value_file(name))):
        if "command" not in container:
            assert parsed(container["args"]) == 0, owner
            commands.add(container["args"][0])
        else:
            assert owner.endswith(("-flower", "-redis"))
    assert {"serve", "worker", "reconciler"} <= commands


def parsed(arguments: list[str]) -> int:
    """The exit status of the command that they name, which does no more than to read them."""
    return CliRunner().invoke(app, [*arguments, "--help"]).exit_code


def test_an_option_or_a_command_that_does_not_exist_would_be_found() -> None:
    assert parsed(["worker", "--poll", "gpu"]) == 2
    assert parsed(["triggers", "kafka"]) == 2


def test_flower_is_started_as_on_one_machine_but_for_its_address(tmp_path: Path) -> None:
    values = Settings(flower_password=SecretStr("secret"), redis_url=SecretStr("redis://localhost"))
    (container,) = [
        one for owner, one in containers(objects(value_file("everything"))) if "flower" in owner
    ]
    ours = [word for word in container["command"] + container["args"] if "address" not in word]
    local = flower_program(values, tmp_path).command
    assert ours[1:] == [word for word in local[1:] if "address" not in word]


def test_a_process_is_well_while_it_touches_its_file(tmp_path: Path) -> None:
    probe = probe_of("reconciler")
    file = tmp_path / "heartbeat"
    command = [word.replace("/tmp/heartbeat", str(file)) for word in probe["exec"]["command"]]
    assert str(file) in command[-1]
    assert subprocess.run(command, capture_output=True).returncode != 0
    file.touch()
    assert subprocess.run(command).returncode == 0
    long_ago = time.time() - 300
    os.utime(file, (long_ago, long_ago))
    assert subprocess.run(command).returncode != 0


def probe_of(component: str) -> Object:
    found = of_kind(objects(values_of()), "Deployment")[f"demo-scriptorium-{component}"]
    container = found["spec"]["template"]["spec"]["containers"][0]
    told = {one["name"]: one.get("value") for one in container["env"]}
    assert told["SCRIPTORIUM_HEARTBEAT_FILE"] == "/tmp/heartbeat"
    probe: Object = container["livenessProbe"]
    return probe


def test_a_process_has_minutes_to_begin() -> None:
    for owner, container in containers(objects(values_of())):
        probe = container["startupProbe"]
        seconds = probe["periodSeconds"] * probe["failureThreshold"]
        assert seconds >= (600 if "worker" in owner else 120), owner


@pytest.mark.slow
def test_the_test_of_a_release_asks_the_api_whether_it_is_ready() -> None:
    pod = of_kind(objects(values_of()), "Pod")["demo-scriptorium-test-readyz"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (program,) = pod["spec"]["containers"][0]["args"]
    service = "http://demo-scriptorium-api:80"
    assert service in program
    with http.server.HTTPServer(("127.0.0.1", 0), _Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for status, expected in ((200, 0), (503, 1)):
            _Ready.status = status
            address = f"http://127.0.0.1:{server.server_port}"
            command = [sys.executable, "-I", "-c", program.replace(service, address)]
            assert subprocess.run(command, capture_output=True).returncode == expected
        server.shutdown()
        thread.join()


class _Ready(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_who_may_reach_whom() -> None:
    found = objects(value_file("everything"))
    policies = of_kind(found, "NetworkPolicy")
    assert policies["demo-speech-deny"]["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policies["demo-speech-deny"]["spec"]
    ours = {"app.kubernetes.io/name": "speech", "app.kubernetes.io/instance": "demo"}
    redis = policies["demo-speech-redis"]["spec"]["ingress"]
    assert redis[0]["from"][0]["podSelector"]["matchLabels"] == ours
    namespaces = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in policies["demo-speech-metrics"]["spec"]["ingress"]
        for peer in rule["from"]
    }
    assert namespaces == {"monitoring", "keda"}
    # Every port that a policy names is one that a container has.
    ports = {port["name"] for _, one in containers(found) for port in one["ports"]}
    named = {
        port["port"]
        for policy in policies.values()
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
        for port in rule["ports"]
    }
    assert {port for port in named if isinstance(port, str)} <= ports


@pytest.mark.parametrize("release", ["demo", "2026"])
def test_what_is_asked_says_of_which_release_it_is(release: str) -> None:
    found = objects(value_file("everything"), release)
    (api,) = of_kind(found, "ServiceMonitor").values()
    (others,) = of_kind(found, "PodMonitor").values()
    for endpoint in (*api["spec"]["endpoints"], *others["spec"]["podMetricsEndpoints"]):
        assert {"targetLabel": "release", "replacement": release} in endpoint["relabelings"]


def test_a_worker_knows_the_name_of_its_node() -> None:
    found = objects(value_file("everything"))
    for owner in of_kind(found, "Deployment"):
        if "-worker-" in owner:
            node = variables(found, owner)["SCRIPTORIUM_NODE"]
            assert node == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_metrics_are_asked_of_all_of_ours_and_the_public_service_has_none() -> None:
    found = objects(value_file("everything"))
    services = of_kind(found, "Service")
    assert [port["port"] for port in services["demo-speech-api"]["spec"]["ports"]] == [80]
    asked = of_kind(found, "ServiceMonitor")["demo-speech-api"]["spec"]["selector"]["matchLabels"]
    internal = services["demo-speech-api-internal"]["metadata"]["labels"]
    assert asked.items() <= internal.items()
    assert not asked.items() <= services["demo-speech-api"]["metadata"]["labels"].items()
    left_out = of_kind(found, "PodMonitor")["demo-speech"]["spec"]["selector"]["matchExpressions"]
    for owner, template in pod_templates(found):
        labels = template["metadata"]["labels"]
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        is_asked = labels["app.kubernetes.io/component"] not in left_out[0]["values"]
        assert ("metrics" in ports) == (is_asked or owner == "demo-speech-api")
