"""What operators may say of the chart's objects and pods, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import helm_python
import kubernetes_validate
import pytest

from tests.deployment.chart import (
    CHART,
    Object,
    objects,
    of_kind,
    pod_templates,
    rendered,
    value_file,
    values_of,
    variables,
)

RELEASE = "demo-scriptorium"
COMPONENTS = ("api", "reconciler", "triggers.celery", "triggers.sqs", "flower", "workers.gpu")
RULES = {"rules": "[[rule]]\n", "sqs": {"enabled": True, "queueUrl": "https://sqs.example.org/q"}}
FLOWER = {"enabled": True, "password": {"existingSecret": "flower"}}
OPTIONS: Object = {
    "deploymentAnnotations": {"example.org/of": "deployment"},
    "serviceAccountName": "another",
    "schedulerName": "bin-packing",
    "priorityClassName": "high",
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"]},
    "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["minio"]}],
    "initContainers": [{"name": "first", "image": "busybox"}],
    "extraContainers": [{"name": "beside", "image": "busybox"}],
    "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}],
    "minReadySeconds": 7,
    "revisionHistoryLimit": 2,
    "startupProbe": {"failureThreshold": 999},
    "livenessProbe": False,
    "readinessProbe": {"tcpSocket": {"port": 9090}},
}


def values_with(path: str, options: Object) -> Object:
    """The least values, with every component turned on and one of them with options."""
    values = values_of(
        triggers=json.loads(json.dumps(RULES)), flower=dict(FLOWER), workers={"gpu": {}}
    )
    inner = values
    for name in path.split("."):
        inner = inner.setdefault(name, {})
    inner |= options
    return values


def deployment(found: list[Object], path: str) -> Object:
    name = path.replace(".", "-").replace("workers-", "worker-")
    return of_kind(found, "Deployment")[f"{RELEASE}-{name}"]


@pytest.mark.parametrize("path", COMPONENTS)
def test_every_component_takes_the_same_options_of_its_pods(path: str) -> None:
    found = objects(values_with(path, OPTIONS))
    one = deployment(found, path)
    kubernetes_validate.validate(one, "1.37", strict=True)
    assert one["metadata"]["annotations"] == OPTIONS["deploymentAnnotations"]
    spec = one["spec"]
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (7, 2)
    pod = spec["template"]["spec"]
    for field in (
        *("serviceAccountName", "schedulerName", "priorityClassName", "dnsPolicy", "dnsConfig"),
        *("hostAliases", "initContainers", "resourceClaims"),
    ):
        assert pod[field] == OPTIONS[field], field
    ours, beside = pod["containers"]
    assert [beside] == OPTIONS["extraContainers"]
    assert ours["resources"]["claims"] == [{"name": "gpu"}]
    assert "livenessProbe" not in ours
    assert ours["startupProbe"]["failureThreshold"] == 999
    assert {"exec", "httpGet"} & set(ours["startupProbe"])
    assert ours["readinessProbe"]["tcpSocket"] == {"port": 9090}
    assert not {"exec", "httpGet"} & set(ours["readinessProbe"])
    others = [deployment(found, name) for name in COMPONENTS if name != path]
    assert not any("bin-packing" in json.dumps(other) for other in others)


def test_what_is_said_of_all_pods_holds_for_each_of_them_and_for_redis() -> None:
    of_all = {
        name: OPTIONS[name]
        for name in ("deploymentAnnotations", "schedulerName", "dnsConfig", "hostAliases")
    }
    found = objects(values_of(**of_all, initContainers=OPTIONS["initContainers"]))
    for name, template in pod_templates(found):
        assert template["spec"]["schedulerName"] == "bin-packing", name
        assert template["spec"]["dnsConfig"] == OPTIONS["dnsConfig"], name
        assert template["spec"]["initContainers"] == OPTIONS["initContainers"], name
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            assert one["metadata"]["annotations"] == OPTIONS["deploymentAnnotations"]


@pytest.mark.parametrize("path", [*COMPONENTS, "redis", "workerDefaults.cpu", "workerDefaults.gpu"])
def test_an_option_that_there_is_not_is_refused_of_every_component(path: str) -> None:
    for unknown in ("hostIPC", "tolerate", "livenessProbes"):
        with pytest.raises(helm_python.HelmValuesError, match=unknown):
            rendered(values_with(path, {unknown: {}}))


def test_annotations_of_all_are_on_every_object_beside_its_own() -> None:
    for name in ("everything", "single-node"):
        values = value_file(name) | {"commonAnnotations": {"example.org/owner": "voice"}}
        values |= {"extraObjects": []}
        for one in objects(values):
            assert one["metadata"]["annotations"]["example.org/owner"] == "voice", one["kind"]
    found = objects(value_file("everything"))
    api = of_kind(found, "Deployment")["demo-speech-api"]["metadata"]["annotations"]
    assert api["reloader.stakater.com/auto"] == "true" and api["example.org/tier"] == "front"
    services = of_kind(found, "Service")
    assert services["demo-speech-redis"]["metadata"]["annotations"]["linkerd.io/inject"]
    claim = of_kind(found, "PersistentVolumeClaim")["demo-speech-models"]
    assert claim["metadata"]["annotations"]["example.org/backup"] == "no"
    scaled = of_kind(found, "ScaledObject")["demo-speech-worker-gpu"]
    assert scaled["metadata"]["annotations"]["example.org/scaler"] == "voice"


def test_redis_runs_where_it_is_told() -> None:
    affinity: Object = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    redis = values_of()["redis"] | {"affinity": affinity, "schedulerName": "bin-packing"}
    pods = dict(pod_templates(objects(values_of(redis=redis))))
    spec = pods[f"{RELEASE}-redis"]["spec"]
    assert (spec["affinity"], spec["schedulerName"]) == (affinity, "bin-packing")


def test_objects_of_ones_own_are_written_with_the_charts_own_words() -> None:
    site = of_kind(objects(value_file("everything")), "ConfigMap")["demo-speech-site"]
    assert site["data"] == {"store": "s3://scriptorium/artifacts"}
    template = of_kind(objects(value_file("dra")), "ResourceClaimTemplate")["scriptorium-gpu"]
    assert template["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


def test_a_pool_that_claims_a_device_asks_no_device_plugin_for_one() -> None:
    pod = deployment(objects(value_file("dra")), "workers.gpu")["spec"]["template"]["spec"]
    assert pod["resourceClaims"] == [
        {"name": "gpu", "resourceClaimTemplateName": "scriptorium-gpu"}
    ]
    resources = pod["containers"][0]["resources"]
    assert resources["claims"] == [{"name": "gpu"}]
    assert "nvidia.com/gpu" not in resources["limits"]


def test_a_pool_has_settings_of_its_own_and_each_variable_once() -> None:
    pools: Object = {
        "gpu": {"settings": {"loadedModels": 2, "cpuThreads": 3, "deadlineFloorSeconds": 1000}}
    }
    defaults: Object = {"gpu": {"settings": {"logLevel": "DEBUG", "loadedModels": 9}}}
    found = objects(values_of(settings={"loadedModels": 1}, workers=pools, workerDefaults=defaults))
    told = variables(found, f"{RELEASE}-worker-gpu")
    assert (told["SCRIPTORIUM_LOADED_MODELS"], told["SCRIPTORIUM_CPU_THREADS"]) == ("2", "3")
    assert told["SCRIPTORIUM_LOG_LEVEL"] == "DEBUG"  # of all GPU pools
    assert variables(found, f"{RELEASE}-worker-cpu")["SCRIPTORIUM_LOADED_MODELS"] == "1"
    pod = deployment(found, "workers.gpu")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 1060  # its own deadline, and a minute
    names = [one["name"] for one in pod["containers"][0]["env"]]
    assert len(names) == len(set(names))
    with pytest.raises(helm_python.HelmValuesError, match="loadedModel"):
        rendered(values_of(workers={"gpu": {"settings": {"loadedModel": 2}}}))


def test_a_balancer_a_route_and_an_ingress_are_as_the_cluster_wants_them() -> None:
    found = objects(value_file("everything"))
    service = of_kind(found, "Service")["demo-speech-api"]
    assert service["spec"]["loadBalancerClass"] == "example.org/balancer"
    route = of_kind(found, "HTTPRoute")["demo-speech-api"]
    (rule,) = route["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"] in [port["port"] for port in service["spec"]["ports"]]
    assert rule["timeouts"] == {"request": "0s"}  # event streams go on
    assert route["metadata"]["labels"]["gateway"] == "public"
    assert of_kind(found, "Ingress")["demo-speech-api"]["metadata"]["labels"]["dns"] == "public"
    with pytest.raises(helm_python.HelmRenderError, match=r"Set api\.httpRoute\.parentRefs"):
        rendered(values_of(api={"httpRoute": {"enabled": True}}))


def test_monitors_pass_on_what_is_to_be_relabelled() -> None:
    found = objects(value_file("everything"))
    service, pods = (
        next(iter(of_kind(found, kind).values()))["spec"]
        for kind in ("ServiceMonitor", "PodMonitor")
    )
    for (endpoint,) in (service["endpoints"], pods["podMetricsEndpoints"]):
        assert endpoint["metricRelabelings"][0]["action"] == "drop"
        assert endpoint["relabelings"][-1]["targetLabel"] in ("cluster", "node")


def egress_of(name: str, **policy: Any) -> list[Object]:
    found = of_kind(objects(values_of(networkPolicy=policy)), "NetworkPolicy")
    rules: list[Object] = found[f"{RELEASE}-{name}"]["spec"]["egress"]
    return rules


def test_rules_for_workers_count_beside_the_default_policy_too() -> None:
    pod_identity: Object = {"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}]}
    assert pod_identity in egress_of("workers", workerEgress={"rules": [pod_identity]})


def test_the_orchestrator_is_limited_to_what_it_is_told() -> None:
    store: Object = {"to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [{"port": 9000}]}
    rules = egress_of("orchestrator", orchestratorEgress={"enabled": True, "rules": [store]})
    assert rules[-1] == store
    assert [rule for rule in rules if "to" not in rule] == [rules[0]]  # names alone, anywhere
    assert f"{RELEASE}-orchestrator" not in of_kind(objects(values_of()), "NetworkPolicy")


def test_lines_of_redis_own_configuration_are_added() -> None:
    config = of_kind(objects(value_file("everything")), "ConfigMap")["demo-speech-redis"]["data"]
    assert "\nmaxclients 20000\n" in config["redis.conf"]
    for line in ("maxclients 1\nrequirepass x", "# x"):
        with pytest.raises(helm_python.HelmValuesError):
            rendered(values_of(redis={"extraConfig": [line]}))


def options_of(schema: Object, rule: Object) -> set[str]:
    """The names that a rule of the schema takes from what it refers to."""
    names: set[str] = set()
    for one in rule.get("allOf", []):
        shared = schema["$defs"][one["$ref"].rpartition("/")[2]]
        names |= set(shared["properties"]) | options_of(schema, shared)
    return names


def test_the_options_of_a_pod_are_defined_once_and_known_to_every_component() -> None:
    """A rule that refuses unknown names must repeat those that it shares: as `true`, no more."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    triggers = schema["properties"]["triggers"]["properties"]
    components = [schema["properties"][name] for name in ("api", "reconciler", "flower", "redis")]
    components += [triggers["celery"], triggers["sqs"]]
    components += [schema["$defs"]["cpuWorker"], schema["$defs"]["gpuWorker"]]
    for rule in components:
        shared = options_of(schema, rule)
        assert "initContainers" in shared
        assert rule["additionalProperties"] is False
        assert shared <= set(rule["properties"])
        assert {name for name in shared if rule["properties"][name] is not True} <= {
            "terminationGracePeriodSeconds",
            "replicas",
        }
