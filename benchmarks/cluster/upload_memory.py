"""How much memory the API takes for one large upload: the peak of its process.

    python -m benchmarks.cluster.upload_memory [--gigabytes 2]

A real server on a real Redis and a directory gets a file that is made as it is sent: as a form,
and by PUT. Linux's own high-water mark is read, so nothing falls between two looks.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import print_machine
from orchestrator.local.redis_server import RedisServer

PIECE = bytes(range(256)) * 4096  # 1 MiB
BOUNDARY = "upload-memory"
SERVER = """
import sys
from pathlib import Path
from pydantic import SecretStr
from config.logging import configure_logging
from config.settings import Settings
from orchestrator.api.server import listen, run_server
from orchestrator.cluster.connection import open_cluster

configure_logging("WARNING")
home = Path(sys.argv[2])
connection = open_cluster(
    Settings(
        redis_url=SecretStr(sys.argv[1]),
        store_url=(home / "store").as_uri(),
        work_dir=home / "scratch",
        allowed_models="fake",
    )
)
socket = listen("127.0.0.1", 0)
print(socket.getsockname()[1], flush=True)
run_server(connection, "127.0.0.1", 0, [socket])
"""


def peak_mb(pid: int) -> float:
    """Linux's high-water mark of a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise LookupError("no VmHWM")


def pieces(size: int) -> Iterator[bytes]:
    for at in range(0, size, len(PIECE)):
        yield PIECE[: min(len(PIECE), size - at)]


def form(size: int) -> Iterator[bytes]:
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="options"\r\n\r\n'
        '{"model": "fake"}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    ).encode()
    yield from pieces(size)
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def send(port: int, method: str, path: str, body: Iterator[bytes] | bytes, kind: str) -> bytes:
    """The reply's body; chunked if the body is made as it goes."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    link.request(method, path, body, {"Content-Type": kind})
    reply = link.getresponse()
    found = reply.read()
    link.close()
    if reply.status >= 300:
        raise RuntimeError(f"{path}: {reply.status} {found[:500]!r}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    size = int(parser.parse_args().gigabytes * 1024**3)
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        redis = RedisServer(Path(name))
        redis.start()
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, redis.url, name], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            announced = json.dumps({"name": "long.wav", "size": size}).encode()
            made = send(port, "POST", "/v1/uploads", announced, "application/json")
            upload = json.loads(made)
            print(f"{size} bytes; at rest {peak_mb(server.pid):.0f} MB")
            began = time.monotonic()
            send(port, "PUT", upload["url"], pieces(size), "application/octet-stream")
            print(f"PUT:  {time.monotonic() - began:.0f} s, peak {peak_mb(server.pid):.0f} MB")
            began = time.monotonic()
            kind = f"multipart/form-data; boundary={BOUNDARY}"
            send(port, "POST", "/v1/jobs", form(size), kind)
            print(f"form: {time.monotonic() - began:.0f} s, peak {peak_mb(server.pid):.0f} MB")
        finally:
            server.terminate()
            server.wait(30)
            redis.stop()


if __name__ == "__main__":
    main()
