"""The command line as a user types it: real processes, exit statuses, files, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gpu_worker.assembly.formats import FORMATS
from gpu_worker.builtin import SAMPLE
from gpu_worker.models.wheels import models_root
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.real_models import offline_models, real_model
from tests.inputs.speech import recording, write_wav

SCRIPTORIUM = [sys.executable, "-m", "orchestrator.cli"]


class Shell:
    """A user with a home of its own and nothing configured."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(directory)}
        self.environment = kept | {
            "SCRIPTORIUM_HOME": str(directory / "home"),
            "SCRIPTORIUM_MODEL": "pico",
            "SCRIPTORIUM_ALLOWED_MODELS": "fake",
        }

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SCRIPTORIUM, *arguments],
            cwd=self.directory,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command, which a failed test does not wait for."""
        with subprocess.Popen(
            [*SCRIPTORIUM, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def processes(self) -> list[psutil.Process]:
        """All processes that still run with this home in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SCRIPTORIUM_HOME") == str(self.directory / "home"):
                    found.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    user = Shell(tmp_path)
    yield user
    for process in user.processes():
        process.kill()


def test_demo_is_a_real_conversation_by_real_models_and_asks_no_hub(shell: Shell) -> None:
    real_model("base")
    offline_models()
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.setblocking(False)
        address = f"http://127.0.0.1:{hub.getsockname()[1]}"
        variables = dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"), address
        )
        done = shell.run("demo", SCRIPTORIUM_MODEL_DIR=str(models_root(None)), **variables)
        with pytest.raises(BlockingIOError):  # no process has called
            hub.accept()
    assert done.returncode == 0, done.stderr
    found = re.search(r"Words: +(\d+) of 81 are wrong", done.stdout)
    assert found and int(found[1]) <= 13, done.stdout  # 11 in quiet: base hears no more
    assert re.search(r"Speakers: SPEAKER_00 \d+\.\d s, SPEAKER_01 \d+\.\d s\n", done.stdout)
    names = sorted(path.name for path in (shell.directory / "demo-output").iterdir())
    assert names == sorted(f"sample{form.extension}" for form in FORMATS.values())
    transcript = json.loads((shell.directory / "demo-output/sample.json").read_text())
    assert transcript["warnings"] == []
    words = transcript["word_segments"]
    assert all({"start", "end", "score", "speaker"} <= word.keys() for word in words)
    assert shell.processes() == []


@pytest.mark.heavy
def test_demo_without_a_package_index_shows_the_package_s_own_models(shell: Shell) -> None:
    done = shell.run("demo", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 0, done.stderr
    assert "Real models cannot be had." in done.stdout
    transcript = json.loads((shell.directory / "demo-output/conversation.json").read_text())
    assert transcript["warnings"] == []
    words = transcript["word_segments"]
    # Each turn of the reference is spoken by one voice, and the two by two.
    turns = json.loads(SAMPLE.with_suffix(".json").read_text())["turns"]
    found: dict[str, set[str]] = {}
    for turn in turns:
        spoken = {
            word["speaker"]
            for word in words
            if turn["start"] <= (word["start"] + word["end"]) / 2 <= turn["end"]
        }
        found.setdefault(turn["speaker"], set()).update(spoken)
    assert sorted(found) == ["anna", "peter"]
    assert all(len(speakers) == 1 for speakers in found.values())
    assert found["anna"] != found["peter"]
    assert shell.processes() == []


@pytest.mark.heavy
def test_names_that_look_like_options_commands_or_urls_are_just_names(shell: Shell) -> None:
    sound = write_wav(shell.directory / "plain.wav", recording(5, seed=91)[0]).read_bytes()
    names = ["--help", "a;b.wav", "$(id).wav", "line\nbreak.wav", "concat:x", "n" * 251 + ".wav"]
    for name in names:
        (shell.directory / name).write_bytes(sound)
    done = shell.run(
        "transcribe", "-o", "out", "-f", "txt", "--model", "fake", "--language", "en", "--", *names
    )
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (shell.directory / "out").iterdir()}
    assert {"--help.txt", "a;b.txt", "$(id).txt", "line\nbreak.txt", "concat:x.txt"} < written
    assert len(written) == len(names)


def test_exit_status_2_for_wrong_usage_and_1_for_what_cannot_be_done(shell: Shell) -> None:
    assert shell.run("transcribe", str(SAMPLE), "--model", "no-such").returncode == 2
    assert shell.run("transcribe", str(SAMPLE), "--beam_size", "many").returncode == 2
    assert shell.run("transcribe", str(SAMPLE), "-f", "pdf").returncode == 2
    assert shell.run("transcribe").returncode == 2
    missing = shell.run("transcribe", "nothing-here.wav")
    assert missing.returncode == 1
    assert "source_missing" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_redis_or_store_that_cannot_be_reached_is_named_without_a_traceback(
    shell: Shell,
) -> None:
    home = f"file://{shell.directory}/store"
    redis = shell.run(
        "submit",
        str(SAMPLE),
        REDIS_URL="redis://:hunter2@127.0.0.1:1/0",
        SCRIPTORIUM_STORE_URL=home,
    )
    assert redis.returncode == 1
    assert "redis_unavailable" in redis.stderr
    assert "hunter2" not in redis.stderr
    store = shell.run(
        "transcribe",
        str(SAMPLE),
        SCRIPTORIUM_STORE_URL="s3://bucket/prefix",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:1",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="hunter2",
    )
    assert store.returncode == 1
    assert "store_unavailable" in store.stderr
    assert "hunter2" not in store.stderr
    for output in (redis.stderr, store.stderr):
        assert "Traceback" not in output


