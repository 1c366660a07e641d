"""A Ceph of one monitor, one disk in memory and one S3 gateway (radosgw), on loopback.

Unlike moto it checks every signature, and its conditional writes are those of a real store. All
it keeps lies in a temporary folder, and it ends with the test.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener
from uuid import uuid4

import pytest

from orchestrator.local.process import Child

REQUIRED = os.environ.get("SCRIPTORIUM_TEST_RADOSGW") == "required"
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
START_SECONDS = 60.0
SETTINGS = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}/0]
public addr = 127.0.0.1
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
pid file =
keyring = /dev/null
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
ms mon client mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 2
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.1
paxos min wait = 0.01
mon data avail crit = 0
mon data avail warn = 0
mon data = {folder}/monitor
osd data = {folder}/disk
osd objectstore = memstore
memstore device bytes = 4G
osd max object name len = 460
osd max object namespace len = 64
osd op thread timeout = 600
osd op thread suicide timeout = 0
osd heartbeat grace = 600
rgw data = {folder}
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw dns name =
rgw enable usage log = false
rgw thread pool size = 64
"""


@dataclass(frozen=True, slots=True)
class Login:
    """What the gateway knows a user by."""

    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that boto3 reads."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "default",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class RadosGateway:
    """The three servers, and one user of the gateway."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._configuration = folder / "ceph.conf"
        monitor, gateway = _free_ports(2)
        self.endpoint = f"http://127.0.0.1:{gateway}"
        self._fsid = str(uuid4())
        self._configuration.write_text(
            SETTINGS.format(fsid=self._fsid, monitor=monitor, gateway=gateway, folder=folder)
        )
        self._monitor_address = f"[v2:127.0.0.1:{monitor}/0]"
        self._children: dict[str, Child] = {}

    def start(self) -> Login:
        """Start the servers one after another, and make a user. Return the user's login."""
        self._start_monitor()
        self._start_disk()
        made = self._run(
            *("radosgw-admin", "user", "create", "--uid", "tester", "--display-name", "Tester")
        )
        key = json.loads(made)["keys"][0]
        self._start("gateway", "radosgw", "-n", "client.admin", "-f")
        self._wait(self._gateway_answers, "gateway")
        return Login(key["access_key"], key["secret_key"])

    def version(self) -> str:
        """Return the version of Ceph, such as 16.2.15."""
        return self._run("radosgw", "--version").split()[2]

    @contextmanager
    def silent_disk(self) -> Iterator[None]:
        """Stop the disk's process (SIGSTOP) during the block: nothing is read or written."""
        disk = self._children["disk"]
        disk.signal_group(signal.SIGSTOP)
        try:
            yield
        finally:
            disk.signal_group(signal.SIGCONT)

    def stop(self) -> None:
        """End the servers; nothing is kept."""
        for child in reversed(self._children.values()):
            child.signal_group(signal.SIGCONT)
            child.kill()

    def _start_monitor(self) -> None:
        maps = str(self._folder / "monmap")
        self._run(
            *("monmaptool", "--create", "--fsid", self._fsid),
            *("--addv", "a", self._monitor_address, maps),
        )
        (self._folder / "monitor").mkdir()
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", maps)
        self._start("monitor", "ceph-mon", "-i", "a", "-f")
        self._wait(lambda: '"quorum"' in self._ceph("quorum_status"), "monitor")

    def _start_disk(self) -> None:
        (self._folder / "disk").mkdir()
        uuid = str(uuid4())
        self._ceph("osd", "new", uuid)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", uuid)
        self._start("disk", "ceph-osd", "-i", "0", "-f")
        self._wait(lambda: json.loads(self._ceph("osd", "stat"))["num_up_osds"] == 1, "disk")

    def _ceph(self, *arguments: str) -> str:
        return self._run("ceph", "--connect-timeout", "10", "--format", "json", *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        command = (program, *arguments, "--conf", str(self._configuration))
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=START_SECONDS, cwd=self._folder
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}{self._logs()}"
        return ended.stdout

    def _start(self, name: str, program: str, *arguments: str) -> None:
        command = [program, *arguments, "--conf", str(self._configuration)]
        environment = {"PATH": os.environ.get("PATH", "")}
        log = self._folder / f"{name}.out"
        self._children[name] = Child(name, command, log, environment)

    def _wait(self, is_ready: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            assert self._children[name].exit_status is None, f"{name} has ended: {self._logs()}"
            assert time.monotonic() < deadline, f"{name} does not answer: {self._logs()}"
            time.sleep(0.2)

    def _gateway_answers(self) -> bool:
        try:
            with build_opener(ProxyHandler({})).open(self.endpoint, timeout=5):
                return True
        except HTTPError:  # it asks for a signature
            return True
        except OSError:
            return False

    def _logs(self) -> str:
        files = sorted([*self._folder.glob("*.out"), *self._folder.glob("*.log")])
        return "".join(
            f"\n{file.name}: {file.read_text(errors='replace')[-1500:]}" for file in files
        )


def missing_programs() -> list[str]:
    """Return those of Ceph's programs that are not on PATH."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def rados_gateway() -> Iterator[tuple[RadosGateway, Login]]:
    """Give a running one, and a login. Skips the test without Ceph, where that is not required."""
    missing = missing_programs()
    if missing:
        reason = (
            f"{', '.join(missing)} not installed "
            "(Debian: apt-get install radosgw ceph-mon ceph-osd ceph-common)"
        )
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    # A short path: the name of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rgw-") as folder:
        server = RadosGateway(Path(folder))
        try:
            yield server, server.start()
        finally:
            server.stop()


def _free_ports(number: int) -> list[int]:
    """Return different ports: all are held before the first is let go."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
