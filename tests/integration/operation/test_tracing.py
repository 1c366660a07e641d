"""One trace a job, as a collector gets it: the request, every chunk and shard, the fan-in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orchestrator.local.cluster import LocalCluster
from scriptorium_client import Client
from tasks.telemetry.tracing.span_file import otlp_line
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, quick_settings
from tests.servers.otlp import Told, read_spans
from tests.servers.receiver import Receiver

OPTIONS: dict[str, Any] = {
    "model": "fake",
    "chunk_seconds": 10.0,
    "diarize": True,
    "shard_seconds": 16.0,
}
ON_CPU = [("prepare", None), ("fan_out", None), ("diarize", None), ("assemble", None)]
UNITS = [
    *ON_CPU,
    ("detect_language", None),
    *((stage, index) for stage in ("transcribe", "align") for index in range(4)),
    *(("embed_speakers", index) for index in range(3)),
]


class Collector(Receiver):
    """An OTLP receiver that keeps what it gets in a file, as collectors do."""

    def spans(self, path: Path) -> list[Told]:
        """All that have come so far."""
        bodies = [one.body for one in self.received if one.path == "/v1/traces"]
        path.write_bytes(b"".join(otlp_line(_request(body)) for body in bodies))
        return read_spans(path)


def _request(body: bytes) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return request


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", recording(35)[0])


def _written(settings: dict[str, float]) -> dict[str, str]:
    return {f"SCRIPTORIUM_{name.upper()}": str(value) for name, value in settings.items()}


def check_job(spans: list[Told]) -> Told:
    """All of one trace: every unit once, each below the submission, which is given."""
    (submitted,) = [span for span in spans if span.name == "submit"]
    units = [span for span in spans if "scriptorium.stage" in span.attributes]
    assert Counter(span.unit for span in units) == Counter(UNITS)
    assert {span.parent_id for span in units} == {submitted.span_id}
    assert {span.trace_id for span in spans} == {submitted.trace_id}
    assert {span.error for span in spans} == {None}
    assert {span.attributes["scriptorium.job"] for span in (submitted, *units)} == {
        submitted.attributes["scriptorium.job"]
    }
    for span in units:
        assert span.attributes["scriptorium.outcome"] == "computed"
        assert span.attributes["scriptorium.queue_wait_ms"] >= 0
        assert span.service == f"scriptorium-worker-{'cpu' if span.unit in ON_CPU else 'gpu'}"
    return submitted


def test_a_collector_gets_one_trace_for_each_job_of_the_api(
    tmp_path: Path, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "traces.json"
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector.place}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "300")  # ms
        settings = quick_settings(tmp_path / "home", api_port=0, **PATIENT)
        with LocalCluster(settings, workers=1, api=True) as cluster:
            cluster.wait_until_ready(threading.Event())
            with Client(str(cluster.api_url), trust_env=False) as client:
                jobs = []
                for language in (None, "es"):
                    jobs.append(client.submit(talk, **OPTIONS, language=language).id)
                    assert client.wait(jobs[-1], 120).status == "completed"

            def is_told() -> bool:
                ended = [span.name for span in collector.spans(path)]
                return ended.count("assemble") == len(jobs) == ended.count("submit")

            assert eventually(is_told)
            logs = "".join(log.read_text() for log in cluster.logs.glob("gpu0*.log"))
    spans = collector.spans(path)
    traces = {
        span.attributes["scriptorium.job"]: span.trace_id
        for span in spans
        if span.unit[0] == "submit"
    }
    assert len({span.trace_id for span in spans}) == len(traces) == len(jobs)
    submitted = check_job([span for span in spans if span.trace_id == traces[jobs[0]]])
    (request,) = (span for span in spans if span.span_id == submitted.parent_id)
    assert (request.name, request.parent_id) == ("POST /v1/jobs", "")
    assert request.attributes["http.response.status_code"] == 202
    assert {request.service, submitted.service} == {"scriptorium-api"}
    assert all(f'"trace_id": "{trace}"' in logs for trace in traces.values())


def test_without_a_collector_a_file_has_the_whole_trace(tmp_path: Path, talk: Path) -> None:
    path = tmp_path / "told" / "traces.json"
    command = [sys.executable, "-m", "orchestrator.cli", "--home", str(tmp_path / "home")]
    command += ["transcribe", str(talk), "--output_dir", str(tmp_path), "--workers", "1"]
    command += ["--model", "fake", "--chunk_seconds", "10", "--diarize", "--shard_seconds", "16"]
    subprocess.run(
        command,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": path.as_uri(), **_written(PATIENT)},
        check=True,
        capture_output=True,
        timeout=180,
    )
    submitted = check_job(read_spans(path))
    assert (submitted.parent_id, submitted.service) == ("", "scriptorium-submit")
