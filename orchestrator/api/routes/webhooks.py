"""The secret with which receivers verify webhooks."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from orchestrator.api.authentication import CurrentCluster, Writer
from orchestrator.api.replies import error_replies
from orchestrator.outbox.webhooks import webhook_secret

router = APIRouter(
    prefix="/v1/webhooks", tags=["webhooks"], responses=error_replies(401, 403, 500, 503)
)


class WebhookSecret(BaseModel):
    """The secret to verify webhooks with."""

    secret: str


@router.get("/secret")
def show_secret(cluster: CurrentCluster, caller: Writer) -> WebhookSecret:
    """Show the secret of the tenant's webhooks, in the form of Standard Webhooks libraries."""
    return WebhookSecret(secret=webhook_secret(cluster.settings, caller.tenant))
