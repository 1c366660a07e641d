"""What tenants used, by day, tenant and stage: GET /v1/usage."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints

from config.settings import TENANT_PATTERN
from orchestrator.access import NotAllowed, Principal, Scope
from orchestrator.api.authentication import CurrentCluster, having
from orchestrator.api.replies import error_replies
from orchestrator.api.usage_replies import UsageReply
from orchestrator.usage.prices import prices_of
from orchestrator.usage.report import BY_PATTERN, make_report, period
from orchestrator.usage.table import report_csv, report_json

CSV = "text/csv; charset=utf-8"
_A_DAY = "A day in UTC, such as 2026-11-29."
_Caller = Annotated[Principal, Depends(having(Scope.READ, Scope.OPERATE))]

router = APIRouter(
    prefix="/v1/usage", tags=["usage"], responses=error_replies(400, 401, 403, 413, 422, 500, 503)
)
_REPLIES: dict[int | str, dict[str, object]] = {
    200: {"model": UsageReply, "content": {"text/csv": {"schema": {"type": "string"}}}}
}


@router.get("", response_model=None, responses=_REPLIES)
def usage(
    cluster: CurrentCluster,
    caller: _Caller,
    first: Annotated[str | None, Query(alias="from", description=f"{_A_DAY} The first.")] = None,
    last: Annotated[str | None, Query(alias="to", description=f"{_A_DAY} The last.")] = None,
    by: Annotated[
        list[Annotated[str, StringConstraints(pattern=BY_PATTERN)]] | None,
        Query(description="What rows are by: day, tenant, stage or label:KEY; repeatable."),
    ] = None,
    tenant: Annotated[
        str | None, Query(description="Only this tenant.", pattern=TENANT_PATTERN)
    ] = None,
    format: Annotated[Literal["json", "csv"], Query(description="json or csv.")] = "json",
) -> Response:
    """Show what was used. A key with the scope `operate` sees every tenant, any other its own."""
    if not caller.may(Scope.OPERATE):
        if tenant not in (None, caller.tenant):
            raise NotAllowed("A key without the scope 'operate' sees its own tenant alone.")
        tenant = caller.tenant
    days = period(first, last, time.time())
    accounts = cluster.books.reader.accounts(*days, tenant)
    report = make_report(accounts, days, by or (), prices_of(cluster.settings))
    if format == "csv":
        return Response(report_csv(report), media_type=CSV)
    return JSONResponse(report_json(report))
