"""What is called a free port can be listened on."""

from __future__ import annotations

import socket

import pytest

from orchestrator.local.ports import free_port


def test_a_free_port_can_be_listened_on_and_is_then_refused() -> None:
    port = free_port("127.0.0.1")
    assert free_port("127.0.0.1", port) == port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
        free_port("127.0.0.1", port)


def test_a_host_that_is_not_this_machine_has_no_port() -> None:
    with pytest.raises(OSError):
        free_port("no-such-host.invalid")
