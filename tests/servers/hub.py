"""A small hub of models on loopback: what the hub's client asks of it, with bounds on requests."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "b" * 40
JSON = {"Content-Type": "application/json"}


def _digest(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


@dataclass
class PlayHub:
    """The address of the hub, and what was asked of it."""

    port: int = 0
    requests: list[tuple[float, str, str]] = field(default_factory=list)  # when, method, path
    tokens: set[str | None] = field(default_factory=set)
    refused: int = 0  # requests that were answered by 429
    open: int = 0
    most_open: int = 0  # requests under way at once
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def downloads(self) -> int:
        """How many bodies of files were sent."""
        with self.lock:
            return sum(method == "GET" and "/resolve/" in path for _, method, path in self.requests)

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process take it for the hub."""
        files = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", self.url)
        for module in ("constants", "file_download"):
            name = f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE"
            monkeypatch.setattr(name, self.url + files, raising=False)  # newer clients have one

    def begin(self, method: str, path: str, token: str | None) -> None:
        with self.lock:
            self.tokens.add(token)
            self.requests.append((time.monotonic(), method, path))
            self.open += 1
            self.most_open = max(self.most_open, self.open)

    def end(self) -> None:
        with self.lock:
            self.open -= 1


@contextmanager
def play_hub(
    files: Mapping[str, bytes],
    *,
    seconds: float = 0.0,
    refuse_first: int = 0,
    refuse_above: int | None = None,
    refuse_when: Callable[[], bool] = lambda: False,
    retry_after: str | None = "1",
) -> Iterator[PlayHub]:
    """Serve one repository, of any name, until the block ends; each answer takes `seconds`.

    The first `refuse_first` requests are refused by 429, and so are those above `refuse_above` at
    once, and when `refuse_when` says so; the answer names `retry_after`.
    """
    hub = PlayHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.begin(self.command, self.path, self.headers.get("Authorization"))
            try:
                self._answer()
            except ConnectionError:
                self.close_connection = True
            finally:
                hub.end()

        do_HEAD = do_GET

        def _answer(self) -> None:
            if seconds:
                time.sleep(seconds)
            with hub.lock:
                is_refused = (
                    len(hub.requests) <= refuse_first
                    or (refuse_above is not None and hub.open > refuse_above)
                    or refuse_when()
                )
                hub.refused += is_refused
            if is_refused:
                named = {} if retry_after is None else {"Retry-After": retry_after}
                self._send(429, b"", named)
            elif "/resolve/" in self.path:
                name = self.path.partition("/resolve/")[2].partition("/")[2]
                body = files[name]
                self._send(200, body, {"ETag": f'"{_digest(body)}"', "X-Repo-Commit": COMMIT})
            elif "/tree/" in self.path:  # as clients from 1.0 on ask
                tree = [
                    {"type": "file", "path": name, "size": len(body), "oid": _digest(body)}
                    for name, body in files.items()
                ]
                self._send(200, json.dumps(tree).encode(), JSON)
            else:
                siblings = [{"rfilename": name} for name in files]
                told = {"id": "owner/name", "sha": COMMIT, "siblings": siblings}
                self._send(200, json.dumps(told).encode(), JSON)

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256

    server = Server(("127.0.0.1", 0), Handler)
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
