"""Pools of workers in the chart: what the scaler is told, what KEDA applies, what GPUs they get."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from benchmarks.fleet.scalers import OURS
from config.settings import Settings
from orchestrator.api.internal import make_internal
from orchestrator.cluster.connection import Cluster
from orchestrator.local.workers import pool_named
from orchestrator.scaling.pools import WorkerPool, worker_pools
from orchestrator.scaling.published import PoolLoad, PublishedLoad, publish
from tasks.runs.stages import Stage
from tests.deployment.chart import (
    VALUE_FILES,
    Object,
    objects,
    of_kind,
    rendered,
    value_file,
    values_of,
    variables,
)


def pools_of(found: list[Object]) -> dict[str, WorkerPool]:
    """As every process of the release reads them."""
    (settings,) = [
        one["data"] for name, one in of_kind(found, "ConfigMap").items() if "settings" in name
    ]
    return worker_pools(json.loads(settings["SCRIPTORIUM_POOLS"]))


def workers_of(found: list[Object]) -> dict[str, Object]:
    """The Deployments of pools, by pool."""
    return {
        one["metadata"]["labels"]["pool"]: one
        for one in of_kind(found, "Deployment").values()
        if "pool" in one["metadata"]["labels"]
    }


@pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
def test_each_pool_of_the_scaler_has_workers_and_each_worker_has_a_pool(name: str) -> None:
    found = objects(value_file(name))
    pools = {one: pool for one, pool in pools_of(found).items() if pool.maximum}
    workers = workers_of(found)
    assert set(pools) == set(workers)
    for pool, deployment in workers.items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        told = variables(found, deployment["metadata"]["name"])
        settings = Settings(pools=json.loads(told["SCRIPTORIUM_POOLS"]))
        own = pool_named(container["args"][container["args"].index("--pool") + 1], settings)
        assert own == pools[pool]
        component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
        assert component == f"{own.kind.value}-worker"


@pytest.mark.parametrize("name", [path.stem for path in VALUE_FILES])
def test_no_replicas_are_rendered_where_an_autoscaler_owns_them(name: str) -> None:
    found = objects(value_file(name))
    owned = {one["spec"]["scaleTargetRef"]["name"] for one in found if "scaleTargetRef" in str(one)}
    for owner, deployment in of_kind(found, "Deployment").items():
        assert ("replicas" in deployment["spec"]) == (owner not in owned), owner
    is_scaled = bool(value_file(name).get("keda", {}).get("enabled"))
    names = {one["metadata"]["name"] for one in workers_of(found).values()}
    assert (names <= owned) if is_scaled else not (names & owned)


def test_keda_asks_the_api_for_the_number_that_it_applies(connection: Cluster) -> None:
    found = objects(value_file("keda"))
    scaled = of_kind(found, "ScaledObject")["demo-scriptorium-worker-gpu"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 1000)
    (trigger,) = scaled["triggers"]
    # KEDA divides what it reads by the target, and rounds up: one replica for each worker.
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"]["targetValue"] == "1"
    assert trigger["metadata"]["activationTargetValue"] == "0"
    url = urlsplit(trigger["metadata"]["url"])
    service = of_kind(found, "Service")[str(url.hostname).partition(".")[0]]
    assert url.port in [port["port"] for port in service["spec"]["ports"]]
    assert url.hostname == f"{service['metadata']['name']}.speech.svc"

    pool = PoolLoad(desired=37, backlog_seconds=1.0, in_flight=1, minimum=0, maximum=1000)
    publish(connection.redis, PublishedLoad(time.time(), 1, {}, {"gpu": pool}))
    answer: Any = TestClient(make_internal(connection)).get(url.path)
    assert answer.status_code == 200
    assert trigger["metadata"]["format"] == "json"
    assert answer.json()[trigger["metadata"]["valueLocation"]] == 37


def test_without_an_answer_nobody_who_may_be_busy_is_stopped() -> None:
    scaled = of_kind(objects(value_file("keda")), "ScaledObject")
    for one in scaled.values():  # with 0 replicas KEDA scales to zero when no API answers
        assert one["spec"]["fallback"]["replicas"] >= max(1, one["spec"]["minReplicaCount"])
    fallback = scaled["demo-scriptorium-worker-gpu"]["spec"]["fallback"]
    assert fallback["behavior"] == "currentReplicasIfHigher"


def test_the_number_is_applied_as_in_the_simulation() -> None:
    """Slow on the way down is the policy: a second wait would pay for idle GPUs."""
    scaled = of_kind(objects(values_of(keda={"enabled": True})), "ScaledObject")
    spec = scaled["demo-scriptorium-worker-gpu"]["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    steps = {one["type"]: one["value"] for one in behavior["scaleUp"]["policies"]}
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["policies"] == [
        {"type": "Percent", "value": 100, "periodSeconds": 15}
    ]
    assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (
        OURS.poll_seconds,
        OURS.cooldown_seconds,
    )
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == OURS.stabilization_seconds
    assert steps == {"Pods": OURS.step_pods, "Percent": (OURS.step_times - 1) * 100}


def test_the_policy_of_a_pool_is_the_programs_own_by_default() -> None:
    pools = pools_of(objects(values_of()))
    for name, pool in worker_pools({}).items():
        for field in ("target_drain_seconds", "scale_down_seconds", "steady_seconds"):
            assert getattr(pools[name], field) == getattr(pool, field)


def test_a_pool_has_its_own_numbers_for_keda() -> None:
    scaled = of_kind(objects(value_file("keda")), "ScaledObject")["demo-scriptorium-worker-spot"]
    assert scaled["spec"]["pollingInterval"] == 30
    assert scaled["spec"]["cooldownPeriod"] == 300
    assert scaled["spec"]["fallback"]["behavior"] == "static"


def test_pools_have_the_gpus_nodes_and_images_that_they_ask_for() -> None:
    found = objects(value_file("mig"))
    pods = {name: one["spec"]["template"]["spec"] for name, one in workers_of(found).items()}
    limits = {name: pod["containers"][0]["resources"]["limits"] for name, pod in pods.items()}
    assert limits["h100"]["nvidia.com/gpu"] == 1
    assert limits["mig-small"].items() >= {"memory": "12Gi", "nvidia.com/mig-1g.10gb": 1}.items()
    assert set(limits["on-cpus"]) == {"memory", "ephemeral-storage"}
    assert "nvidia.com/gpu" not in limits["cpu"]
    assert pods["h100"]["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert pods["h100"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "tolerations" not in pods["on-cpus"] and "tolerations" not in pods["cpu"]
    assert pods["a10"]["runtimeClassName"] == "nvidia"
    assert (
        pods["mig-small"]["containers"][0]["image"] == "ghcr.io/scriptorium/gpu-worker:0.1.0-baked"
    )
    assert pods["cpu"]["containers"][0]["image"] == "ghcr.io/scriptorium/gpu-worker:0.1.0"
    assert {name: one["spec"]["replicas"] for name, one in workers_of(found).items()} == {
        "cpu": 4, "h100": 2, "a10": 1, "mig-small": 3, "on-cpus": 1,
    }  # fmt: skip


def test_a_pool_that_is_taken_away_is_told_to_the_scaler() -> None:
    pools = pools_of(objects(value_file("mig")))
    assert (pools["gpu"].minimum, pools["gpu"].maximum) == (0, 0)
    assert pools["mig-small"].work == {Stage.ALIGN, Stage.EMBED_SPEAKERS}
    assert pools["mig-small"].concurrency == 2
    assert (pools["h100"].share, pools["a10"].share) == (0.75, 0.25)
    no_cpu = pools_of(objects(values_of(workers={"cpu": None})))
    assert no_cpu["cpu"].maximum == 0
    assert set(workers_of(objects(values_of(workers={"cpu": None})))) == {"gpu"}


def test_a_gpu_worker_is_given_the_time_that_a_unit_may_take() -> None:
    def grace(found: list[Object]) -> dict[str, int]:
        return {
            name: one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            for name, one in workers_of(found).items()
        }

    deadline = int(Settings.model_fields["deadline_floor_seconds"].default)
    assert grace(objects(values_of())) == {"cpu": 60, "gpu": deadline + 60}
    assert grace(objects(value_file("everything")))["gpu"] == 900 + 60
    assert grace(objects(value_file("mig")))["mig-small"] == 300
    for one in workers_of(objects(value_file("mig"))).values():
        seconds = one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert one["spec"]["progressDeadlineSeconds"] > seconds + 600


def test_a_worker_hands_back_before_kubernetes_kills_it() -> None:
    workers = {"cpu": {"noticeSeconds": 0}, "gpu": {"noticeSeconds": 25}}
    pods = {
        name: one["spec"]["template"]["spec"]
        for name, one in workers_of(objects(values_of(workers=workers))).items()
    }
    variables = {
        name: {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        for name, pod in pods.items()
    }
    assert variables["gpu"]["SCRIPTORIUM_NOTICE_SECONDS"] == "25"
    assert pods["gpu"]["terminationGracePeriodSeconds"] == 30
    assert "SCRIPTORIUM_NOTICE_SECONDS" not in variables["cpu"]


def test_the_notes_tell_of_a_stage_that_nobody_does() -> None:
    def notes(values: Object) -> str:
        return rendered(values)["scriptorium/templates/NOTES.txt"]

    late = {
        "gpu": {"stages": ["transcribe"]},
        "cpu": {"stages": ["prepare", "fan_out", "assemble"]},
    }
    assert "no pool does" not in notes(value_file("mig"))
    missing = [
        line for line in notes(values_of(workers=late)).splitlines() if "no pool does" in line
    ]
    assert [stage for stage in Stage if stage.value in missing[0]] == [
        Stage.DETECT_LANGUAGE, Stage.ALIGN, Stage.EMBED_SPEAKERS, Stage.DIARIZE,
    ]  # fmt: skip
