"""Servers that are reached over IPv4 and over IPv6, with real sockets."""

from __future__ import annotations

import socket

import pytest

from config.listening import bound_address, open_listener
from tests.ip_families import needs_ipv6


def reaches(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "over_ipv4", "over_ipv6"),
    [
        ("::", True, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, True),
    ],
)
def test_an_address_is_reached_over_the_families_that_it_names(
    host: str, over_ipv4: bool, over_ipv6: bool
) -> None:
    with open_listener(host, 0) as server:
        port = server.getsockname()[1]
        assert (reaches("127.0.0.1", port), reaches("::1", port)) == (over_ipv4, over_ipv6)


@needs_ipv6
def test_several_servers_share_a_port_of_both_families() -> None:
    with open_listener("::", 0, shared=True) as first:
        port = first.getsockname()[1]
        with open_listener("::", port, shared=True) as second:
            assert second.getsockname()[1] == port
        with pytest.raises(OSError, match="in use"):
            open_listener("::", port)


def test_a_machine_without_ipv6_is_reached_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert bound_address("::") == "0.0.0.0"
    assert bound_address("::1") == "::1"  # what is named is not changed
    with open_listener("::", 0) as server:
        assert reaches("127.0.0.1", server.getsockname()[1])
