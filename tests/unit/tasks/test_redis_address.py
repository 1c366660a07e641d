"""One address of Redis, as each library that connects has to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import Celery
from flower.utils.broker import Broker
from pydantic import SecretStr

from config.settings import Settings
from gpu_worker.errors import InvalidOption, RedisUnavailable
from orchestrator.cluster.connection import open_cluster
from orchestrator.diagnosis.services import check_redis
from tasks.broker import make_app, redis_address
from tasks.redis_address import RedisAddress
from tasks.services import open_redis
from tests.eventually import PATIENCE_SECONDS
from tests.servers.redis_process import redis_process, tls_in_front_of
from tests.unit.tasks.web.test_outbound import certificate


@pytest.mark.parametrize(
    ("url", "client", "celery"),
    [
        ("redis://host", "redis://host:6379/0", None),
        ("redis://host:7000/3", "redis://host:7000/3", None),
        ("redis://host:7000//", "redis://host:7000/0", None),
        ("redis://host/?db=3", "redis://host:6379/3", None),
        ("redis://host/3?db=3", "redis://host:6379/3", None),
        ("redis://host?virtual_host=3", "redis://host:6379/3", None),
        ("redis:///2", "redis://localhost:6379/2", None),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1", None),
        ("redis://me:word@host/1", "redis://me:word@host:6379/1", None),
        ("redis://:p@s%2Fs@host/1", "redis://:p%40s%2Fs@host:6379/1", None),
        ("redis://:100%pure@host/1", "redis://:100%25pure@host:6379/1", None),
        (" redis://host/1\n", "redis://host:6379/1", None),
        ("unix:///run/r.sock", "unix:///run/r.sock?db=0", "redis+socket:///run/r.sock?virtual_host=0"),
        (
            "redis+socket://:w@/run/a b.sock?virtual_host=3",
            "unix://:w@/run/a%20b.sock?db=3",
            "redis+socket://:w@/run/a%20b.sock?virtual_host=3",
        ),
        (
            "rediss://host/1?ssl_cert_reqs=CERT_NONE",
            "rediss://host:6379/1?ssl_cert_reqs=none",
            "rediss://host:6379/1",
        ),
        ("rediss://host/1", "rediss://host:6379/1?ssl_cert_reqs=required", "rediss://host:6379/1"),
        (
            "rediss://host/1?ssl_ca_certs=/ca.pem&ssl_check_hostname=False&ssl_cert_reqs=required",
            "rediss://host:6379/1?ssl_cert_reqs=required&ssl_check_hostname=false&ssl_ca_certs=%2Fca.pem",
            "rediss://host:6379/1",
        ),
    ],
)  # fmt: skip
def test_an_address_has_one_form_for_each_library(
    url: str, client: str, celery: str | None
) -> None:
    address = RedisAddress.parse(url)
    assert address.client_url == client
    assert address.celery_url == (celery or client)
    assert RedisAddress.parse(address.client_url) == address
    assert RedisAddress.parse(address.celery_url).database == address.database


PASSWORD = "p@s/w:rd#1%"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Redis with a password, by its addresses: over TCP, a Unix socket and TLS."""
    folder = tmp_path_factory.mktemp("r")
    socket_path, pem = folder / "r.sock", certificate(folder, "redis.example")  # and of 127.0.0.1
    extra = f"requirepass {PASSWORD}\nunixsocket {socket_path}\n"
    word = quote(PASSWORD, safe="")
    with redis_process(folder, extra) as port, tls_in_front_of(port, pem) as tls_port:
        yield {
            "tcp": f"redis://:{word}@127.0.0.1:{port}/?db=3",
            "unix": f"unix://:{word}@{socket_path}?db=3",
            "kombu's unix": f"redis+socket://:{word}@{socket_path}?virtual_host=3",
            "tls": f"rediss://:{word}@127.0.0.1:{tls_port}/3?ssl_ca_certs={pem}",
            "unchecked tls": f"rediss://:{word}@127.0.0.1:{tls_port}/3?ssl_cert_reqs=CERT_NONE",
        }


