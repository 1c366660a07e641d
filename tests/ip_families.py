"""Which families of addresses this machine has."""

from __future__ import annotations

import socket

import pytest


def has_ipv6() -> bool:
    """Whether it reaches itself over IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no address ::1")
