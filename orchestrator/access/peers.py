"""Name the address that a connection comes from, for bounds by address."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_HOME_BITS = 64  # the part of an IPv6 address that one customer of a provider gets at least


_MAPPED = "::ffff:"


def plain_address(host: str) -> str:
    """Return an IPv4 address as such, which a socket of both families shows as `::ffff:…`."""
    plain = host.removeprefix(_MAPPED)
    return plain if "." in plain else host


@lru_cache(maxsize=4096)
def peer_of(host: str) -> str | None:
    """Return the IPv4 address or the /64 network of an address; None for one without bounds.

    127.0.0.1 and ::1 have none: they are programs of this machine, or a proxy that runs on it and
    speaks for all its clients. Neither has a text that is no address, such as a socket's path.
    """
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if str(found) in ("127.0.0.1", "::1"):
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((found, _HOME_BITS), strict=False))
