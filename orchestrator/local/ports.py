"""Ports of this machine that a server can listen on."""

from __future__ import annotations

from config.listening import open_listener


def free_port(host: str, port: int = 0) -> int:
    """Return the port, or a free one for 0.

    Raises OSError if the host is not this machine or the port cannot be listened on.
    """
    with open_listener(host, port) as probe:
        number: int = probe.getsockname()[1]
        return number
