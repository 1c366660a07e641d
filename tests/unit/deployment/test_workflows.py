"""The workflows of .github: what they name is there, and they are lent no more than they need."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.deployment.dockerfile import TARGETS, read_dockerfile

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {file.stem: file.read_text(encoding="utf-8") for file in FILES}
WORKFLOWS: dict[str, dict[str, Any]] = {
    # In YAML 1.1, which PyYAML reads, `on` is true.
    name: {str(key): value for key, value in yaml.safe_load(text).items()}
    for name, text in TEXTS.items()
}
each = pytest.mark.parametrize("name", WORKFLOWS)


def jobs(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = WORKFLOWS[name]["jobs"]
    return found


def commands(name: str) -> str:
    """All that the steps of a workflow give to a shell."""
    steps = (step for job in jobs(name).values() for step in job["steps"])
    return "\n".join(step.get("run", "") for step in steps)


def test_there_is_one_for_each_change_and_one_for_a_release() -> None:
    assert set(WORKFLOWS) == {"ci", "release"}
    assert WORKFLOWS["release"]["True"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert set(WORKFLOWS["ci"]["True"]) == {"push", "pull_request"}


@pytest.mark.slow
@each
def test_a_workflow_has_the_form_of_one(name: str) -> None:
    pytest.importorskip("check_jsonschema", reason="it holds the workflows' schema")
    schema = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    file = ROOT / ".github" / "workflows" / f"{name}.yml"
    done = subprocess.run(
        [sys.executable, *schema, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@each
def test_a_job_is_lent_what_it_needs_and_no_secret_but_the_runs_own_token(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    writes = {
        job: {what for what, how in one.get("permissions", {}).items() if how != "read"}
        for job, one in jobs(name).items()
    }
    needed = {"images": {"packages"}, "chart": {"packages"}, "publish": {"contents"}}
    for job, lent in writes.items():
        assert lent == (needed.get(job, set()) if name == "release" else set()), job
    assert set(re.findall(r"secrets\.(\w+)", TEXTS[name])) <= {"GITHUB_TOKEN"}
    assert "pull_request_target" not in TEXTS[name]


@each
def test_steps_name_their_actions_version_and_give_no_text_of_others_to_a_shell(name: str) -> None:
    for job in jobs(name).values():
        assert job["timeout-minutes"] and job["runs-on"] == "ubuntu-24.04"
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}
    assert "${{" not in commands(name)  # values go through the environment


@each
def test_what_a_workflow_runs_is_there(name: str) -> None:
    run = commands(name)
    for module in re.findall(r"python3? -m ([\w.]+)", run):
        assert find_spec(module) is not None, module
    targets = [target for line in re.findall(r"^make (.+)$", run, re.M) for target in line.split()]
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target
    for file in re.findall(r"(?:^| )((?:\.ci|helm)/\S+)", run, re.M):
        assert (ROOT / file).exists(), file
    if name == "ci":
        assert ".ci/run" in run and (ROOT / ".ci" / "run").stat().st_mode & 0o100
        assert targets == ["lint-light", "unit-light"]


def test_a_release_has_every_image_that_needs_no_model() -> None:
    matrix = jobs("release")["images"]["strategy"]["matrix"]["include"]
    platforms = {one["target"]: one["platforms"] for one in matrix}
    assert set(platforms) == set(TARGETS) - {"gpu-worker-baked"}
    (build,) = [
        step["with"]
        for step in jobs("release")["images"]["steps"]
        if step.get("uses", "").startswith("docker/build-push-action@")
    ]
    assert build["sbom"] is True and build["provenance"] == "mode=max" and build["push"] is True
    names = {line.partition("=")[0] for line in build["build-args"].splitlines()}
    for target in platforms:
        found = read_dockerfile().instructions(target)
        known = {key for one in found if one.word == "ARG" for key in one.pairs}
        assert names <= known
    chart = yaml.safe_load((ROOT / "helm" / "scriptorium" / "values.yaml").read_text())
    named = {one["repository"] for one in chart["images"].values() if one}
    assert {name.removeprefix("scriptorium/") for name in named} == {"orchestrator", "gpu-worker"}


def test_the_checks_run_on_the_python_of_the_images() -> None:
    python = read_dockerfile().arguments["PYTHON_VERSION"].partition("-")[0]
    containers = {job["container"] for job in jobs("ci").values() if "container" in job}
    assert containers == {f"python:{python}-bookworm"}


def test_the_workflows_build_no_target_that_there_is_not() -> None:
    for text in TEXTS.values():
        for line in re.findall(r"for target in (.+); do", text):
            assert set(line.split()) <= set(TARGETS)
