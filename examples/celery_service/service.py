"""A service that has its audio transcribed by Scriptorium, and knows of it only the contract.

    python service.py s3://bucket/talk.mp3 [model]

It needs Celery and the address of the cluster's Redis (REDIS_URL); nothing of Scriptorium is
imported. docs/celery_contract.md is what it relies on.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from uuid import uuid4

from celery import Celery
from celery.exceptions import TimeoutError as NoReply

QUEUE = "submit"
REPLY_SECONDS = 30.0
FINAL = ("completed", "partial", "failed", "canceled")


def ask(cluster: Celery, task: str, **fields: Any) -> dict[str, Any]:
    """Send a message and wait for its reply; a lost message is sent again under the same id."""
    message = str(uuid4())
    for _ in range(3):
        sent = cluster.send_task(
            task, kwargs={"contract": 1, **fields}, queue=QUEUE, task_id=message
        )
        try:
            reply: dict[str, Any] = sent.get(timeout=REPLY_SECONDS)
        except NoReply:
            continue  # harmless: the message's id is the idempotency key
        if "error" in reply:
            error = reply["error"]
            sys.exit(f"{error['code']}: {error['message']} {error['hint']}")
        return dict(reply["job"])
    sys.exit("No answer came; is the cluster up?")


def main() -> None:
    """Submit the source that the command line names, and follow the job to its end."""
    source, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "auto"
    url = os.environ["REDIS_URL"]
    cluster = Celery("example", broker=url, backend=url)
    job = ask(
        cluster,
        "scriptorium.submit",
        source=source,
        options={"model": model, "language": "en"},
        metadata={"order": "4711"},
    )
    print(f"job {job['id']} {job['status']}", flush=True)
    while job["status"] not in FINAL:
        time.sleep(0.5)
        job = ask(cluster, "scriptorium.status", job=job["id"])
    print(f"job {job['id']} {job['status']} order {job['metadata']['order']}")


if __name__ == "__main__":
    main()
