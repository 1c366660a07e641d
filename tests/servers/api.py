"""The API as it is served, on a free port, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.api.server import listen, make_server
from orchestrator.cluster.connection import Cluster


@contextmanager
def serving(connection: Cluster, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """The API's address, until the block ends; port 0 is any free one."""
    socket = listen(host, port)
    server = make_server(connection, host, 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
