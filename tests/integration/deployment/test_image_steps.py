"""The images' steps and the services of compose.yaml, executed without a container engine.

Every RUN step runs in a mount namespace, and so does every service: its own command, environment
and health check, a root that cannot be written to, user 10001, no capability. Left out: the base
image (this machine's root stands for it), the network between services, and GPUs.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests import ROOT
from tests.deployment.dockerfile import TARGETS, read_dockerfile
from tests.inputs.speech import recording, write_wav
from tests.integration.deployment.compose_services import Services, services_of
from tests.integration.deployment.containers import NO_PRIVILEGES, Root, why_impossible
from tests.integration.deployment.image_build import SITE, Builder

SERVICES = ("api", "reconciler", "cpu-worker", "gpu-worker-on-cpu")
USER = "10001:10001"
PATIENCE_SECONDS = 180.0
SECRET = "hf_canary_of_the_build"
pytestmark = pytest.mark.skipif(bool(why_impossible()), reason=str(why_impossible()))


@pytest.fixture(scope="module")
def build_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build of our own wheel fetches."""
    place = tmp_path_factory.mktemp("build-tools")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(place)]
    (wanted,) = re.findall(r"^setuptools==\S+", (ROOT / "constraints.txt").read_text(), re.M)
    if subprocess.run([*pip, wanted], check=False).returncode:
        pytest.skip("no package index can be reached")
    return place


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory, build_tools: Path) -> Iterator[Builder]:
    """Builds with the tests' own packages in the place of gigabytes from an index."""
    place = tmp_path_factory.mktemp("images")
    secret = place.with_name("token")
    secret.write_text(SECRET)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PIP_FIND_LINKS", str(build_tools))
        yield Builder(
            read_dockerfile(),
            place,
            arguments={"MODELS": "pico pico-align pico-voice"},
            secrets={"hf_token": secret},
            borrows=True,
        )
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def fetching_builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Builds as an engine would, with every package from the index."""
    place = tmp_path_factory.mktemp("fetched")
    yield Builder(read_dockerfile(), place)
    shutil.rmtree(place)


def soon(is_so: Callable[[], bool]) -> bool:
    """Whether it came to be so; libraries take their time to load on a busy machine."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.2)
    return is_so()


