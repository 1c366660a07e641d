"""The socket of a service manager, such as systemd has for each unit with Type=notify."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Told = Callable[[], list[str]]


@contextmanager
def listening(path: Path | str) -> Iterator[Told]:
    """Listen at a path, or `@` and an abstract name; yields what reads the states since then."""
    address = str(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        own.setblocking(False)

        def told() -> list[str]:
            states: list[str] = []
            with suppress(BlockingIOError):
                while True:
                    states += own.recv(4096).decode().splitlines()
            return states

        yield told
