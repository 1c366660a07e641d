"""What systemd is told, by a socket such as it has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.telemetry.systemd import ALIVE, READY, tell
from tests.servers.notify_socket import listening


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_states_arrive_at_the_socket(
    is_abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"@scriptorium-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with listening(address) as told:
        tell(READY, ALIVE)
        assert told() == [READY, ALIVE]
        assert told() == []


@pytest.mark.parametrize("address", ["", "vsock:2:1", "nonsense"])
def test_without_a_socket_that_it_knows_nothing_is_sent(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell(READY)
    monkeypatch.delenv("NOTIFY_SOCKET")
    tell(READY)


def test_a_service_manager_that_is_gone_or_does_not_read_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    tell(ALIVE)
    with listening(tmp_path / "notify"):
        for _ in range(1000):
            tell(ALIVE)
