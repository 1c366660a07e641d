"""Tell systemd how the process is: ready, alive, stopping (sd_notify(3)).

One datagram to the socket that NOTIFY_SOCKET names. Without the variable nothing is sent, so the
same process runs by hand, in a container or under systemd.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
VARIABLE = "NOTIFY_SOCKET"


def tell(*states: str) -> None:
    """Send these states, if a service manager wants to know. Never waits, never raises."""
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # Linux's abstract names begin with a zero byte
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.setblocking(False)
        own.sendto("\n".join(states).encode(), address)
