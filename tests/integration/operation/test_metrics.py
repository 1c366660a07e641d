"""One job on a whole cluster, and what the API's /metrics says of it, workers included."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from gpu_worker.pcm import SAMPLE_RATE
from orchestrator.local.cluster import LocalCluster
from scriptorium_client import Client
from tasks.runs.stages import queues
from tests.eventually import eventually
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import PATIENT, quick_settings

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
Families = dict[str, Metric]


def ask(url: str, **headers: str) -> str:
    reply = httpx.get(f"{url}/metrics", headers=headers, trust_env=False, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.text


def value(found: Families, name: str, sample: str = "", **labels: str) -> float | None:
    """The sum of the samples that have these labels; None if there are none."""
    values = [
        one.value
        for one in found[name].samples
        if one.name == name + sample and labels.items() <= one.labels.items()
    ]
    return sum(values) if values else None


def test_a_job_is_counted_wherever_it_was_worked_on(tmp_path: Path) -> None:
    audio = recording(12)[0]
    talk = write_wav(tmp_path / "talk.wav", audio)
    settings = quick_settings(tmp_path / "home", api_port=0, **PATIENT)
    (tmp_path / "home" / "metrics").mkdir(parents=True)
    (tmp_path / "home" / "metrics" / "counter_1.db").write_bytes(b"of a cluster of yesterday")
    with LocalCluster(settings, workers=1, api=True) as cluster:
        url = cluster.api_url or ""
        cluster.wait_until_ready(threading.Event())
        with Client(url, trust_env=False) as client:
            job = client.submit(talk, model="fake", language="en", aligner="cross_attention")
            *_, end = client.stream(job.id)
            assert end.job is not None and end.job.status == "completed"
        found: Families = {}

        def is_told() -> bool:
            found.clear()
            found.update({one.name: one for one in text_string_to_metric_families(ask(url))})
            return "scriptorium_desired_workers" in found and found_all(found)

        assert eventually(is_told)
        check_counts(found, len(audio) / SAMPLE_RATE)
        check_load(found)
        text = ask(url, **OPEN_METRICS)
        names = {one.name for one in open_metrics_families(text)}
        assert {"scriptorium_units", "scriptorium_queue_depth"} <= names
        check_logs(cluster.logs, job.id)


def found_all(found: Families) -> bool:
    """Both API processes and all workers have written what they counted."""
    return (
        value(found, "scriptorium_units", "_total", stage="assemble") == 1
        and value(found, "scriptorium_open_jobs") == 0
        and value(found, "scriptorium_workers", pool="gpu", state="idle") == 1
        and (value(found, "scriptorium_workers", pool="cpu") or 0) > 0
    )


def check_counts(found: Families, seconds: float) -> None:
    for stage, model in (("prepare", ""), ("transcribe", "fake"), ("assemble", "")):
        labels = {"stage": stage, "model": model}
        heard = value(found, "scriptorium_audio_seconds", "_total", **labels)
        assert heard == pytest.approx(seconds, abs=0.01), stage
        assert value(found, "scriptorium_unit_seconds", "_count", **labels) == 1
        assert value(found, "scriptorium_real_time_factor", "_count", **labels) == 1
        assert value(found, "scriptorium_units", "_total", stage=stage, outcome="computed") == 1
        looks = value(found, "scriptorium_cache_requests", "_total", level=stage, result="miss")
        assert looks == 1
        waits = value(found, "scriptorium_queue_wait_seconds", "_count", stage=stage)
        assert waits == 1, stage
    assert value(found, "scriptorium_queue_wait_seconds", "_count", stage="fan_out") == 1
    assert value(found, "scriptorium_model_load_seconds", "_count", kind="engine") == 1
    assert value(found, "scriptorium_jobs_submitted", "_total", way="api") == 1
    assert value(found, "scriptorium_jobs_ended", "_total", status="completed") == 1
    assert value(found, "scriptorium_jobs_ended", "_total") == 1  # the others are there, at 0
    assert value(found, "scriptorium_leases_lost", "_total") == 0
    submitted = {"method": "POST", "route": "/v1/jobs", "status": "202"}
    assert value(found, "scriptorium_http_requests", "_total", **submitted) == 1
    assert "scriptorium_errors" not in found


def check_load(found: Families) -> None:
    depths = found["scriptorium_queue_depth"].samples
    assert {f"{one.labels['stage']}.{one.labels['lane']}" for one in depths} == set(queues())
    assert value(found, "scriptorium_queue_depth") == 0
    assert value(found, "scriptorium_backlog_seconds") == 0
    desired = found["scriptorium_desired_workers"].samples
    assert {one.labels["pool"] for one in desired} == {"cpu", "gpu"}
    assert (value(found, "scriptorium_load_age_seconds") or 0) < 60
    assert (value(found, "scriptorium_redis_memory_bytes") or 0) > 100_000
    assert value(found, "scriptorium_deliveries_waiting") == 0


def check_logs(logs: Path, job: str) -> None:
    """Every line that a task wrote names its job, stage and chunk."""
    lines: list[dict[str, Any]] = [
        json.loads(line)
        for path in logs.glob("*pu*.log")
        for line in path.read_text().splitlines()
        if line.startswith("{")
    ]
    told = [line for line in lines if line["logger"].startswith(("tasks.", "celery.app.trace"))]
    assert {line.get("stage") for line in told} >= {"prepare", "fan_out", "transcribe", "assemble"}
    for line in told:
        assert line.get("job") == job and "stage" in line and "chunk" in line, line
