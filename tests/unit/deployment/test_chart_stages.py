"""The chart names every stage, under the kind of worker that does it."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tasks.runs.stages import STAGES, Pool
from tests.deployment.chart import CHART, Object, containers, objects, of_kind, rendered, values_of

NAMES = {pool: [stage.value for stage, row in STAGES.items() if row.pool is pool] for pool in Pool}
OFF = {"cpu": {"kind": "cpu", "enabled": False}, "gpu": {"kind": "gpu", "enabled": False}}
SMALL = [name for name in NAMES[Pool.CPU] if name != "diarize"]
each_pool = pytest.mark.parametrize("pool", Pool)


@each_pool
def test_the_schema_takes_the_stages_of_a_kind_of_worker(pool: Pool) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"][f"{pool}Stages"]["items"] == {"enum": NAMES[pool]}


@each_pool
def test_the_values_say_which_stages_a_kind_of_worker_does(pool: Pool) -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    defaults = text.partition("\nworkerDefaults:\n")[2]
    assert f"  # {', '.join(NAMES[pool])}\n  {pool}:\n" in f"\n{defaults}"


def test_a_stage_without_a_pool_is_told() -> None:
    notes = rendered(values_of(workers=OFF))["scriptorium/templates/NOTES.txt"]
    told = re.search(r"no pool does (.+); jobs", notes)
    assert told and told[1].split(", ") == [*NAMES[Pool.CPU], *NAMES[Pool.GPU]]


@pytest.mark.parametrize(
    ("pool", "image"),
    [
        ({"kind": "cpu"}, "registry.test/scriptorium/gpu-worker:0.1.0"),
        ({"kind": "cpu", "stages": ["diarize"]}, "registry.test/scriptorium/gpu-worker:0.1.0"),
        ({"kind": "cpu", "stages": SMALL}, "registry.test/scriptorium/cpu-worker:0.1.0"),
        (
            {"kind": "cpu", "stages": SMALL, "image": {"tag": "next"}},
            "registry.test/scriptorium/cpu-worker:next",
        ),
        ({"kind": "gpu", "stages": ["transcribe"]}, "registry.test/scriptorium/gpu-worker:0.1.0"),
    ],
)
def test_a_pool_that_needs_no_torch_has_the_small_image(pool: Object, image: str) -> None:
    images = {"cpuWorker": {"repository": "scriptorium/cpu-worker"}}
    values = values_of(workers={"extra": pool}, images=images)
    values["global"] = {"imageRegistry": "registry.test"}
    found = [one["image"] for name, one in containers(objects(values)) if name.endswith("-extra")]
    assert found == [image]


def test_all_containers_of_a_pool_have_its_image_and_no_digest_of_another_one() -> None:
    """Else a node without a GPU pulls gigabytes to wait, or asks for a digest that is not there."""
    images = {
        "gpuWorker": {"registry": "registry.test", "digest": f"sha256:{'a' * 64}"},
        "cpuWorker": {"repository": "scriptorium/cpu-worker"},
    }
    found = objects(
        values_of(
            workers={"extra": {"kind": "cpu", "stages": SMALL}},
            images={"orchestrator": {"registry": "registry.test"}, **images},
            modelCache={"persistence": {"enabled": True}, "prefetch": {"models": ["tiny"]}},
        )
    )
    pods = {
        name: one["spec"]["template"]["spec"] for name, one in of_kind(found, "Deployment").items()
    }
    of = {
        pool: {
            one["image"]
            for part in ("initContainers", "containers")
            for one in pods[f"demo-scriptorium-worker-{pool}"][part]
        }
        for pool in ("extra", "gpu")
    }
    assert of == {
        "extra": {"registry.test/scriptorium/cpu-worker:0.1.0"},
        "gpu": {f"registry.test/scriptorium/gpu-worker@sha256:{'a' * 64}"},
    }


def test_an_idle_gpu_is_told_while_a_stage_of_its_kind_waits() -> None:
    text = (CHART / "alerts" / "gpu.yaml").read_text(encoding="utf-8")
    groups = yaml.safe_load(text)
    idle = next(rule for rule in groups[0]["rules"] if rule["alert"] == "ScriptoriumGpuIdle")
    waiting = re.search(r'stage=~"([^"]+)"', idle["expr"])
    assert waiting and waiting[1].split("|") == NAMES[Pool.GPU]
