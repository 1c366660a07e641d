"""Processes that begin together do not ask the hub at once; a hub that is busy is asked again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gpu_worker.errors import ModelUnavailable
from gpu_worker.models.hub import CONNECTIONS, SERVERS, SILENT_SECONDS
from gpu_worker.models.hub_turns import ASKED_SECONDS, STAGGER, SharedCache, told_seconds
from gpu_worker.models.whisper import fetch_model, find_model
from tests.eventually import PATIENCE_SECONDS
from tests.servers.hub import PlayHub, play_hub

FILES = {
    "model.bin": b"x" * 100_000, "config.json": b"{}", "tokenizer.json": b"{ }",
    "vocabulary.txt": b"a\nb\n",
}  # fmt: skip
FETCH = """
import sys
from gpu_worker.models.hub_turns import STAGGER
from gpu_worker.models.whisper import fetch_model, find_model
STAGGER.seconds = float(sys.argv[2])
print(fetch_model(find_model("small"), sys.argv[1], None))
"""
SMALL = SharedCache("Systran/faster-whisper-small", None, None)


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No silence of another test's hub, and no stagger but the test's own."""
    SERVERS.forget()
    monkeypatch.setattr(STAGGER, "seconds", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    SERVERS.forget()


def fetch_at_once(hub: PlayHub, caches: Sequence[Path], spread: float = 0.0) -> list[int]:
    """Start a process for each cache, all at once; return their exit statuses."""
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", FETCH]
    started = [
        subprocess.Popen(
            [*command, str(cache), str(spread)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for cache in caches
    ]  # fmt: skip
    return [process.wait() for process in started]


@pytest.mark.slow
def test_processes_of_one_cache_ask_the_hub_once_and_not_again_for_a_while(tmp_path: Path) -> None:
    with play_hub(FILES, seconds=0.2) as hub:
        assert fetch_at_once(hub, [tmp_path] * 6) == [0] * 6
        assert hub.downloads == len(FILES)
        assert hub.most_open <= CONNECTIONS
        asked = len(hub.requests)
        assert fetch_at_once(hub, [tmp_path] * 3) == [0] * 3
        assert len(hub.requests) == asked


@pytest.mark.slow
def test_machines_that_start_together_all_get_a_model_from_a_hub_that_refuses_a_burst(
    tmp_path: Path,
) -> None:
    caches = [tmp_path / str(number) for number in range(5)]
    with play_hub(FILES, seconds=0.2, refuse_above=3) as hub:
        assert fetch_at_once(hub, caches, spread=2.0) == [0] * len(caches)
        assert hub.downloads >= len(FILES) * len(caches)


def test_a_busy_hub_is_asked_again_when_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", pauses.append)
    with play_hub(FILES, refuse_first=2, retry_after="40") as hub:
        hub.stand_in(monkeypatch)
        assert fetch_model(find_model("small"), str(tmp_path), None).is_dir()
    assert hub.refused == 2
    assert len(pauses) == 2 and all(40 <= pause <= 60 for pause in pauses)
    assert not SERVERS.is_silent("the hub")


def test_a_hub_that_wants_more_patience_than_there_is_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with play_hub(FILES, refuse_first=9, retry_after="3600") as hub:
        hub.stand_in(monkeypatch)
        with pytest.raises(ModelUnavailable, match="could not be fetched"):
            fetch_model(find_model("small"), str(tmp_path), None)
    assert len(hub.requests) == 1


def test_a_file_that_is_refused_is_an_answer_and_no_silence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hub's client calls it an error of the connection."""
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", lambda _: None)
    answers = iter((200, 200, *[429] * 3))
    with play_hub(FILES, refuse_when=lambda: next(answers, 200) == 429) as hub:
        hub.stand_in(monkeypatch)
        assert fetch_model(find_model("small"), str(tmp_path), None).is_dir()
    assert hub.refused == 3


def test_what_the_client_returns_of_an_earlier_try_is_not_taken_for_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own question is refused: then it returns the directory with the files that are there."""
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", lambda _: None)
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        first = fetch_model(find_model("small"), str(tmp_path), None)
        (first / "model.bin").unlink()
    answers = iter((200, 429))
    with play_hub(FILES, refuse_when=lambda: next(answers, 200) == 429) as hub:
        hub.stand_in(monkeypatch)
        directory = fetch_model(find_model("small"), str(tmp_path), None)
    assert hub.refused == 1
    assert (directory / "model.bin").exists()


def test_for_news_of_a_model_that_is_here_no_busy_hub_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each process of the cache would keep its turn for minutes, and all of them do no work."""
    pauses: list[float] = []
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", pauses.append)
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        directory = fetch_model(find_model("small"), str(tmp_path), None)
    forget_the_answer(tmp_path)
    with play_hub(FILES, refuse_first=9, retry_after="40") as hub:
        hub.stand_in(monkeypatch)
        assert fetch_model(find_model("small"), str(tmp_path), None) == directory
    assert hub.refused == 1
    assert pauses == []


def test_on_a_file_system_without_locks_a_killed_process_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Lustre has it without its option `flock`."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    cache = SharedCache(SMALL.repository, None, str(tmp_path))
    monkeypatch.setattr("gpu_worker.models.hub_turns.TURN_SECONDS", 2 * PATIENCE_SECONDS)
    with cache.turn():
        pass  # the directory is there
    (lock,) = tmp_path.rglob("scriptorium.lock")
    monkeypatch.setattr("fcntl.flock", flock)
    killed, began = cache.turn(), time.monotonic()
    assert killed.__enter__()
    left = lock.read_bytes()
    with cache.turn() as can_fetch:
        assert can_fetch
    assert left == b"", "no process says in it that the turn is its own"
    assert time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_either_header(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert told_seconds(headers) == seconds


def test_the_wait_before_a_fetch_is_bounded_and_only_for_what_is_not_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", waits.append)
    monkeypatch.setattr(STAGGER, "seconds", 30.0)
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        directory = fetch_model(find_model("small"), str(tmp_path), None)
        assert len(waits) == 1 and 0.0 <= waits[0] <= 30.0
        forget_the_answer(tmp_path)
        asked = len(hub.requests)
        assert fetch_model(find_model("small"), str(tmp_path), None) == directory
        assert len(hub.requests) > asked, "it is asked for news, but nothing waits for that"
    assert len(waits) == 1


def forget_the_answer(cache: Path) -> None:
    """Let it be long ago that a process of this cache asked."""
    (note,) = cache.glob(".locks/*/scriptorium.asked-*")
    old = time.time() - 2 * ASKED_SECONDS
    os.utime(note, (old, old))


def test_offline_nothing_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr("gpu_worker.models.hub_turns.sleep", waits.append)
    monkeypatch.setattr(STAGGER, "seconds", 30.0)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable):
        fetch_model(find_model("small"), str(tmp_path), None)
    assert not waits and not list(tmp_path.rglob("scriptorium.*"))


def test_a_silence_counts_for_the_other_processes_of_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        cache = SharedCache(SMALL.repository, None, str(tmp_path))
        cache.note_silence()  # as another process would
        assert cache.was_silent(SILENT_SECONDS)
        with pytest.raises(ModelUnavailable, match="gave no answer less than"):
            fetch_model(find_model("small"), str(tmp_path), None)
    assert not hub.requests


def test_a_commit_that_is_here_is_never_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        fetch_model(find_model("small"), str(tmp_path), None)
        asked = len(hub.requests)
        revision = next(tmp_path.glob("*/snapshots/*")).name
        assert fetch_model(find_model("small", revision), str(tmp_path), None).name == revision
    assert len(hub.requests) == asked


def test_a_cache_that_cannot_be_written_to_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with play_hub(FILES) as hub:
        hub.stand_in(monkeypatch)
        directory = fetch_model(find_model("small"), str(tmp_path), None)
        asked = len(hub.requests)
        shutil.rmtree(tmp_path / ".locks")
        (tmp_path / ".locks").touch()  # root may write everywhere: a file that is in the way
        assert fetch_model(find_model("small"), str(tmp_path), None) == directory
    assert len(hub.requests) == asked
