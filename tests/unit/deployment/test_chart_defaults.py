"""What the chart's pods are where the values say nothing: they fit nodes, and faults are seen."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from benchmarks.kubernetes.node_fit import quantity
from tests import ROOT
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
GIB = 2**30
EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict"


def worker(found: list[Object], pool: str) -> Object:
    """A pool's container."""
    template = dict(pod_templates(found))[f"demo-scriptorium-worker-{pool}"]
    container: Object = template["spec"]["containers"][0]
    return container


def device(pool: Object, **settings: Any) -> object:
    """What a pool of the kind gpu is told of its device."""
    values = values_of(workers={"gpu": {"kind": "gpu"} | pool}, settings=settings)
    return variables(objects(values), "demo-scriptorium-worker-gpu").get("SCRIPTORIUM_DEVICE")


def test_a_pool_with_gpus_says_so_and_one_on_cpus_too() -> None:
    assert device({}) == "cuda"
    assert device({"gpu": {"resourceName": "nvidia.com/mig-1g.10gb"}}) == "cuda"
    assert device({"gpu": {"count": 0}}) == "cpu"
    assert device({}, device="auto") == "auto"  # who says it for all components is believed
    cpu = variables(objects(values_of()), "demo-scriptorium-worker-cpu")
    assert "SCRIPTORIUM_DEVICE" not in cpu  # `worker --pool cpu` knows


@names
def test_every_pod_may_use_the_disk_that_its_directories_may_fill(name: str) -> None:
    for owner, template in pod_templates(objects(value_file(name))):
        directories = [one["emptyDir"] for one in template["spec"]["volumes"] if "emptyDir" in one]
        assert all("sizeLimit" in one for one in directories), owner
        resources = template["spec"]["containers"][0]["resources"]
        filled = sum(quantity(one["sizeLimit"]) for one in directories)
        limit = quantity(resources["limits"]["ephemeral-storage"])
        assert filled + GIB == limit, owner  # the last one is for its log
        assert 0 < quantity(resources["requests"]["ephemeral-storage"]) <= limit, owner


def test_a_limit_of_the_disk_that_is_given_stays_and_a_directory_without_bounds_has_none() -> None:
    own = {"gpu": {"kind": "gpu", "resources": {"limits": {"ephemeral-storage": "70Gi"}}}}
    limits = worker(objects(values_of(workers=own)), "gpu")["resources"]["limits"]
    assert limits["ephemeral-storage"] == "70Gi"
    extra = [{"name": "more", "emptyDir": {"sizeLimit": "500M"}}]
    more = worker(objects(values_of(extraVolumes=extra)), "gpu")["resources"]["limits"]
    without = worker(objects(values_of()), "gpu")["resources"]["limits"]
    grown = quantity(more["ephemeral-storage"]) - quantity(without["ephemeral-storage"])
    assert 0 <= 500e6 - grown < 2**20
    in_memory = [{"name": "more", "emptyDir": {"medium": "Memory"}}]
    same = worker(objects(values_of(extraVolumes=in_memory)), "gpu")["resources"]["limits"]
    assert same == without
    endless = [{"name": "more", "emptyDir": {}}]
    unbounded = worker(objects(values_of(extraVolumes=endless)), "gpu")["resources"]["limits"]
    assert "ephemeral-storage" not in unbounded


