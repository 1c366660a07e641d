"""Where a pool keeps its models, and the Job that fetches them before its workers start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import helm_python
import pytest
from typer.testing import CliRunner

from orchestrator.cli.commands import app
from tests.deployment.chart import Object, objects, of_kind, rendered, values_of

RELEASE = "demo-scriptorium"
SHARED: Object = {
    "persistence": {"enabled": True, "storageClass": "efs"},
    "prefetch": {"models": ["large-v3-turbo", "WAV2VEC2_ASR_BASE_960H"]},
}


def pod_of(found: list[Object], pool: str) -> Object:
    spec = of_kind(found, "Deployment")[f"{RELEASE}-worker-{pool}"]["spec"]
    pod: Object = spec["template"]["spec"]
    return pod


def models_of(found: list[Object], pool: str) -> Object:
    (volume,) = [one for one in pod_of(found, pool)["volumes"] if one["name"] == "models"]
    return {kind: source for kind, source in volume.items() if kind != "name"}


def test_a_job_fetches_the_models_into_the_claim_that_workers_mount() -> None:
    found = objects(values_of(modelCache=SHARED))
    (job,) = of_kind(found, "Job").values()
    pod = job["spec"]["template"]["spec"]
    claim = {"persistentVolumeClaim": {"claimName": f"{RELEASE}-models"}}
    assert claim.items() <= next(one for one in pod["volumes"] if one["name"] == "models").items()
    assert models_of(found, "gpu") == models_of(found, "cpu") == claim
    (container,) = pod["containers"]
    assert container["args"] == SHARED["prefetch"]["models"]
    assert "scriptorium models pull" in container["command"][2]
    assert CliRunner().invoke(app, ["models", "pull", *container["args"], "--help"]).exit_code == 0
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert not any("REDIS" in one["name"] for one in container["env"])  # it needs the hub alone


def test_a_job_is_never_changed_and_workers_wait_for_the_same_models() -> None:
    """Kubernetes refuses a change of a Job's pod: `helm upgrade` would fail."""
    images = {"orchestrator": {"registry": "ghcr.io"}, "gpuWorker": {"registry": "ghcr.io"}}
    newer = images | {"gpuWorker": {"registry": "ghcr.io", "tag": "9"}}
    before, after, labelled = (
        objects(values_of(modelCache=SHARED, images=one, commonAnnotations=annotations))
        for one, annotations in ((images, {}), (newer, {}), (images, {"a": "b"}))
    )
    assert not set(of_kind(before, "Job")) & set(of_kind(after, "Job"))
    (old,), (same,) = (of_kind(found, "Job").values() for found in (before, labelled))
    assert (old["metadata"]["name"], old["spec"]) == (same["metadata"]["name"], same["spec"])
    (waits,), (waits_after,) = (pod_of(one, "gpu")["initContainers"] for one in (before, after))
    assert waits["command"] == waits_after["command"]


def test_another_list_of_models_is_another_job() -> None:
    names = [
        set(
            of_kind(objects(values_of(modelCache=SHARED | {"prefetch": {"models": models}})), "Job")
        )
        for models in (["tiny"], ["tiny"], ["tiny", "base"], [])
    ]
    assert names[0] == names[1] != names[2]
    assert names[3] == set()


def ran(container: Object, models: Path, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """The container's command, with a `scriptorium` that only writes down what it was told."""
    program = models.parent / "bin" / "scriptorium"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {models.parent}/told\n', encoding="utf-8")
    program.chmod(0o755)
    words = [word.replace("/models", str(models)) for word in container["command"]]
    return subprocess.run(
        [*words, *container.get("args", [])],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        timeout=seconds,
    )


def test_a_worker_waits_until_the_job_has_fetched_all_models(tmp_path: Path) -> None:
    found = objects(values_of(modelCache=SHARED))
    (job,) = of_kind(found, "Job").values()
    (waits,) = pod_of(found, "gpu")["initContainers"]
    models = tmp_path / "models"
    models.mkdir()
    with pytest.raises(subprocess.TimeoutExpired):
        ran(waits, models, seconds=0.3)
    assert ran(job["spec"]["template"]["spec"]["containers"][0], models, seconds=10).returncode == 0
    told = (tmp_path / "told").read_text(encoding="utf-8")
    assert told == "models pull large-v3-turbo WAV2VEC2_ASR_BASE_960H\n"
    assert ran(waits, models, seconds=10).returncode == 0


def test_a_pool_has_a_claim_of_its_own_or_another_volume() -> None:
    directory: Object = {"hostPath": {"path": "/var/lib/models", "type": "Directory"}}
    own = {"persistence": {"size": "10Gi"}, "prefetch": {"models": ["WAV2VEC2_ASR_BASE_960H"]}}
    pools: Object = {
        "small": {"kind": "gpu", "stages": ["align"], "modelCache": own},
        "node": {"kind": "gpu", "stages": ["detect_language"], "modelCache": {"volume": directory}},
        "off": {"kind": "gpu", "enabled": False, "modelCache": own},
    }
    found = objects(values_of(modelCache=SHARED, workers=pools))
    assert models_of(found, "node") == directory
    assert "initContainers" not in pod_of(found, "node")  # what a Job fetched is not there
    claims = of_kind(found, "PersistentVolumeClaim")
    assert set(claims) == {f"{RELEASE}-models", f"{RELEASE}-models-small"}
    small = claims[f"{RELEASE}-models-small"]["spec"]
    assert small["resources"]["requests"]["storage"] == "10Gi"
    assert small["storageClassName"] == "efs"  # what it does not say is as for all
    assert models_of(found, "small")["persistentVolumeClaim"]["claimName"].endswith("-small")
    fetched = {
        tuple(one["spec"]["template"]["spec"]["containers"][0]["args"])
        for one in of_kind(found, "Job").values()
    }
    assert fetched == {tuple(SHARED["prefetch"]["models"]), ("WAV2VEC2_ASR_BASE_960H",)}


def test_models_are_not_fetched_into_a_volume_that_goes_with_its_pod() -> None:
    with pytest.raises(helm_python.HelmRenderError, match="fills a claim that workers share"):
        rendered(values_of(modelCache={"prefetch": {"models": ["tiny"]}}))


def notes(**changes: Any) -> str:
    return rendered(values_of(**changes))["scriptorium/templates/NOTES.txt"]


def test_the_notes_warn_of_a_hub_that_every_new_pod_asks() -> None:
    warning = "fetches its models when it starts"
    keda = {"enabled": True}
    baked = {
        "orchestrator": {"registry": "ghcr.io"},
        "gpuWorker": {"registry": "ghcr.io", "repository": "scriptorium/gpu-worker-baked"},
    }
    assert warning in notes(keda=keda)
    assert warning not in notes()
    assert warning not in notes(keda=keda, images=baked)
    assert warning not in notes(keda=keda, modelCache=SHARED)
