"""Several hosts on one machine: network namespaces, and a router of ours between them.

Every host has a namespace of its own with one TUN device. The router reads each host's packets
and writes them to the host they are for. It drops those of a cut direction, and it delays and
loses others as told. So it needs neither a bridge nor the kernel's `netem`, which many kernels
lack, and a cut is what it is in a data center: silence, without a refusal or a reset.

Needs root, `ip` of iproute2, and /dev/net/tun.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_NAMESPACES = Path("/run/netns")
_PREFIX = "scriptorium"
_MTU = 1500
_PACKETS_AT_ONCE = 64
# 198.18.0.0/15 is for tests of networks (RFC 2544), so it is nowhere else in use.
_NETWORK = "198.18"
OBSERVER = "observer"  # the test itself: this machine's own namespace


def why_not() -> str | None:
    """Return why this machine can have no such network, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root (run the tests as root)"
    if shutil.which("ip") is None:
        return "`ip` is not installed (Debian: apt-get install iproute2)"
    if not TUN.exists():
        return "the kernel has no TUN devices (/dev/net/tun)"
    return None


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its name, its address, and the descriptor of its device at the router."""

    name: str
    address: str
    namespace: str | None  # None: the test's own
    device: int

    def command(self, command: Iterable[str]) -> list[str]:
        """Return the command that runs a program on this host."""
        inside = [] if self.namespace is None else ["ip", "netns", "exec", self.namespace]
        return [*inside, *command]


@dataclass(frozen=True, slots=True)
class Quality:
    """How the links are: seconds that each packet takes, and the share of packets lost, 0 to 1."""

    delay_seconds: float = 0.0
    loss: float = 0.0


class Network:
    """The hosts of these names and the observer; use as a context manager, once."""

    def __init__(self, *names: str, seed: int = 1) -> None:
        self.hosts: dict[str, Host] = {}
        self.lost: Counter[tuple[str, str]] = Counter()  # packets, by sender and receiver
        self.carried: Counter[tuple[str, str]] = Counter()
        self._names = (OBSERVER, *names)
        self._cut: frozenset[tuple[str, str]] = frozenset()  # sender and receiver
        self._quality = Quality()
        self._dice = random.Random(seed)
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due, number, device, packet
        self._number = 0
        self._stopping = threading.Event()
        self._router = threading.Thread(target=self._route, name="router", daemon=True)

    def __enter__(self) -> Self:
        _remove_forgotten()
        try:
            for number, name in enumerate(self._names, start=1):
                self.hosts[name] = _add_host(name, number)
        except BaseException:
            self._remove()
            raise
        self._router.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._router.join()
        self._remove()

    @contextmanager
    def cut(self, *directions: tuple[str, str]) -> Iterator[None]:
        """Lose every packet from the first host to the second of each pair, during the block."""
        self._cut = frozenset(directions)
        try:
            yield
        finally:
            self._cut = frozenset()

    @contextmanager
    def quality(self, quality: Quality) -> Iterator[None]:
        """Let all links between hosts be like this during the block; the observer's are good."""
        self._quality = quality
        try:
            yield
        finally:
            self._quality = Quality()

    def _remove(self) -> None:
        for host in self.hosts.values():
            os.close(host.device)  # the device goes with its descriptor
            if host.namespace is not None:
                _ip("netns", "del", host.namespace)

    def _route(self) -> None:
        by_device = {host.device: host.name for host in self.hosts.values()}
        by_address = {_packed(host.address): host for host in self.hosts.values()}
        while not self._stopping.is_set():
            readable, _, _ = select.select(list(by_device), [], [], self._patience())
            for device in readable:
                for packet in _packets(device):
                    receiver = by_address.get(packet[16:20])  # IPv4's; of others there is none
                    if receiver is not None:
                        self._take(by_device[device], receiver, packet)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(self._waiting)
                _deliver(device, packet)

    def _patience(self) -> float:
        """Seconds until the next packet is due, at most 0.05."""
        due = self._waiting[0][0] - time.monotonic() if self._waiting else 0.05
        return min(0.05, max(0.0, due))

    def _take(self, sender: str, receiver: Host, packet: bytes) -> None:
        way = (sender, receiver.name)
        quality = Quality() if OBSERVER in way else self._quality
        if way in self._cut or (quality.loss and self._dice.random() < quality.loss):
            self.lost[way] += 1
            return
        self.carried[way] += 1
        if not quality.delay_seconds:
            _deliver(receiver.device, packet)
            return
        self._number += 1
        due = time.monotonic() + quality.delay_seconds
        heapq.heappush(self._waiting, (due, self._number, receiver.device, packet))


def _add_host(name: str, number: int) -> Host:
    """Make a namespace with a device that is up, and open the router's end of it."""
    process = os.getpid()
    device = f"sc{process % 10**6}-{number}"  # at most 15 characters
    address = f"{_NETWORK}.{process % 256}.{number}"
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    namespace = None if name == OBSERVER else f"{_PREFIX}-{process}-{name}"
    try:
        flags = struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(descriptor, _TUNSETIFF, flags)
        inside: list[str] = []
        if namespace is not None:
            _ip("netns", "add", namespace)
            _ip("link", "set", device, "netns", namespace)
            inside = ["-n", namespace]
            _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "addr", "add", f"{address}/24", "dev", device)
        _ip(*inside, "link", "set", device, "mtu", str(_MTU), "up")
    except BaseException:
        os.close(descriptor)
        if namespace is not None:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        raise
    return Host(name, address, namespace, descriptor)


def _remove_forgotten() -> None:
    """Remove the namespaces of a test process that was killed."""
    for path in _NAMESPACES.glob(f"{_PREFIX}-*-*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            _ip("netns", "del", path.name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")


def _packed(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def _packets(device: int) -> Iterator[bytes]:
    """Yield what a host has sent, some packets at most, so that no host keeps the others out."""
    with suppress(BlockingIOError):
        for _ in range(_PACKETS_AT_ONCE):
            yield os.read(device, 65536)


def _deliver(device: int, packet: bytes) -> None:
    with suppress(BlockingIOError):  # its queue is full: lost, as in any network
        os.write(device, packet)