WAYS = ("tcp", "unix", "kombu's unix", "tls", "unchecked tls")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_part_reaches_the_same_database(
    server: dict[str, str], way: str, tmp_path: Path
) -> None:
    values = Settings(redis_url=SecretStr(server[way]), store_url=tmp_path.as_uri())
    (tmp_path / "store").mkdir()
    control, workers = open_cluster(values), make_app(values)
    workplace = open_redis(redis_address(values))
    control.redis.set("seen", way)
    assert workplace.get("seen") == way.encode()
    assert workers.backend.client.get("seen") == way.encode()
    with control.celery.connection_for_write() as broker, broker.SimpleQueue("letters") as queue:
        queue.put({"way": way})
        assert control.redis.llen("letters") == 1
        assert flower_counts(control.celery, "letters") == 1 or "unix" in way  # it takes database 0
    with workers.connection_for_read() as broker, broker.SimpleQueue("letters") as queue:
        letter = queue.get(timeout=PATIENCE_SECONDS)
        assert letter.payload == {"way": way}
        letter.ack()
    assert check_redis(values).state == "ok"
    assert PASSWORD not in check_redis(values).message
    for client in (workplace, workers.backend.client, control):
        client.close()
    workers.close()


def flower_counts(celery: Celery, queue: str) -> int:
    """How many messages Flower says that a queue has."""
    url = celery.connection_for_write().as_uri(include_password=True)
    broker = Broker(url, http_api=None, broker_use_ssl=celery.conf.broker_use_ssl)
    (found,) = asyncio.run(broker.queues([queue]))
    messages: int = found["messages"]
    return messages


def test_a_server_in_cluster_mode_is_refused_wherever_one_connects(tmp_path: Path) -> None:
    nodes = "cluster-enabled yes\ncluster-config-file nodes.conf\n"
    with redis_process(tmp_path, nodes) as port:
        url = SecretStr(f"redis://127.0.0.1:{port}/0")
        values = Settings(redis_url=url, store_url=(tmp_path / "store").as_uri())
        for look in (check_redis, open_cluster):
            with pytest.raises(InvalidOption, match="cluster mode, which is not") as refused:
                look(values)
            assert "cluster-enabled no" in refused.value.advice


def test_a_database_that_the_server_has_not_is_named(settings: Settings, redis_url: str) -> None:
    far = SecretStr(redis_url.removesuffix("/0") + "/99")
    with pytest.raises(RedisUnavailable, match=r"/99: .*out of range"):
        open_cluster(settings.model_copy(update={"redis_url": far}))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host/0?socket_timeout=5", "the option socket_timeout"),
        ("redis://host/name", "no number where its database"),
        ("redis://host/1?db=2", "two databases"),
        ("redis://host/1?ssl_cert_reqs=none", "rediss://"),
        ("rediss://host/1?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("rediss://host/1?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("unix://", "names no socket"),
        ("unix://host/run/r.sock", "names no socket"),
        ("unix:///run/r.sock?ssl_cert_reqs=none", "TLS over a socket"),
        ("redis://one,two/0", "several hosts"),
        ("redis://one/0;redis://two/0", "no number"),
        ("sentinel://host:26379/0", "Sentinel"),
        ("http://host", "redis://"),
        ("host:6379", "redis://"),
        ("", "redis://"),
        ("redis://host:port", "host and port"),
        ("redis://host:99999", "host and port"),
        ("redis://:canary/@host/0", "%2F"),
        ("redis://:canary#@host/0", "%23"),
        ("redis://:canary?@host/0", "%3F"),
        ("redis://:1canary/2@host/0", "%2F"),
        ("redis://:1/canary@host/0", "%2F"),
        ("redis://:1?canary@host/0", "%3F"),
        ("redis://:1?canary=2@host/0", "%3F"),
        ("redis://:[canary@host/0", "%3A"),
    ],
)
def test_what_some_part_could_not_use_is_refused_at_once(url: str, told: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        make_app(Settings(redis_url=SecretStr(url)))
    said = f"{refused.value.message} {refused.value.advice}"
    assert told in said
    assert "canary" not in said


def test_an_address_is_shown_without_what_is_secret() -> None:
    address = RedisAddress.parse("redis://me:canary@host:7000/3")
    assert address.shown == "redis://***@host:7000/3"
    assert "canary" not in repr(address)
    assert RedisAddress.parse("unix://:canary@/r.sock").shown == "unix:///r.sock?db=0"
    assert RedisAddress.parse("redis://host").shown == "redis://host:6379/0"
