"""A client of the HTTP API, for programs in Python.

    with Client("http://127.0.0.1:8000", api_key="scr_…") as client:
        job = client.submit("talk.mp3", language="en")
        for event in client.stream(job.id):
            ...
        print(client.transcript(job.id, "srt"))

`AsyncClient` has the same methods, to be awaited. Both need httpx, httpx-sse and tenacity only:
no Celery, no Redis, no models. docs/client.md describes them.
"""

from __future__ import annotations

from scriptorium_client.answers import ApiError, Chunks, Event, Job, Status
from scriptorium_client.awaited import AsyncClient
from scriptorium_client.blocking import Client
from scriptorium_client.collections import Collection, Line

__all__ = [
    "ApiError", "AsyncClient", "Chunks", "Client", "Collection", "Event", "Job", "Line", "Status",
]  # fmt: skip
