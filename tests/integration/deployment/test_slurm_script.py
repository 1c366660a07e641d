"""The Slurm script as a plain process, with the variables that Slurm sets, on a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import ROOT
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster
from tests.integration.process_group import process_group

SCRIPT = ROOT / "examples" / "slurm" / "workers.sbatch"
SCRIPTORIUM = str(Path(sys.executable).with_name("scriptorium"))
NOTICE_SECONDS = 12.0
PATIENCE_SECONDS = 60.0
GPU = "GPU-1a2b3c4d-0000-1111-2222-333344445555"
OF_SLURM = {
    "SLURM_JOB_ID": "4711", "SLURM_ARRAY_JOB_ID": "4710", "SLURM_ARRAY_TASK_ID": "1",
    "SLURMD_NODENAME": "node7", "SLURM_CPUS_PER_TASK": "1", "CUDA_VISIBLE_DEVICES": GPU,
}  # fmt: skip


@contextmanager
def task(place: Path, told: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The script as Slurm starts it, and what it has started gone with it."""
    place.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "TMPDIR": str(place)}
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    told = OF_SLURM | {"SLURM_SUBMIT_DIR": str(place)} | dict(told)
    with process_group(["bash", SCRIPT], environment | told, place / "log", place) as process:
        yield process


def stand_in(place: Path, script: str) -> dict[str, str]:
    """Another program in the place of `scriptorium`, with what the script needs."""
    program = place / "program"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return {
        "SCRIPTORIUM": str(program),
        "REDIS_URL": "redis://x",
        "SCRIPTORIUM_STORE_URL": "file:///x",
    }


def test_its_syntax_is_right_and_slurm_finds_its_options() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    head = SCRIPT.read_text().split("set -eu")[0]
    options = [line.split()[1] for line in head.splitlines() if line.startswith("#SBATCH")]
    assert {"--requeue", "--signal=B:TERM@120", "--gres=gpu:1"} <= set(options)


@pytest.mark.heavy
def test_a_task_takes_a_unit_and_hands_it_back_within_its_notice(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = start_cluster(1, lease_seconds=60.0)
    children = cluster.local.supervisor.children
    cluster.wait_until(lambda: any(name.startswith("gpu") for name in children()))
    (own,) = (name for name in children() if name.startswith("gpu"))
    cluster.wait_until(
        lambda: "ready." in (cluster.local.logs / f"{own.partition('@')[0]}.log").read_text()
    )
    os.killpg(children()[own], signal.SIGSTOP)  # the task alone takes what comes
    values = cluster.local.services.settings
    told = {
        "SCRIPTORIUM": SCRIPTORIUM,
        "SCRIPTORIUM_DEVICE": "cpu",
        "SCRIPTORIUM_HUB_SPREAD_SECONDS": "0",
        "SCRIPTORIUM_NOTICE_SECONDS": str(NOTICE_SECONDS),
        "SCRIPTORIUM_ALLOWED_MODELS": values.allowed_models,
    }
    place = tmp_path / "task"
    place.mkdir()
    assert values.redis_url is not None
    (place / "scriptorium.env").write_text(
        f"REDIS_URL={values.redis_url.get_secret_value()}\n"
        f"SCRIPTORIUM_STORE_URL={values.store_url}\n"
    )
    with task(place, told) as process:
        log = place / "log"
        assert eventually(lambda: "ready." in log.read_text(), PATIENCE_SECONDS), log.read_text()
        assert "slurm-4710-1-0@node7 ready." in log.read_text()
        audio = write_wav(tmp_path / "talk.wav", recording(30.0, seed=51)[0])
        job = cluster.submit(audio, model="fake-1x", language="en")
        assert eventually(lambda: '"unit_started"' in log.read_text(), PATIENCE_SECONDS)
        os.killpg(children()[own], signal.SIGCONT)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)  # the shell's alone, as by --signal=B:
        assert process.wait(NOTICE_SECONDS + 5.0) == 0, log.read_text()
        assert time.monotonic() - began < NOTICE_SECONDS
        assert "units_handed_back" in log.read_text()
    assert cluster.wait(job).status == "completed"


def test_a_worker_that_ends_itself_is_started_again_and_a_wrong_option_is_not(
    tmp_path: Path,
) -> None:
    counted = tmp_path / "counted"
    script = f'echo "$*" >> {counted}; [ "$(wc -l < {counted})" = 2 ] && exit 2; exit 70'
    with task(tmp_path / "task", stand_in(tmp_path, script)) as process:
        assert process.wait(PATIENCE_SECONDS) == 2
    first, second = counted.read_text().splitlines()
    for line in (first, second):
        assert f"worker --pool gpu --gpu {GPU} --threads 1 --name slurm-4710-1-" in line
    assert "the worker has ended with status 70" in (tmp_path / "task" / "log").read_text()


def test_a_worker_that_hangs_is_killed_and_the_next_one_starts(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f'echo x >> {counted}; [ "$(wc -l < {counted})" = 2 ] && exit 2\n'
    script += 'touch -d "-11 minutes" "$SCRIPTORIUM_HEARTBEAT_FILE"; exec sleep 600'
    told = stand_in(tmp_path, script) | {"LOOK_SECONDS": "0.3"}
    with task(tmp_path / "task", told) as process:
        assert process.wait(PATIENCE_SECONDS) == 2
    log = (tmp_path / "task" / "log").read_text()
    assert "the worker hangs" in log and f"status {128 + signal.SIGKILL}" in log


def test_a_task_whose_time_is_over_waits_for_its_next_turn_if_that_is_wanted(
    tmp_path: Path,
) -> None:
    asked = tmp_path / "asked"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/bash\necho "$*" > {asked}\n')
    (tools / "scontrol").chmod(0o755)
    ready = tmp_path / "ready"
    script = f"trap 'exit 0' TERM; touch {ready}; while :; do sleep 0.1; done"
    told = stand_in(tmp_path, script) | {"PATH": f"{tools}:{os.environ['PATH']}"}
    for wanted in ("0", "1"):
        ready.unlink(missing_ok=True)
        with task(tmp_path / "task", told | {"SCRIPTORIUM_REQUEUE": wanted}) as process:
            assert eventually(ready.exists)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0
        assert asked.exists() is (wanted == "1")
    assert asked.read_text() == "requeue 4711\n"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CUDA_VISIBLE_DEVICES": ""}, "Slurm gave this task no GPU"),
        ({"REDIS_URL": ""}, "REDIS_URL: is not set, nor in"),
    ],
)
def test_what_is_missing_is_said(changed: dict[str, str], said: str, tmp_path: Path) -> None:
    with task(tmp_path / "task", stand_in(tmp_path, "exit 0") | changed) as process:
        assert process.wait(PATIENCE_SECONDS) != 0
    assert said in (tmp_path / "task" / "log").read_text()
