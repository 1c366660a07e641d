"""Many files as one collection, through a whole cluster: one progress, the bad named, retried."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.runs import keys
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, ClusterUnderTest
from tests.integration.conftest import StartCluster
from tests.integration.ways_in.listed import Listed
from tests.servers.api import serving

OPTIONS = {"model": "fake", "language": "en", "aligner": "none"}
SECONDS = 1200.0  # that 500 files have on two busy cores


@pytest.fixture
def calls(s3_shared_client: Any, bucket: str, tmp_path: Path) -> Iterator[tuple[Any, str, bytes]]:
    sound = write_wav(tmp_path / "speech.wav", recording(2, seed=97)[0]).read_bytes()
    yield s3_shared_client, bucket, sound


class Watched:
    """A collection, watched over HTTP."""

    def __init__(self, http: httpx.Client, collection: str) -> None:
        self.path = f"/v1/collections/{collection}"
        self._http = http

    def shown(self) -> Any:
        return self._http.get(self.path).raise_for_status().json()

    def counts(self) -> dict[str, int]:
        return {name: number for name, number in self.shown()["counts"].items() if number}

    def ended(self) -> Any:
        deadline, progress = time.monotonic() + SECONDS, 0.0
        while True:
            shown = self.shown()
            assert shown["progress"] >= progress, "it went back"
            progress = shown["progress"]
            if shown["ended_at"]:
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)

    def bad(self) -> dict[int, str]:
        """The code of the error of each line that failed or was refused."""
        found: dict[int, str] = {}
        cursor = 0
        while cursor is not None:
            asked: dict[str, Any] = {"status": ["failed", "refused"], "cursor": cursor}
            page = self._http.get(f"{self.path}/lines", params=asked).raise_for_status().json()
            found |= {line["line"]: line["error"]["code"] for line in page["data"]}
            cursor = page["next_cursor"]
        return found


@pytest.mark.parametrize(
    ("files", "every"),
    [(40, 10), pytest.param(500, 25, marks=[pytest.mark.heavy, pytest.mark.timeout(1800)])],
)
def test_a_list_with_bad_lines_is_one_collection_whose_bad_lines_alone_are_retried(
    start_cluster: StartCluster,
    calls: tuple[Any, str, bytes],
    s3_endpoint: str,
    files: int,
    every: int,
) -> None:
    s3, bucket, sound = calls
    listed = Listed(s3, bucket, sound, files, every, OPTIONS)
    listed.put()
    cluster = start_cluster(
        workers=2, source_buckets=bucket, s3_endpoint_url=s3_endpoint, jobs_in_flight=30
    )
    bad = listed.bad

    with serving(cluster.connection) as address, httpx.Client(base_url=address) as http:
        form = {"options": json.dumps({"model": "fake"})}
        began = time.monotonic()
        reply = http.post("/v1/collections", files={"file": ("may.jsonl", listed.text)}, data=form)
        assert reply.status_code == 202, reply.text
        collection = Watched(http, reply.json()["id"])
        shown = collection.ended()
        print(f"{files} files: {time.monotonic() - began:.1f} s")
        assert (shown["status"], shown["progress"]) == ("partial", 1.0)
        refused = len(listed.hopeless)
        assert {name: it for name, it in shown["counts"].items() if it} == {
            "total": files,
            "completed": files - len(bad),
            "failed": len(bad) - refused,
            "refused": refused,
        }
        assert collection.bad() == bad

        listed.mend()
        again = http.post(f"{collection.path}/retry").raise_for_status().json()
        assert again["round"] == 2
        assert collection.ended()["counts"]["completed"] == files - refused
        assert second_runs(cluster) == len(bad) - refused
        assert collection.bad() == listed.hopeless


def second_runs(cluster: ClusterUnderTest) -> int:
    jobs = cluster.connection.store.list(keys.jobs(TENANT))
    return sum(key.endswith("/runs/2/result.json") for key in jobs)


def test_a_wipe_of_redis_loses_no_line(
    start_cluster: StartCluster, calls: tuple[Any, str, bytes], s3_endpoint: str
) -> None:
    s3, bucket, sound = calls
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=f"calls/{number:02}.wav", Body=sound)
    cluster = start_cluster(
        workers=2, source_buckets=bucket, s3_endpoint_url=s3_endpoint, jobs_in_flight=8
    )
    with serving(cluster.connection) as address, httpx.Client(base_url=address) as http:
        body = {"prefix": f"s3://{bucket}/calls/", "suffix": [".wav"], "options": OPTIONS}
        collection = Watched(http, http.post("/v1/collections", json=body).json()["id"])
        cluster.wait_until(lambda: collection.counts().get("completed", 0) >= 3)
        cluster.connection.redis.flushall()
        cluster.wait_until(lambda: collection.shown()["ended_at"] is not None, 180.0)
        assert collection.counts() == {"total": 20, "completed": 20}
        assert len(http.get("/v1/jobs?limit=100").json()["data"]) == 20
