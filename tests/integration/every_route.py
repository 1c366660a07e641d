"""A client that takes a whole job through the API's routes, for tests of what they need."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import eventually
from tests.integration.cluster import PATIENCE_SECONDS

OPTIONS: dict[str, Any] = {
    "model": "fake", "chunk_seconds": 10.0, "language": "en", "aligner": "ctc", "diarize": True,
    "shard_seconds": 16.0,
}  # fmt: skip
ENDED = ("completed", "partial", "failed", "canceled")
LOOKS = (
    "/metrics",
    "/v1/jobs",
    "/v1/jobs?limit=1",
    "/v1/autoscale",
    "/v1/usage",
    "/v1/admin/dead-letters",
)


class EveryRoute:
    """Submits, watches, cancels, retries, runs again, lists and uploads."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def asked(self, method: str, path: str, **content: Any) -> Any:
        """The JSON of a reply that is no error."""
        reply = self._http.request(method, path, **content).raise_for_status()
        return reply.json() if "json" in reply.headers.get("content-type", "") else {}

    def ended(self, job: str) -> str:
        """The status of a job that has ended; waits for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := str(self.asked("GET", f"/v1/jobs/{job}")["status"])) not in ENDED:
            assert time.monotonic() < deadline, f"{job} is still {status}"
            time.sleep(0.2)
        return status

    def use(self, sound: Path) -> tuple[str, str]:
        """Use every route but those that delete; return a job and its rerun, both completed."""
        assert eventually(self._is_ready)
        with sound.open("rb") as file:
            form: dict[str, Any] = {"files": {"file": file}}
            job = self.asked("POST", "/v1/jobs", data={"options": json.dumps(OPTIONS)}, **form)[
                "id"
            ]
        with self._http.stream("GET", f"/v1/jobs/{job}/events") as events:
            assert next(events.iter_lines())
        assert self.ended(job) == "completed"
        result = self.asked("GET", f"/v1/jobs/{job}/transcript")
        assert "SPEAKER_00" in str(result) and '"words"' in json.dumps(result)
        changes = {"options": {"language": "de"}}
        other = self.asked("POST", f"/v1/jobs/{job}/rerun", json=changes)["id"]
        self.asked("POST", f"/v1/jobs/{other}/cancel")
        if self.ended(other) == "canceled":
            self.asked("POST", f"/v1/jobs/{other}/retry")
        assert self.ended(other) == "completed"
        for path in LOOKS:
            self.asked("GET", path)
        self.upload("a.wav", b"RIFF")
        return job, other

    def upload(self, name: str, content: bytes) -> str:
        """Announce a file and send it; return the upload's id."""
        announced = {"name": name, "size": len(content)}
        upload = str(self.asked("POST", "/v1/uploads", json=announced)["id"])
        self.asked("PUT", f"/v1/uploads/{upload}", content=content)
        return upload

    def _is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return self._http.get("/readyz").status_code == 200
        return False
