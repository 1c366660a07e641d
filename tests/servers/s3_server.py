"""An S3 server (moto) as a process of its own: `python -m tests.servers.s3_server HOST PORT`."""

from __future__ import annotations

import sys
import threading


def serve(host: str, port: int) -> None:
    """Serve until the process is ended."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    from tests.conftest import one_at_a_time

    # As in `tests/conftest.py`: moto's conditional write takes two steps.
    setattr(S3Response, "put_object", one_at_a_time(S3Response.put_object))  # noqa: B010
    ThreadedMotoServer(host, port, verbose=False).start()
    threading.Event().wait()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
