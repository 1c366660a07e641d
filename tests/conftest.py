"""What all tests share: an environment without surprises, and a real S3 server (moto)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import wraps
from threading import Lock
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
import structlog

from tests.skips import pytest_terminal_summary as pytest_terminal_summary

OUR_PREFIXES = ("SCRIPTORIUM_", "CELERY_", "OTEL_", "PROMETHEUS_")
OTHER_NAMES = ("REDIS_URL", "HF_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")

# As many processes as cores: a library that starts a thread a core waits for the other's. A
# decomposition of a small matrix took 35 times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when numpy and torch load
        os.environ.setdefault(name, "1")

# A shell lets its background jobs ignore Ctrl-C, and their child processes inherit that: a test
# that interrupts one would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A property says nothing of speed: on a busy machine any example takes longer than Hypothesis's own
# 200 ms now and then, and ten of them take longer to make than it allows.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")
# For `make unit`; `make test` tries as many examples as Hypothesis does by itself.
hypothesis.settings.register_profile("quick", max_examples=20)

# As it comes, structlog shows each frame's variables with an exception: half a minute of a CPU
# for one in a request.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


# A logger that was used after `configure_logging` would keep those processors for good. Once
# another test has configured anew, `capture_logs` could not see its lines any more.
_configure = structlog.configure
structlog.configure = lambda **given: _configure(**given | {"cache_logger_on_first_use": False})


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a moto server in this process, with credentials that it accepts."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "tester")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.delenv("AWS_PROFILE", raising=False)
        # S3 does a conditional write in one step. moto looks first and then writes: on a busy
        # machine two threads were told that they had written first.
        environment.setattr(S3Response, "put_object", one_at_a_time(S3Response.put_object))
        yield f"http://{host}:{port}"
    server.stop()


def one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, where other threads wait until a call has ended."""
    lock = Lock()

    @wraps(method)
    def alone(*arguments: Any, **named: Any) -> Any:
        with lock:
            return method(*arguments, **named)

    return alone


@pytest.fixture(scope="session")
def s3_shared_client(s3_endpoint: str) -> Any:
    """One client for all tests, which answers at once: a client takes half a second to make."""
    from tasks.artifacts.s3 import s3_client

    return s3_client(s3_endpoint, attempts=1)


@pytest.fixture
def bucket(s3_shared_client: Any) -> str:
    """The name of a new, empty bucket."""
    name = f"test-{uuid4().hex}"
    s3_shared_client.create_bucket(Bucket=name)
    return name


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the person who runs the tests do not reach them."""
    for name in os.environ:
        if name.startswith(OUR_PREFIXES) or name in OTHER_NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("SCRIPTORIUM_ALLOWED_MODELS", "fake")
