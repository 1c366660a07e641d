"""Ports of this machine that a server can listen on."""

from __future__ import annotations

import socket


def free_port(host: str, port: int = 0) -> int:
    """Return the port, or a free one for 0.

    Raises OSError if the host is not this machine or the port cannot be listened on.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((host, port), family=family) as probe:
        number: int = probe.getsockname()[1]
        return number
