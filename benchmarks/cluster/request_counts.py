"""What Redis and an S3 server were asked, by command or method and by kind of key."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from typing import Any, Self

from redis import Redis

TENANT = "default"


class Requests:
    """An S3 server in this process, and what it was asked: method and kind of key."""

    def __init__(self) -> None:
        from moto.s3.responses import S3Response
        from moto.server import ThreadedMotoServer
        from werkzeug.serving import WSGIRequestHandler

        from tests.conftest import one_at_a_time

        self.counts: Counter[str] = Counter()
        requests = self

        def log_request(handler: Any, code: Any = "-", size: Any = "-") -> None:
            method, path, _ = handler.requestline.split(" ", 2)
            requests.counts[kind_of_request(method, path)] += 1

        setattr(WSGIRequestHandler, "log_request", log_request)  # noqa: B010
        # As in `tests/servers/s3_server.py`: moto's conditional write takes two steps.
        setattr(S3Response, "put_object", one_at_a_time(S3Response.put_object))  # noqa: B010
        self._server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


def kind_of_request(method: str, path: str) -> str:
    """Return the method and the kind of key, such as `PUT tenants/*/audio/*/pcm`."""
    name, _, query = path.partition("?")
    if method == "GET" and "list-type=2" in query:
        method, found = "LIST", re.search(r"prefix=([^&]*)", query)
        name = "/bucket/" + (found[1].replace("%2F", "/") if found else "")
    key = name.removeprefix("/bucket/").removeprefix("store/")
    key = re.sub(rf"\b{TENANT}\b|[0-9a-f]{{16,}}|\b\d+(-\d+)?\b", "*", key)
    return f"{method} {key}"


class Spy:
    """Count what clients send to Redis, by command and kind of key, as MONITOR shows it."""

    def __init__(self, redis: Redis) -> None:
        self.sent: Counter[str] = Counter()
        self._redis, self._stopped = redis, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._redis.ping()  # wakes the thread
        self._thread.join()

    def _watch(self) -> None:
        with self._redis.monitor() as monitor:
            while not self._stopped.is_set():
                line = monitor.next_command()
                if line["client_type"] != "lua":
                    self.sent[kind_of_command(line["command"])] += 1


def kind_of_command(text: str) -> str:
    """Return the command with the kind of its first key."""
    words = text.split(" ", 4)
    name = words[0].upper()
    key = words[3] if name.startswith("EVALSHA") and len(words) > 3 else " ".join(words[1:2])
    key = re.sub(r"^\w+\.(bulk|interactive)", "QUEUE", key)
    return f"{name} {re.sub(r'[0-9a-f-]{16,}|[0-9]+|' + TENANT, '*', key)[:60]}"


def calls(redis: Redis) -> Counter[str]:
    """Return how often Redis has done each command, also inside scripts."""
    stats: Any = redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})


def processor_seconds(redis: Redis) -> float:
    """Return the processor time that Redis has used."""
    used: Any = redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
