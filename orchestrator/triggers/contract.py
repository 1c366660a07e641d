"""The Celery messages that we take and the replies to them: version 1 of the contract.

A message is checked like a request to the API. The reply is never an exception, because other
programs could decode it only with our classes. docs/celery_contract.md describes it for senders.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from config.settings import TENANT_PATTERN, Settings
from gpu_worker.errors import PermanentError, ScriptoriumError
from orchestrator.cluster.job import Job
from orchestrator.events import job_json
from orchestrator.jobs.requests import Body, JobRequest, Text

CONTRACT = 1  # the newest version, and the only one
LARGEST_BYTES = 1 << 20  # of a message's arguments; the same as of an API request
_SHOWN_ERRORS = 5
_SHOWN_CHARACTERS = 500

Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
Parsed = TypeVar("Parsed", bound=BaseModel)


class InvalidMessage(PermanentError):
    """The message's arguments are not what the contract says."""

    code = "invalid_request"
    hint = "docs/celery_contract.md lists them."


class TenantNotAllowed(PermanentError):
    """Messages may not name this tenant."""

    code = "tenant_not_allowed"
    hint = (
        "Leave the tenant out, or ask the operator to list it in SCRIPTORIUM_MESSAGE_TENANTS: "
        "names by comma, or * for all."
    )


class SubmitMessage(JobRequest):
    """The keyword arguments of `scriptorium.submit`."""

    contract: Literal[1] = 1
    tenant: Tenant | None = None  # None: the cluster's own
    idempotency_key: Text | None = None  # None: the message's id


class StatusMessage(Body):
    """The keyword arguments of `scriptorium.status`."""

    contract: Literal[1] = 1
    tenant: Tenant | None = None
    job: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")] = Field()


def parse_message(
    model: type[Parsed], arguments: tuple[Any, ...], fields: dict[str, Any]
) -> Parsed:
    """Parse a message's arguments. Raises InvalidMessage with a sentence for each wrong one."""
    if arguments:
        raise InvalidMessage("Arguments are taken by keyword only.")
    try:
        size = len(json.dumps(fields))
    except (TypeError, ValueError, RecursionError):
        raise InvalidMessage("The arguments are not JSON.") from None
    if size > LARGEST_BYTES:
        raise InvalidMessage(f"The arguments have {size} bytes; {LARGEST_BYTES} are accepted.")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = "; ".join(_sentence(item["loc"], item["msg"]) for item in found[:_SHOWN_ERRORS])
        raise InvalidMessage(f"{wrong}.") from None


def tenant_of(asked: SubmitMessage | StatusMessage, settings: Settings) -> str:
    """Return the tenant of a message, by default the cluster's own. Raises TenantNotAllowed."""
    if asked.tenant is None:
        return settings.tenant
    if not settings.may_name(asked.tenant):
        raise TenantNotAllowed(f"Messages may not name the tenant {asked.tenant}.")
    return asked.tenant


def job_reply(job: Job) -> dict[str, Any]:
    """Return the reply with a job."""
    return {"contract": CONTRACT, "job": job_json(job)}


def error_reply(error: ScriptoriumError) -> dict[str, Any]:
    """Return the reply for an error: what happened and what to do."""
    told = error.to_json()
    return {"contract": CONTRACT, "error": told | {"message": told["message"][:_SHOWN_CHARACTERS]}}


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part)[:80] for part in place)
    text = message.removeprefix("Value error, ")[:_SHOWN_CHARACTERS]
    return f"{where}: {text}" if where else text
