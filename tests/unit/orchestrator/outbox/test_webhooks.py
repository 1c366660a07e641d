"""What a webhook says, how it is signed, and where it is not sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from standardwebhooks.webhooks import WebhookVerificationError

from config.settings import Settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.cluster.job import Summary
from orchestrator.outbox import webhooks
from orchestrator.outbox.schedule import Outcome
from orchestrator.outbox.webhooks import (
    WebhookNotAllowed,
    check_webhook_url,
    event,
    send,
    webhook_pool,
    webhook_secret,
)
from tasks.web.addresses import AddressNotAllowed, AddressPolicy
from tasks.web.outbound import guarded_pool
from tests.eventually import PATIENCE_SECONDS
from tests.inputs.examples import TENANT, a_manifest, a_run
from tests.servers.receiver import Receiver

RUN = a_run()
SAID = event(a_manifest(), RUN, Summary(), 1000.5)


def allowing(*places: str, **changes: Any) -> Settings:
    """Settings under which webhooks are sent to these places."""
    values: dict[str, Any] = {
        "allow_urls": True,
        "webhook_key": SecretStr("the cluster's key"),
        "trusted_hosts": ",".join(places),
    }
    return Settings(**values | changes)


def sent(settings: Settings, url: str) -> Outcome:
    with webhook_pool(settings) as pool:
        return send(pool, settings, url, RUN, SAID)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("summary", "kind"),
    [
        (Summary(), "job.completed"),
        (Summary(missing=2), "job.partial"),
        (Summary(error={"code": "x"}), "job.failed"),
        (Summary(canceled=True), "job.canceled"),
    ],
)
def test_an_event_says_which_job_has_ended_and_how(summary: Summary, kind: str) -> None:
    manifest = a_manifest().model_copy(update={"metadata": {"order": "7"}})
    assert event(manifest, RUN, summary, 1_700_000_000.25) == {
        "type": kind,
        "timestamp": "2023-11-14T22:13:20.250Z",
        "data": {
            "id": manifest.job,
            "run": 1,
            "status": kind.removeprefix("job."),
            "name": "talk.wav",
            "metadata": {"order": "7"},
        },
    }


def test_the_receiver_can_verify_it_with_the_tenant_s_secret(receiver: Receiver) -> None:
    settings = allowing(receiver.place)
    assert sent(settings, receiver.url).done
    (told,) = receiver.received
    assert told.verified(webhook_secret(settings, TENANT)) == SAID
    assert told.path == "/told"
    assert told.headers["content-type"] == "application/json"
    assert abs(int(told.headers["webhook-timestamp"]) - time.time()) < PATIENCE_SECONDS
    with pytest.raises(WebhookVerificationError):
        told.verified(webhook_secret(settings, "other"))


@pytest.mark.slow
def test_every_try_of_a_run_has_the_same_id(receiver: Receiver) -> None:
    settings = allowing(receiver.place)
    assert sent(settings, receiver.url).done and sent(settings, receiver.url).done
    assert len({told.id for told in receiver.received}) == 1
    with webhook_pool(settings) as pool:
        send(pool, settings, receiver.url, a_run(2), SAID)
    assert len({told.id for told in receiver.received}) == 2


def test_a_secret_follows_from_the_cluster_s_key_and_the_tenant() -> None:
    secret = webhook_secret(allowing(), TENANT)
    assert secret.startswith("whsec_") and len(secret) == len("whsec_") + 44
    assert secret == webhook_secret(allowing(), TENANT) != webhook_secret(allowing(), "other")
    assert secret != webhook_secret(
        allowing(webhook_key=SecretStr("another key of a cluster")), TENANT
    )


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as target, Receiver(302, headers={"Location": target.url}) as receiver:
        outcome = sent(allowing(receiver.place, target.place), receiver.url)
        assert not outcome.done and not outcome.passing and "302" in str(outcome.reason)
        assert (len(receiver.received), len(target.received)) == (1, 0)


def test_a_receiver_may_put_the_next_try_off() -> None:
    with Receiver(429, headers={"Retry-After": "77"}) as receiver:
        outcome = sent(allowing(receiver.place), receiver.url)
    assert (outcome.passing, outcome.retry_after) == (True, 77.0)


def test_a_receiver_that_is_slow_or_away_may_do_better_later(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.2)
    given_up = threading.Event()
    receiver.before_answer = lambda: given_up.wait(PATIENCE_SECONDS)
    outcome = sent(allowing(receiver.place), receiver.url)
    given_up.set()
    assert outcome.passing and "in time" in str(outcome.reason)
    outcome = sent(allowing("127.0.0.1:1"), "http://127.0.0.1:1/told")
    assert outcome.passing and "could not be spoken to" in str(outcome.reason)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/told",  # without TLS
        "https://127.0.0.1/told",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/told",
        "https://user:secret@example.com/",
        "ftp://example.com/",
        "told",
    ],
)
def test_an_address_that_is_not_a_public_host_s_is_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        check_webhook_url(allowing(), url)
    outcome = sent(allowing(), url)
    assert not outcome.done and not outcome.passing


def test_a_public_address_is_accepted_as_it_is() -> None:
    accepted = check_webhook_url(allowing(), "https://example.com/told?job=1")
    assert accepted.url == "https://example.com/told?job=1"


@pytest.mark.parametrize("changes", [{"allow_urls": False}, {"webhook_key": None}])
def test_no_webhooks_are_sent_unless_the_operator_allows_them(changes: dict[str, Any]) -> None:
    settings = allowing(**changes)
    with pytest.raises(WebhookNotAllowed) as caught:
        check_webhook_url(settings, "https://example.com/")
    assert "SCRIPTORIUM_WEBHOOK_KEY" in caught.value.advice
    outcome = sent(settings, "https://example.com/")
    assert not outcome.done and not outcome.passing


def test_a_name_that_leads_to_a_private_address_is_not_spoken_to(receiver: Receiver) -> None:
    pool = guarded_pool(
        AddressPolicy(),
        connect_seconds=1.0,
        read_seconds=1.0,
        resolve=lambda host, _: ["127.0.0.1"],
    )
    with pool:
        outcome = send(pool, allowing(), "https://example.com/told", RUN, SAID)
    assert not outcome.done and not outcome.passing
    assert receiver.received == []


def test_the_api_shows_writers_their_secret(settings: Settings, connection: Cluster) -> None:
    with TestClient(make_application(connection), base_url="http://127.0.0.1") as client:
        refused = client.get("/v1/webhooks/secret")
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (403, "webhook_not_allowed")
    values = settings.model_copy(update={"webhook_key": SecretStr("the cluster's key")})
    opened = open_cluster(values)
    try:
        with TestClient(make_application(opened), base_url="http://127.0.0.1") as client:
            shown = client.get("/v1/webhooks/secret").json()
    finally:
        opened.close()
    assert shown == {"secret": webhook_secret(values, TENANT)}


def test_a_host_that_is_trusted_for_sources_gets_no_webhook() -> None:
    settings = allowing(trusted_source_hosts="minio:9000", trusted_webhook_hosts="hooks:80")
    assert check_webhook_url(settings, "http://hooks:80/told").host == "hooks"
    with pytest.raises(AddressNotAllowed):
        check_webhook_url(settings, "http://minio:9000/told")
