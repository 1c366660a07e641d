"""Which web addresses a request for a submitter may go to. Policy only, no network.

A URL is accepted in one spelling only, so that no other parser can read another host out of it;
then each IP address of its host must be public. `tasks/web/outbound.py` checks both again at
the moment of the connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Self
from urllib.parse import quote

from gpu_worker.errors import PermanentError

URL_BYTES = 8192  # presigned URLs with session tokens are long
PORTS = {"http": 80, "https": 443}

# Characters of a path or query that stay as they are typed; all others are percent-encoded.
_SAFE = "%/:=&?~+!$,;'@()*[]"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<target>.*)")
_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Public by the registries, but internal services of clouds: Azure's wire server, Oracle's
# metadata.
_NEVER = tuple(map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24")))
# The routed part of IPv6, and its ranges that stand for other addresses (Teredo, 6to4) or none.
_ROUTED = ip_network("2000::/3")
_TUNNELS = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = ip_network("64:ff9b::/96")


class AddressNotAllowed(PermanentError):
    """The address policy forbids requests to this web address."""

    code = "address_not_allowed"
    hint = (
        "Give an https:// address of a public host, on port 443 and without redirects, or upload "
        "the file; the cluster's operator can allow others in "
        "SCRIPTORIUM_TRUSTED_SOURCE_HOSTS and SCRIPTORIUM_TRUSTED_WEBHOOK_HOSTS."
    )


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The parts of an accepted URL."""

    scheme: str  # http or https
    host: str  # in lower case; IPv6 without brackets
    port: int
    target: str  # path and query, in ASCII

    @property
    def netloc(self) -> str:
        """Host and port as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in its one spelling."""
        return f"{self.scheme}://{self.netloc}{self.target}"


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public hosts over TLS on port 443; trusted ones (`host` or `host:port`) in any way."""

    trusted_hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, trusted_hosts: str) -> Self:
        """Return the policy for the settings' comma-separated list."""
        entries = (entry.strip().lower() for entry in trusted_hosts.split(","))
        return cls(frozenset(_bracketed(entry) for entry in entries if entry))

    def trusts(self, host: str, port: int) -> bool:
        """Tell whether the operator lists this host, or this host with this port, as trusted."""
        name = _bracketed(host)
        return name in self.trusted_hosts or f"{name}:{port}" in self.trusted_hosts

    def parse(self, url: str) -> WebAddress:
        """Check and parse a URL without asking DNS. Raises AddressNotAllowed."""
        if len(url) > URL_BYTES:
            raise AddressNotAllowed(f"The address is longer than {URL_BYTES} bytes.")
        if any(ord(character) < 32 or ord(character) == 127 for character in url):
            raise AddressNotAllowed("The address has a control character in it.")
        parts = _URL.fullmatch(url)
        if parts is None or (scheme := parts["scheme"].lower()) not in PORTS:
            raise AddressNotAllowed(f"{_short(url)} is not an https:// address.")
        if "#" in url:  # servers never see what follows, and parsers read it differently
            raise AddressNotAllowed("The address must end before its #.")
        place = _PLACE.fullmatch(parts["place"])
        if place is None:
            raise AddressNotAllowed(
                "The address must have a plain host behind its ://, without a user name, "
                "encoded or foreign characters (write those as xn--…)."
            )
        host, port = place["host"].lower(), int(place["port"] or PORTS[scheme])
        try:
            host = str(IPv6Address(host[1:-1])) if host[0] == "[" else _checked_name(host)
            target = quote(parts["target"], safe=_SAFE)
        except ValueError as error:
            raise AddressNotAllowed(f"{_short(host)} is not the plain name of a host.") from error
        self.permit(scheme, host, port)
        return WebAddress(scheme, host, port, target if target[:1] == "/" else f"/{target}")

    def permit(self, scheme: str, host: str, port: int) -> None:
        """Check scheme, host and port, without asking DNS. Raises AddressNotAllowed."""
        if scheme not in PORTS:
            raise AddressNotAllowed("Only https:// addresses are spoken to.")
        if self.trusts(host, port):
            return
        if scheme != "https":
            raise AddressNotAllowed(f"{_short(host)} is spoken to over https:// only.")
        if port != PORTS["https"]:
            raise AddressNotAllowed(f"{_short(host)} is spoken to on port 443 only.")
        try:
            known = ip_address(host)
        except ValueError:
            if "." not in host or host.endswith((".localhost", ".local", ".internal")):
                raise AddressNotAllowed(f"{_short(host)} is not a public host.") from None
            return
        if not is_public(known):
            raise AddressNotAllowed(f"{_short(host)} is not a public address.")

    def check(self, host: str, port: int, found: Iterable[str]) -> tuple[str, ...]:
        """Return the addresses that DNS gave for the host, if all of them are allowed.

        Raises AddressNotAllowed, without the addresses: they would reveal an internal network.
        """
        addresses = tuple(dict.fromkeys(found))
        if not self.trusts(host, port) and not (addresses and all(map(_is_public_text, addresses))):
            raise AddressNotAllowed(f"{_short(host)} leads to an address that is not public.")
        return addresses


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether it is one host of the public internet; check embedded IPv4 addresses too."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:  # the way from networks without IPv4 to IPv4 hosts
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        # `is_global` is not enough: before Python 3.12.4 it is true for ranges that are not.
        if address not in _ROUTED or any(address in tunnel for tunnel in _TUNNELS):
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _NEVER)
    )


def _is_public_text(address: str) -> bool:
    try:
        return is_public(ip_address(address))
    except ValueError:
        return False


def _checked_name(host: str) -> str:
    """Return the host in the one spelling that all resolvers read alike. Raises ValueError."""
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(IPv4Address(host))  # four decimal numbers: no octal, hex or short form
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(host)
    return host


def _bracketed(entry: str) -> str:
    """Write IPv6 as in a URL, in one spelling, with a port if it has one; keep other hosts."""
    host, _, port = entry.partition("]")
    try:
        address = ip_address(host.removeprefix("["))
    except ValueError:
        return entry
    return f"[{address}]{port}" if isinstance(address, IPv6Address) else entry


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