def test_the_api_is_ready_while_its_process_answers() -> None:
    template = dict(pod_templates(objects(values_of())))["demo-scriptorium-api"]
    (container,) = template["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] == "/healthz"


def test_servers_listen_on_both_families() -> None:
    found = objects(value_file("everything"))
    told = dict(containers(found))
    assert told["demo-speech-api"]["args"][:3] == ["serve", "--host", "::"]
    assert not [word for word in told["demo-speech-flower"]["args"] if "address" in word]
    config = of_kind(found, "ConfigMap")["demo-speech-redis"]["data"]["redis.conf"]
    assert "bind * -::*" in config.splitlines()
    assert "0.0.0.0" not in str(list(told.values()))


@names
def test_a_budget_lets_pods_that_are_not_ready_go_where_kubernetes_knows_how(name: str) -> None:
    for version, policy in (
        ("1.26.9", None),
        ("1.27.0", "AlwaysAllow"),
        ("v1.33.1-gke.1", "AlwaysAllow"),
    ):
        found = of_kind(objects(value_file(name) | {"kubeVersion": version}), "PodDisruptionBudget")
        assert found
        for one in found.values():
            assert one["spec"].get("unhealthyPodEvictionPolicy") == policy


def evictable(values: Object) -> dict[str, str | None]:
    """What each pod says to the Cluster Autoscaler."""
    return {
        owner.removeprefix("demo-scriptorium-"): template["metadata"]
        .get("annotations", {})
        .get(EVICTABLE)
        for owner, template in pod_templates(objects(values))
    }


def test_pods_that_lose_nothing_may_be_moved_and_a_chunk_of_a_gpu_is_finished_first() -> None:
    said = evictable(values_of())
    assert {owner for owner, value in said.items() if value is None} == {"worker-gpu", "redis"}
    assert {value for value in said.values() if value is not None} == {"true"}
    spot = values_of(workers={"gpu": {"kind": "gpu", "noticeSeconds": 100}})
    assert evictable(spot)["worker-gpu"] == "true"
    assert set(evictable(values_of(podAnnotations={EVICTABLE: "false"})).values()) == {"false"}


def test_api_and_reconciler_spread_unless_the_values_say_how() -> None:
    for owner, template in pod_templates(objects(values_of())):
        spread = template["spec"].get("topologySpreadConstraints", [])
        keys = [one["topologyKey"] for one in spread]
        is_spread = owner.endswith(("-api", "-reconciler"))
        expected = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] if is_spread else []
        assert keys == expected, owner
        for one in spread:
            assert one["whenUnsatisfiable"] == "ScheduleAnyway"
            selected = one["labelSelector"]["matchLabels"]
            assert selected.items() <= template["metadata"]["labels"].items()
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    for _, template in pod_templates(objects(values_of(topologySpreadConstraints=own))):
        (one,) = template["spec"]["topologySpreadConstraints"]
        assert one["topologyKey"] == "rack"


def grace(pool: Object) -> tuple[int, object]:
    """The grace of the CPU pool, and the notice that its workers are told of."""
    found = objects(values_of(workers={"cpu": {"kind": "cpu"} | pool}))
    name = "demo-scriptorium-worker-cpu"
    spec = dict(pod_templates(found))[name]["spec"]
    told = variables(found, name).get("SCRIPTORIUM_NOTICE_SECONDS")
    return spec["terminationGracePeriodSeconds"], told


def test_a_cpu_worker_that_is_scaled_away_finishes_what_ends_within_its_grace() -> None:
    assert grace({}) == (60, "55")
    assert grace({"noticeSeconds": 25}) == (30, "25")
    assert grace({"noticeSeconds": 0}) == (60, None)  # hands back at once


def redis(**redis: Any) -> tuple[str, str | None]:
    """What the chart's Redis may hold in bytes, and how many open jobs are let in."""
    password = {"password": {"existingSecret": "redis"}}
    found = objects(values_of(redis=password | redis))
    config = of_kind(found, "ConfigMap")["demo-scriptorium-redis"]["data"]["redis.conf"]
    settings = of_kind(found, "ConfigMap")["demo-scriptorium-settings"]["data"]
    limit = re.search(r"^maxmemory (\d+)$", config, re.M)
    return limit[1] if limit else "", settings.get("SCRIPTORIUM_MAX_OPEN_JOBS")


def test_redis_holds_less_than_its_container_and_no_more_jobs_are_let_in_than_fit() -> None:
    measured = json.loads((ROOT / "benchmarks/results/redis_memory.json").read_text())
    of_a_job = max(sizes["all"] for sizes in measured["kib_by_chunks"].values()) * 1024
    assert 18432 * of_a_job < 0.75 * GIB * 3 / 4  # the rest is for jobs that ended, and for leases
    assert redis() == (str(GIB * 3 // 4), "18432")
    assert redis(resources={"limits": {"memory": "4Gi"}}) == (str(3 * GIB), str(4 * 18432))
    assert redis(maxmemory="900mb") == (str(900 * 2**20), "21600")
    assert redis(maxmemory="1g") == (str(10**9), "22888")
    assert redis(maxmemory="0") == ("", None)  # Redis takes 0 for no limit
    said = objects(values_of(settings={"maxOpenJobs": 7}))
    told = of_kind(said, "ConfigMap")["demo-scriptorium-settings"]["data"]
    assert told["SCRIPTORIUM_MAX_OPEN_JOBS"] == "7"
    external = of_kind(objects(value_file("external")), "ConfigMap")["demo-scriptorium-settings"]
    assert "SCRIPTORIUM_MAX_OPEN_JOBS" not in external["data"]


def test_redis_needs_no_volume_that_a_lost_node_would_hold() -> None:
    found = objects(values_of())
    assert not of_kind(found, "StatefulSet")
    spec = of_kind(found, "Deployment")["demo-scriptorium-redis"]["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    volumes = {one["name"]: one for one in spec["template"]["spec"]["volumes"]}
    assert volumes["data"]["emptyDir"]["sizeLimit"] == "3072Mi"  # four times what it may hold
    assert not [one for one in volumes.values() if "persistentVolumeClaim" in one]
