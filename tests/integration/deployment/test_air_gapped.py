"""A site without a network: wheels from a directory, models from a directory, a job that completes.

Everything that must not reach a network runs in a network namespace that has nothing but loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gpu_worker.builtin import HELLO, PICO
from gpu_worker.models.whisper import find_model
from tests import ROOT
from tests.inputs.hub_cache import put_into_hub_cache

CUT_OFF = ["unshare", "--map-root-user", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh"]
FETCH_SECONDS = 900.0
# A worker without torch, and Redis for a cluster on one machine: a tenth of what all would be.
EXTRAS = "transcriber,embedded"
LOOK_OUT = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"


def why_impossible() -> str | None:
    """Why a process cannot be cut off here, if so."""
    if shutil.which("ip") is None:
        return "ip is missing: apt-get install iproute2"
    done = subprocess.run([*CUT_OFF, "true"], capture_output=True, check=False)
    return "network namespaces cannot be made here" if done.returncode else None


pytestmark = pytest.mark.skipif(bool(why_impossible()), reason=str(why_impossible()))


def cut_off(
    words: Sequence[str | Path], place: Path, **told: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that no network reaches, with a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = kept | {"HOME": str(place), "LANG": "C.UTF-8"} | told
    return subprocess.run(
        [*CUT_OFF, *map(str, words)],
        cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def directory_of_models(place: Path) -> Path:
    """A directory as `scriptorium models pull tiny` leaves one, with a small model in it."""
    files = [file for file in PICO.iterdir() if file.is_file()]
    snapshot = put_into_hub_cache(find_model("tiny"), place / "models")
    for file in files:
        shutil.copy(file, snapshot)
    return place / "models"


def of_site(place: Path) -> dict[str, str]:
    """What docs/machines.md tells every process of such a site."""
    return {
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "SCRIPTORIUM_MODEL_DIR": str(directory_of_models(place)),
        "SCRIPTORIUM_HOME": str(place / "home"),
    }


def check_transcribes(program: Sequence[str], place: Path, told: Mapping[str, str]) -> None:
    """A job by a model of the directory completes."""
    given = ["transcribe", str(HELLO), "--model", "tiny", "--language", "en", "--no-align"]
    done = cut_off([*program, *given, "-o", "out", "-f", "txt,json"], place, **told)
    assert done.returncode == 0, done.stderr
    transcript = json.loads((place / "out" / f"{HELLO.stem}.json").read_text())
    assert "model_replaced" not in {each["code"] for each in transcript.get("warnings", ())}
    assert (place / "out" / f"{HELLO.stem}.txt").read_text().strip()


def test_nothing_reaches_a_network_there(tmp_path: Path) -> None:
    done = cut_off([sys.executable, "-c", LOOK_OUT], tmp_path)
    assert done.returncode == 1 and "unreachable" in done.stderr


def test_a_job_completes_without_a_network_by_a_model_of_a_directory(tmp_path: Path) -> None:
    check_transcribes([sys.executable, "-m", "orchestrator.cli"], tmp_path, of_site(tmp_path))


@pytest.mark.heavy
def test_a_directory_of_wheels_is_enough_to_install_and_to_transcribe(tmp_path: Path) -> None:
    """With the commands of docs/machines.md, but fewer extras."""
    source = tmp_path / "source"
    names = (
        "config",
        "gpu_worker",
        "tasks",
        "orchestrator",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    )
    for name in names:
        there = ROOT / name
        if there.is_dir():
            shutil.copytree(there, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(there, source / name)
    constraints = ROOT / "constraints.txt"
    wheels = tmp_path / "wheels"
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
         "--constraint", constraints, "--wheel-dir", wheels, f"{source}[{EXTRAS}]"],
        capture_output=True, text=True, timeout=FETCH_SECONDS, check=False,
    )  # fmt: skip
    if fetched.returncode and "No matching distribution" in fetched.stderr:
        pytest.skip("no package index can be reached")
    assert fetched.returncode == 0, fetched.stderr
    assert any(wheels.glob("scriptorium-*.whl"))

    without = {"PYTHONPATH": "", "PIP_NO_INDEX": "1"}
    environment = tmp_path / "environment"
    assert cut_off([sys.executable, "-m", "venv", environment], tmp_path, **without).returncode == 0
    done = cut_off(
        [environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-index", "--find-links", wheels, "--constraint", constraints,
         f"scriptorium[{EXTRAS}]"],
        tmp_path, **without,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    program = environment / "bin/scriptorium"
    check_transcribes([str(program)], tmp_path, of_site(tmp_path) | without)