def test_a_full_disk_is_named_and_leaves_nothing_half_written(shell: Shell) -> None:
    sound = write_wav(shell.directory / "speech.wav", recording(60, seed=92)[0])
    small = shell.directory / "small"
    small.mkdir()
    command = [*SCRIPTORIUM, "transcribe", str(sound), "--model", "fake", "--language", "en"]
    on_small_disk = [
        "unshare", "--map-root-user", "--mount", "sh", "-c",
        f'mount -t tmpfs -o size=256k none {small} && "$@"; echo "left: $(ls {small})"', "sh",
    ]  # fmt: skip
    if subprocess.run([*on_small_disk, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a small disk")

    def run(*more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*on_small_disk, *command, *more],
            cwd=shell.directory,
            env=shell.environment | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    full_store = run(SCRIPTORIUM_STORE_URL=small.as_uri())
    assert "disk_full" in full_store.stderr
    full_work_dir = run(SCRIPTORIUM_WORK_DIR=str(small))
    told = " ".join(full_work_dir.stderr.split())  # the terminal's lines are short
    assert "workers_unfit" in told and "No space left on device" in told
    assert "SCRIPTORIUM_WORK_DIR" in told and "--device" not in told
    for output in (full_store, full_work_dir):
        assert "Traceback" not in output.stderr
        assert "speech" not in output.stdout.partition("left:")[2]


def test_an_output_directory_that_cannot_be_made_is_named(shell: Shell) -> None:
    sound = write_wav(shell.directory / "speech.wav", recording(5, seed=92)[0])
    done = shell.run("transcribe", str(sound), "-o", str(sound / "x"), "--model", "fake")
    assert done.returncode == 1
    assert "not_writable" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_everything_and_the_same_command_goes_on_from_the_finished_chunks(
    shell: Shell,
) -> None:
    sound = write_wav(shell.directory / "speech.wav", recording(100, seed=93)[0])
    command = ["transcribe", str(sound), "-f", "json", "--model", "fake-10x", "--language", "en"]
    command += ["--chunk_seconds", "10", "--workers", "1"]
    with shell.start(*command) as first:
        chunks = "home/store/tenants/default/audio/*/transcribe/*.json"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(list(shell.directory.glob(chunks))) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first.send_signal(signal.SIGINT)
        _, errors = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 130, errors
    assert "same command goes on" in errors
    assert "Traceback" not in errors
    assert shell.processes() == []

    second = shell.run(*command)
    assert second.returncode == 0, second.stderr
    timings = json.loads((shell.directory / "speech.json").read_text())["timings"]
    assert timings["transcribe"]["cached"] >= 3


def test_up_serves_submit_watch_get_list_and_stops_on_ctrl_c(shell: Shell) -> None:
    sound = write_wav(shell.directory / "speech.wav", recording(20, seed=94)[0])
    with shell.start("up", "--workers", "1") as cluster:
        assert cluster.stdout is not None
        while "Ready" not in cluster.stdout.readline():
            assert cluster.poll() is None
        use_the_running_cluster(shell, sound)
        cluster.send_signal(signal.SIGINT)
        assert cluster.wait(timeout=PATIENCE_SECONDS) == 0
    assert shell.processes() == []


def use_the_running_cluster(shell: Shell, sound: Path) -> None:
    job = shell.run("submit", str(sound), "--idempotency-key", "call-1").stdout.strip()
    assert shell.run("submit", str(sound), "--idempotency-key", "call-1").stdout.strip() == job
    assert shell.run("watch", job).returncode == 0
    assert json.loads(shell.run("status", job, "--json").stdout)["status"] == "completed"
    assert shell.run("get", job).stdout.split()
    assert shell.run("get", job, "-f", "srt").stdout.startswith("1\n00:00:")
    assert [row["id"] for row in json.loads(shell.run("list", "--json").stdout)] == [job]
    assert shell.run("cancel", job).returncode == 1
    assert json.loads(shell.run("dead-letters", "--json").stdout) == []
    assert shell.run("status", "no-such-job").returncode == 1
    assert "error" not in {row["state"] for row in json.loads(shell.run("doctor", "--json").stdout)}


def test_up_killed_with_9_leaves_nothing_running_and_the_next_up_finishes_its_jobs(
    shell: Shell,
) -> None:
    sound = write_wav(shell.directory / "speech.wav", recording(60, seed=96)[0])

    @contextmanager
    def start() -> Iterator[subprocess.Popen[str]]:
        with shell.start("up", "--workers", "1") as cluster:
            assert cluster.stdout is not None
            while "Ready" not in cluster.stdout.readline():
                assert cluster.poll() is None
            yield cluster

    with start() as cluster:
        job = shell.run(
            "submit", str(sound), "--model", "fake-10x", "--chunk-seconds", "10"
        ).stdout.strip()
        cluster.kill()
        cluster.wait(timeout=PATIENCE_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while shell.processes():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with start() as cluster:
        assert shell.run("watch", job).returncode == 0
        cluster.send_signal(signal.SIGTERM)
        assert cluster.wait(timeout=PATIENCE_SECONDS) == 0
