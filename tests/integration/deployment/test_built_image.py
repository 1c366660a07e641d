"""The images as an engine builds and runs them: a job goes through containers with read-only roots.

The base image is made of Debian's packages, as there may be no registry. The images are built by
buildah from the Dockerfile as it is, and run by podman: a read-only root, user 10001, no
capability, no new privilege, seccomp, and without root where the machine has an ordinary user with
subordinate ids (`useradd`, and Debian's uidmap). Left out: the networks of Compose, Redis's own
image (it runs on this machine), and GPUs. It takes 6 GB of disk.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from orchestrator.local.redis_server import RedisServer
from scripts.image_sizes import history, table
from tests.deployment.dockerfile import read_dockerfile
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.deployment.compose_services import free_port
from tests.integration.deployment.engine import (
    PIP_FOLDER,
    Engine,
    base_image,
    ordinary_user,
    why_impossible,
)

TARGETS = ("orchestrator", "cpu-worker")
PATIENCE_SECONDS = 180.0
CONTAINERS = {  # by name: the image and what its entry point is told
    "api": ("orchestrator", ("serve",)),
    "reconciler": ("orchestrator", ("reconciler",)),
    "cpu-worker": ("cpu-worker", ()),  # as its CMD says
    "transcriber": (
        "cpu-worker", ("worker", "--pool", "gpu", "--stages", "detect_language,transcribe"),
    ),
}  # fmt: skip
STAY = ("/file", "/app/file", "/opt/scriptorium/file", "/etc/file", "/usr/local/bin/file")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(why_impossible()), reason=str(why_impossible())),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.make_base(base_image(read_dockerfile()))
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="module")
def images(engine: Engine) -> dict[str, str]:
    """Their names by target. Every file that pip fetched had a SHA-256 of locks/."""
    locked = {"LOCKED": os.environ.get("LOCKED", "yes")}  # no: another index, with other builds
    return {target: engine.build(target, locked) for target in TARGETS}


@pytest.fixture(scope="module")
def runner(engine: Engine, images: dict[str, str]) -> Iterator[Engine]:
    """Podman of an ordinary user if there is one with subordinate ids, else of root."""
    user = ordinary_user()
    if not user:
        yield engine
        return
    runner = Engine(Path(tempfile.mkdtemp(dir="/var/tmp")), user)  # pytest's own is root's alone
    try:
        runner.take(engine, list(images.values()))
        yield runner
    finally:
        runner.remove()


def test_an_image_says_what_it_is_and_holds_nothing_of_the_build(
    engine: Engine, images: dict[str, str]
) -> None:
    for target, image in images.items():
        found = history(image, engine.command("podman"))
        print(f"\n{table(image, found)}")
        size = sum(layer.size for layer in found)
        assert size < {"orchestrator": 500e6, "cpu-worker": 900e6}[target]
        touched = "; ".join(f"touch {path} 2>/dev/null && echo {path}" for path in STAY)
        said = engine.try_in(image, f"id -u; {touched}; find /wheels {PIP_FOLDER} -type f")
        assert said.split() == ["10001"]
        packages = engine.try_in(image, "python -m pip --version 2>&1; pip --version")
        assert "No module named pip" in packages and "/usr/lib" in packages  # the base's alone


def test_a_job_goes_through_containers_that_may_write_nowhere(
    runner: Engine, images: dict[str, str], tmp_path: Path
) -> None:
    redis, key, port = RedisServer(tmp_path), secrets.token_hex(16), free_port()
    redis.start()
    try:
        variables = {
            "SCRIPTORIUM_REDIS_URL": redis.url,
            "SCRIPTORIUM_STORE_URL": "file:///store",
            "SCRIPTORIUM_MODEL": "pico",
            "SCRIPTORIUM_API_PORT": port,
        }
        for name, (target, words) in CONTAINERS.items():
            own = {"SCRIPTORIUM_API_KEY": key} if name == "api" else {}
            runner.start(name, images[target], words, variables | own)
        for name in CONTAINERS:
            if name != "reconciler":  # the image's check asks the API, which it is not
                assert eventually(partial(runner.is_healthy, name), PATIENCE_SECONDS), name
            assert runner.user_namespace(name) is bool(runner.user)
            status = runner.status(name)
            assert set(status["Uid"].split()) == {"10001"}
            assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
            assert {int(status[f"Cap{one}"], 16) for one in ("Eff", "Prm", "Bnd", "Inh")} == {0}
        do_a_job(f"http://127.0.0.1:{port}/v1", key, tmp_path)
        for name in CONTAINERS:
            assert runner.stop(name) == 0, name
    finally:
        redis.stop()


def do_a_job(api: str, key: str, place: Path) -> None:
    """Without an aligner and speakers: the workers have no torch."""
    audio = write_wav(place / "talk.wav", recording(8.0)[0])
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(trust_env=False, timeout=60.0, headers=headers) as client:
        made = client.post(
            f"{api}/jobs",
            files={"file": audio.read_bytes()},
            data={"options": '{"aligner": "cross_attention"}'},
        )
        assert made.status_code == 202, made.text
        url = f"{api}/jobs/{made.json()['id']}"

        def status() -> str:
            return str(client.get(url).json()["status"])

        assert eventually(lambda: status() in ("completed", "partial", "failed"), PATIENCE_SECONDS)
        assert status() == "completed", client.get(url).json()
        assert client.get(f"{url}/transcript?format=txt").text.strip()