def run(
    builder: Builder, target: str, script: str, place: Path
) -> subprocess.CompletedProcess[str]:
    """A shell in a container of the image, with a /tmp and without volumes."""
    root = Root(builder.image(target), place, private_tmp=True)
    return subprocess.run(
        root.command(["sh", "-c", script], user=USER, directory="/app", flags=NO_PRIVILEGES),
        env=builder.environment(target),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_the_product_and_lets_itself_be_changed_nowhere(
    builder: Builder, target: str, tmp_path: Path
) -> None:
    done = run(builder, target, "scriptorium --version && touch /tmp/file", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"scriptorium {version('scriptorium')}\n"), done
    where = "import config, gpu_worker, tasks, orchestrator.page as page; print(page.__file__)"
    done = run(builder, target, f"python -c {where!r}", tmp_path)
    assert done.stdout == f"/opt/scriptorium/{SITE}/orchestrator/page/__init__.py\n", done
    for path in ("/file", "/app/file", "/opt/scriptorium/file", "/etc/passwd", "/store/file"):
        assert run(builder, target, f"touch {path}", tmp_path).returncode != 0
    image = builder.image(target)
    writable = [path for path in image.rglob("*") if is_others(path)]
    assert {f"/{path.relative_to(image)}" for path in writable} == {
        "/keys", "/models", "/scratch", "/store",
    }  # fmt: skip
    packages = image / f"opt/scriptorium/{SITE}"
    assert not list(packages.glob("pip")) and not list(packages.glob("setuptools"))


def is_others(path: Path) -> bool:
    """Whether another user than root may write there, always or as it is theirs."""
    found = path.lstat()
    open_to_all = found.st_mode & 0o002 and not path.is_symlink() and path.name != "tmp"
    return found.st_uid != 0 or bool(open_to_all)


def test_models_are_baked_in_and_the_token_that_fetched_them_is_not(
    builder: Builder, tmp_path: Path
) -> None:
    done = run(builder, "gpu-worker-baked", "env; ls -d /opt/models", tmp_path)
    assert done.stdout.endswith("/opt/models\n")
    assert "SCRIPTORIUM_MODEL_DIR=/opt/models" in done.stdout and "HF_HUB_OFFLINE=1" in done.stdout
    assert SECRET not in done.stdout
    for target in ("models", "gpu-worker-baked"):
        image = builder.image(target)
        found = subprocess.run(["grep", "-rl", SECRET, image], capture_output=True, check=False)
        assert (found.returncode, found.stdout) == (1, b"")


def test_the_health_check_of_a_worker_believes_a_fresh_heartbeat_only(
    builder: Builder, tmp_path: Path
) -> None:
    words = shlex.join(builder.dockerfile.health_check("gpu-worker"))
    for before, healthy in (
        ("true", False),
        ("touch -d '-10 minutes' /tmp/heartbeat", False),
        ("touch /tmp/heartbeat", True),
    ):
        done = run(builder, "gpu-worker", f"{before} && {words}", tmp_path)
        assert (done.returncode == 0) is healthy, done


@pytest.mark.heavy
def test_the_services_of_compose_become_healthy_do_a_job_and_end_when_told(
    builder: Builder, tmp_path: Path
) -> None:
    with services_of(builder, tmp_path) as services:
        do_a_job_and_end(services, tmp_path)


def do_a_job_and_end(services: Services, place: Path) -> None:
    first = services.start("key")
    assert first.process.wait(60) == 0, first.log.read_text()
    written = place / "volumes" / "keys" / "first"
    key = written.read_text().split()[0]
    assert key not in first.log.read_text() and written.stat().st_mode & 0o077 == 0
    running = {name: services.start(name) for name in SERVICES}
    for container in running.values():
        assert soon(container.is_healthy), container.log.read_text()
        status = container.status()
        assert set(status["Uid"].split()) == {"10001"} and status["NoNewPrivs"] == "1"
        assert {int(status[f"Cap{name}"], 16) for name in ("Eff", "Prm", "Bnd", "Inh")} == {0}

    audio = write_wav(place / "talk.wav", recording(8.0)[0])
    api = f"http://127.0.0.1:{services.variables['SCRIPTORIUM_API_PORT']}/v1"
    with httpx.Client(trust_env=False, timeout=60.0) as client:
        assert client.get(f"{api}/jobs").status_code == 401
        client.headers["Authorization"] = f"Bearer {key}"
        job = client.post(f"{api}/jobs", files={"file": audio.read_bytes()}).json()
        url = f"{api}/jobs/{job['id']}"
        assert soon(lambda: client.get(url).json()["status"] in ("completed", "failed"))
        assert client.get(url).json()["status"] == "completed", client.get(url).json()
        assert client.get(f"{url}/transcript?format=txt").text.strip()

    again = services.start("key")  # as at the next `up`
    assert (again.process.wait(60), again.log.read_text()) == (0, "")
    for name, container in running.items():
        # uvicorn ends in order, and then by the signal that it was told to end by.
        assert container.stop() in ((0, -signal.SIGTERM) if name == "api" else (0,)), name


@pytest.mark.heavy
def test_the_control_plane_runs_on_its_own_packages_alone(
    fetching_builder: Builder, tmp_path: Path
) -> None:
    target = "orchestrator"
    listed = fetching_builder.image(target) / f"opt/scriptorium/{SITE}"
    names = {path.name.lower() for path in listed.iterdir()}
    assert {"celery", "fastapi", "flower", "opentelemetry"} <= names
    assert not names & {"torch", "ctranslate2", "av", "faster_whisper", "transformers", "nvidia"}
    with services_of(fetching_builder, tmp_path) as services:
        assert services.start("key").process.wait(60) == 0
        for name in ("api", "reconciler"):
            assert soon(services.start(name).is_healthy)
        flower = services.start("flower")
        url = f"http://127.0.0.1:{services.variables['SCRIPTORIUM_FLOWER_PORT']}/workers"
        with httpx.Client(trust_env=False) as client:
            assert soon(lambda: answers(client, url)), flower.log.read_text()
            assert client.get(url).status_code == 401
            assert client.get(url, auth=("scriptorium", "let me see")).status_code == 200
        assert flower.stop() == 0


def answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code > 0
    except httpx.TransportError:
        return False


@pytest.mark.heavy
def test_a_worker_finds_its_model_libraries_and_those_of_cuda(
    fetching_builder: Builder, tmp_path: Path
) -> None:
    """It fetches several gigabytes."""
    script = "import ctypes\n"
    script += "for name in ('cublas.so.12', 'cudnn.so.9', 'nvrtc.so.12'):\n"
    script += "    ctypes.CDLL(f'lib{name}')\n"  # before torch brings its own ways
    script += "import torch, ctranslate2, faster_whisper, whisperx, pyannote.audio, av"
    done = run(fetching_builder, "gpu-worker", f"python -c {shlex.quote(script)}", tmp_path)
    assert done.returncode == 0, done
