"""A Redis server with a configuration of its own, and TLS in front of one."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.local.redis_server import server_binary

START_SECONDS = 10.0


@contextmanager
def redis_process(
    directory: Path, configuration: str = "", *, is_sentinel: bool = False
) -> Iterator[int]:
    """A server on a free port of loopback, which is given; it keeps nothing."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    binary = server_binary()
    assert binary is not None
    text = f'bind 127.0.0.1\nport {port}\nsave ""\ndir {directory}\n{configuration}'
    command = [binary, "-"]
    if is_sentinel:  # it writes into its configuration, so that this has to be a file
        file = directory / "sentinel.conf"
        file.write_text(f"bind 127.0.0.1\nport {port}\ndir {directory}\n{configuration}")
        command = [binary, str(file), "--sentinel"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        try:
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def tls_in_front_of(port: int, certificate: Path) -> Iterator[int]:
    """A port that takes TLS and hands everything on to another of loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(plain, server_side=True) as ours,
            socket.create_connection(("127.0.0.1", port)) as theirs,
        ):
            back = threading.Thread(target=carry, args=(theirs, ours), daemon=True)
            back.start()
            carry(ours, theirs)
            back.join()

    def accept() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    acceptor.join()
