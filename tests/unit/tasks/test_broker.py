"""The Celery settings on which nothing-lost rests."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from celery import Celery
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption
from orchestrator.triggers.celery_tasks import make_trigger
from tasks.broker import VISIBILITY_SECONDS, broker_url, make_app, redis_address
from tasks.execution.retries import LONGEST_DELAY_SECONDS
from tasks.runs.stages import queues
from tests.unit.tasks.web.test_outbound import certificate

OURS, OTHER = "redis://ours:6379/1", "redis://other:6379/2"
RABBIT = "amqp://me:canary@rabbit:5672/here"
BOTH = Settings(redis_url=SecretStr(OURS), broker_url=SecretStr(RABBIT))


def test_a_message_is_acknowledged_after_the_work_and_taken_one_at_a_time() -> None:
    conf = make_app(Settings()).conf
    assert conf.task_acks_late and conf.worker_disable_prefetch
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.task_reject_on_worker_lost
    assert not conf.worker_cancel_long_running_tasks_on_connection_loss


def test_messages_are_json_and_go_to_named_queues_alone() -> None:
    conf = make_app(Settings()).conf
    assert conf.accept_content == conf.result_accept_content == ["json"]
    assert [queue.name for queue in conf.task_queues] == list(queues())
    assert not conf.task_create_missing_queues


def test_a_retry_comes_back_before_redis_delivers_the_message_again() -> None:
    assert LONGEST_DELAY_SECONDS < VISIBILITY_SECONDS


def test_the_redis_of_the_settings_is_broker_and_backend() -> None:
    celery = make_app(Settings(redis_url=SecretStr(OURS)))
    assert celery.conf.broker_url == celery.conf.result_backend == OURS


def test_the_settings_win_over_celery_s_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, OTHER)
    celery = make_app(Settings(redis_url=SecretStr(OURS)))
    assert celery.connection_for_write().hostname == "ours"
    assert celery.connection_for_read().hostname == "ours"
    assert celery.backend.connparams["host"] == "ours"


def test_rabbitmq_carries_the_messages_where_one_is_named() -> None:
    celery = make_app(BOTH)
    assert celery.connection_for_write().hostname == "rabbit"
    assert celery.connection_for_read().virtual_host == "here"
    assert celery.backend.connparams["host"] == "ours"
    assert make_app(BOTH, only_sends=True).conf.result_backend == "disabled://"


def test_what_only_redis_understands_is_not_set_for_rabbitmq() -> None:
    for conf in (make_app(BOTH).conf, make_trigger(BOTH).conf):
        assert conf.broker_transport_options == {"confirm_publish": True}
        assert not conf.worker_disable_prefetch
        assert conf.task_acks_late and conf.worker_prefetch_multiplier == 1


def test_over_rabbitmq_each_queue_is_durable_and_has_a_key_of_its_own() -> None:
    declared = make_app(BOTH).conf.task_queues
    assert [queue.routing_key for queue in declared] == list(queues())
    assert all(queue.durable for queue in declared)
    assert {queue.queue_arguments["x-queue-type"] for queue in declared} == {"classic"}
    (submit,) = make_trigger(BOTH).conf.task_queues
    assert submit.queue_arguments is None  # as senders elsewhere declare it


@pytest.mark.parametrize("url", ["amqp://rabbit//", "amqps://rabbit//", "pyamqp://rabbit//"])
def test_a_rabbitmq_in_the_place_of_redis_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    with pytest.raises(InvalidOption) as caught:
        redis_address(Settings())
    assert "SCRIPTORIUM_BROKER_URL" in caught.value.advice
    with pytest.raises(InvalidOption):
        make_app(Settings())


def test_a_broker_that_is_no_rabbitmq_is_refused() -> None:
    with pytest.raises(InvalidOption, match="amqp"):
        broker_url(Settings(broker_url=SecretStr(OURS)))
    assert broker_url(Settings(redis_url=SecretStr(OURS))) == OURS


@pytest.mark.parametrize(
    "login", ["me:canary/@", "me:1/canary@", "me:canary#@", "me:1#canary@", "me:canary?@", "me:1?@"]
)
def test_a_broker_s_password_that_breaks_its_url_is_refused(login: str) -> None:
    url = f"amqp://{login}rabbit:5672/here"
    with pytest.raises(InvalidOption, match="no host and port") as refused:
        make_app(Settings(broker_url=SecretStr(url)))
    assert "%2F" in refused.value.advice and "canary" not in str(refused.value)


@pytest.mark.parametrize("make", [make_app, make_trigger])
def test_the_thread_of_a_unit_reads_no_answers_of_rabbitmq(
    make: Callable[[Settings], Celery],
) -> None:
    """The main thread reads that socket; after an outage both did, and waited for ever."""
    assert not make(BOTH).conf.worker_enable_prefetch_count_reduction


@pytest.mark.parametrize("url", [RABBIT, "amqp://rabbit//", "amqps://me:p%2Fw%40@rabbit/a%2Fb"])
def test_a_broker_s_url_is_taken_as_it_is(url: str) -> None:
    assert broker_url(Settings(broker_url=SecretStr(url))) == url


def test_a_password_that_is_given_apart_is_for_an_address_without_one() -> None:
    apart = SecretStr("p@s/w%")
    values = Settings(redis_url=SecretStr("redis://me@ours:6379/1"), redis_password=apart)
    assert redis_address(values).client_url == "redis://me:p%40s%2Fw%25@ours:6379/1"
    assert make_app(values).backend.connparams["password"] == "p@s/w%"
    own = SecretStr("redis://:own@ours:6379/1")
    assert (
        redis_address(Settings(redis_url=own, redis_password=apart)).client_url
        == own.get_secret_value()
    )


def test_redis_certificates_are_checked_unless_it_is_said_otherwise() -> None:
    url = "rediss://ours:6379/1"
    assert redis_address(Settings(redis_url=SecretStr(url))).client_url.endswith(
        "?ssl_cert_reqs=required"
    )
    url += "?ssl_cert_reqs=none"
    assert redis_address(Settings(redis_url=SecretStr(url))).client_url == url


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "is_known", "reason"),
    [
        ("127.0.0.1", False, "self-signed certificate"),
        ("127.0.0.2", True, "IP address mismatch"),
        ("127.0.0.1", True, None),
    ],
)
def test_the_certificate_of_an_amqps_address_is_checked(
    host: str, is_known: bool, reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "rabbit.example")  # and of 127.0.0.1
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    said: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:  # closed: the test is over
                return
            with plain, suppress(OSError), tls.wrap_socket(plain, server_side=True) as peer:
                said.append(peer.recv(8))

    server = socket.create_server((host, 0))
    thread = threading.Thread(target=answer)
    thread.start()
    url = SecretStr(f"amqps://me:canary@{host}:{server.getsockname()[1]}//")
    celery = make_app(Settings(broker_url=url), only_sends=True)
    # In the end, this is no RabbitMQ.
    with celery.connection_for_write() as client, pytest.raises(OSError) as caught:
        client.connect()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    if reason:
        assert isinstance(caught.value, ssl.SSLCertVerificationError)
        assert reason.replace("-", " ") in str(caught.value).replace("-", " ")
        assert said == []
    else:
        assert said[0] == b"AMQP\0\0\x09\x01"
