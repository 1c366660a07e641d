"""Webhooks: small signed messages that say which job has ended, and how.

The signature is that of Standard Webhooks. Each tenant has a secret of its own, derived from
the cluster's key, so that none is stored. The addresses come from submitters, so requests to
them have the same protection as sources (`tasks/web/outbound.py`).
"""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import httpcore
from standardwebhooks import Webhook

from config.settings import Settings
from gpu_worker.errors import PermanentError
from orchestrator.cluster.job import Summary
from orchestrator.outbox.schedule import Outcome, of_error, of_status, retry_after_seconds
from tasks.runs.manifest import Manifest
from tasks.runs.units import Run
from tasks.web.addresses import AddressPolicy, WebAddress
from tasks.web.outbound import USER_AGENT, guarded_pool, location

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 7.0  # with CONNECT_SECONDS: 10 s for one try


class WebhookNotAllowed(PermanentError):
    """This cluster sends no webhooks."""

    code = "webhook_not_allowed"
    hint = (
        "Ask for the job's status instead, or ask the operator to set "
        "SCRIPTORIUM_ALLOW_URLS=true and SCRIPTORIUM_WEBHOOK_KEY."
    )


def webhook_secret(settings: Settings, tenant: str) -> str:
    """Return the secret with which a tenant verifies its webhooks. Raises WebhookNotAllowed."""
    if settings.webhook_key is None:
        raise WebhookNotAllowed()
    key = settings.webhook_key.get_secret_value().encode()
    secret = hmac.digest(key, f"scriptorium webhooks of {tenant}".encode(), "sha256")
    return "whsec_" + base64.b64encode(secret).decode()


def check_webhook_url(settings: Settings, url: str) -> WebAddress:
    """Parse an address for webhooks. Raises WebhookNotAllowed, AddressNotAllowed."""
    if not settings.has_webhooks:
        raise WebhookNotAllowed()
    return AddressPolicy.of(settings.webhook_hosts).parse(url)


def webhook_pool(settings: Settings, max_connections: int = 10) -> httpcore.ConnectionPool:
    """Open the connection pool for webhooks; threads may share it, and the caller closes it.

    `max_connections`: as many as threads, for who waits for a connection loses its time to answer.
    """
    return guarded_pool(
        AddressPolicy.of(settings.webhook_hosts),
        connect_seconds=CONNECT_SECONDS,
        read_seconds=ANSWER_SECONDS,
        total_seconds=ANSWER_SECONDS,
        max_connections=max_connections,
    )


def event(manifest: Manifest, run: Run, summary: Summary, ended_at: float) -> dict[str, Any]:
    """Return the body of a webhook; it is the same at every try."""
    status = summary.status.value
    moment = datetime.fromtimestamp(ended_at, UTC).isoformat(timespec="milliseconds")
    return {
        "type": f"job.{status}",
        "timestamp": moment.replace("+00:00", "Z"),
        "data": {
            "id": manifest.job,
            "run": run.number,
            "status": status,
            "name": manifest.source.name,
            "metadata": manifest.metadata,
        },
    }


def send(
    pool: httpcore.ConnectionPool, settings: Settings, url: str, run: Run, said: dict[str, Any]
) -> Outcome:
    """Make one try and return its outcome. Raises nothing for faults of receiver or network."""
    try:
        address = check_webhook_url(settings, url)
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        headers = _headers(
            webhook_secret(settings, run.tenant), f"msg_{run.job}_{run.number}", body
        )
        with pool.stream(
            "POST", location(address), headers=headers, content=body.encode()
        ) as answer:  # the answer's body is not read
            wait = retry_after_seconds(answer.headers, datetime.now(UTC))
            return of_status(answer.status, wait)
    except httpcore.TimeoutException as error:
        return Outcome(False, f"The receiver did not answer in time ({error!r}).", passing=True)
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        return Outcome(False, f"The receiver could not be spoken to: {error}.", passing=True)
    except PermanentError as error:
        return of_error(error)


def _headers(secret: str, message: str, body: str) -> list[tuple[str, str]]:
    now = datetime.now(UTC)
    return [
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
        ("webhook-id", message),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", Webhook(secret).sign(message, now, body)),
    ]
