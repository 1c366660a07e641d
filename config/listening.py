"""Which address a server binds so that it is reached over IPv4 and over IPv6."""

from __future__ import annotations

import socket

EVERY_ADDRESS = "::"  # of both families, where the kernel has both
EVERY_IPV4_ADDRESS = "0.0.0.0"


def bound_address(host: str) -> str:
    """Return the address to bind for a host: for `::` the one of IPv4 on a machine without IPv6."""
    if host == EVERY_ADDRESS and not socket.has_dualstack_ipv6():
        return EVERY_IPV4_ADDRESS
    return host


def open_listener(
    host: str, port: int, *, backlog: int | None = None, shared: bool = False
) -> socket.socket:
    """Open a listening socket; `::` is every address of IPv6 and of IPv4. Raises OSError.

    Python alone would make of `::` a socket that IPv4 does not reach.
    """
    host = bound_address(host)
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server(
        (host, port),
        family=family,
        backlog=backlog,
        reuse_port=shared,
        dualstack_ipv6=host == EVERY_ADDRESS,
    )
