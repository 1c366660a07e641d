"""What the import contracts cannot say: fresh interpreters, names of files, their size."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import config
import gpu_worker
import orchestrator
import tasks
from tasks.runs.stages import Stage
from tests import ROOT

PACKAGES = ("config", "gpu_worker", "tasks", "orchestrator")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
VAGUE = ("util", "helper", "common", "manager", "misc")
LONGEST_FILE = 250  # lines

MODEL_LIBRARIES = {
    "torch", "torchaudio", "transformers", "whisperx", "pyannote", "scipy",
    "ctranslate2", "faster_whisper", "av", "onnx", "onnxruntime", "onnx_asr", "sentencex",
}  # fmt: skip
SERVICES = {"celery", "kombu", "redis", "boto3", "fastapi"}


def imported_by(module: str) -> set[str]:
    """The top-level modules in a fresh interpreter after the import."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(ended.stdout.split())


@pytest.mark.slow
def test_the_command_line_loads_no_model_library() -> None:
    assert not imported_by("orchestrator.cli.commands") & MODEL_LIBRARIES


@pytest.mark.slow
def test_flower_imports_all_stages_without_the_libraries_of_workers() -> None:
    """It does so when it starts, in an image that does not have them."""
    stages = ", ".join(f"tasks.stages.{stage}" for stage in Stage)
    assert not imported_by(f"tasks.app, {stages}") & MODEL_LIBRARIES


@pytest.mark.slow
def test_sending_messages_loads_no_model_library() -> None:
    assert not imported_by("tasks.runs.canvas") & MODEL_LIBRARIES


@pytest.mark.parametrize(
    "module",
    [
        "gpu_worker.transcription.chunk",
        "gpu_worker.audio.decoding",
        "gpu_worker.transcription.engines.fake",
    ],
)
def test_models_load_no_queue_and_no_store(module: str) -> None:
    assert not imported_by(module) & (SERVICES | {"orchestrator", "tasks"})


@pytest.mark.parametrize("package", [config, gpu_worker, tasks, orchestrator])
def test_the_packages_are_ours(package: object) -> None:
    assert Path(getattr(package, "__file__", "")).parent.parent == ROOT
    assert (ROOT / "pyproject.toml").is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_a_noun_of_readable_size_that_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not any(word in path.stem for word in VAGUE)
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)) or not text


def test_every_package_of_the_tree_is_installed() -> None:
    """They are named one by one, and a folder that is forgotten is missing in an image alone."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in ("config", "gpu_worker", "tasks", "orchestrator")
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(built["tool"]["setuptools"]["packages"]) == found
