"""Traces: off without a trace of them; on, one for each job, and no secret in it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import Ignore
from fastapi.testclient import TestClient
from pydantic import SecretStr
from redis import Redis
from structlog.testing import capture_logs

from config.settings import Settings
from gpu_worker.errors import ScriptoriumError, StoreUnavailable, UnknownModel, UnreadableAudio
from orchestrator.api.application import make_application
from orchestrator.api.middleware.traces import request_traces
from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.jobs.runs import cancel, retry
from orchestrator.jobs.sources import upload
from orchestrator.jobs.submission import rerun, submit
from tasks.broker import SENT_AT
from tasks.execution.run import Work, run_unit
from tasks.execution.workplace import Workplace
from tasks.runs import keys
from tasks.runs.manifest import Manifest, Source
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tasks.runs.units import Unit
from tasks.state.receipts import Receipt
from tasks.telemetry.tracing import flush, spans, submission_span, unit_span
from tests import ROOT
from tests.inputs.examples import JOB, TENANT, a_manifest, a_plan, a_run, a_unit, write_records
from tests.inputs.speech import recording, write_wav
from tests.servers.otlp import Told, read_spans
from tests.unit.tasks.inline import run_job, run_task

HOST = "http://127.0.0.1"
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{CALLER}-00f067aa0ba902b7-01"
SOURCE = Source(name="talk.wav", url="s3://calls/talk.wav")
OPTIONS = JobOptions(model="fake", language="en")
SECRET = "X-Amz-Signature-0123456789abcdef"
celery = Celery("tracing")


@celery.task(name="traced", bind=True, shared=False)
def traced_task(self: Any, unit: Unit, compute: Callable[[Any], dict[str, Any]]) -> Receipt:
    return Receipt.from_json(
        run_unit(self, unit, lambda place, unit: Work("artifact", compute, audio_seconds=10.0))
    )


def run(compute: Callable[[Any], dict[str, Any]], **options: Any) -> Receipt:
    receipt: Receipt = traced_task.apply((a_unit(index=2), compute), **options).get()
    return receipt


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set where traces go. This process's provider ends with the test."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    yield lambda url: monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    for provider in spans._opened.values():
        if provider is not None:
            provider.shutdown()
    spans._opened.clear()


@pytest.fixture
def traces(endpoint: Callable[[str], None], tmp_path: Path) -> Callable[[], list[Told]]:
    """Traces are on, and this tells the spans that have ended."""
    path = tmp_path / "told" / "traces.json"
    endpoint(path.as_uri())

    def told() -> list[Told]:
        flush()
        return read_spans(path)

    return told


def accept(place: Workplace, traceparent: str | None = TRACEPARENT) -> None:
    manifest = a_manifest().model_copy(update={"traceparent": traceparent})
    write_records(place.store, manifest, a_plan(10, 10, 10))


OFF = """
import sys
import fastapi, redis

def loaded():
    return {name for name in sys.modules if name.startswith("opentelemetry")}

before = loaded()  # both look for it themselves
import orchestrator.cli.commands, tasks.stages.fan_out
import tasks.stages.prepare, tasks.stages.transcribe
from config.settings import settings
from orchestrator.api.application import make_application
from orchestrator.cluster.connection import open_cluster
from orchestrator.jobs.submission import submit
from tasks.runs.manifest import Source
from tasks.runs.options import JobOptions

to = open_cluster(settings())
make_application(to)
job = submit(to, Source(name="x", url="s3://calls/x"), JobOptions(model="fake"), tenant="default")
assert to.records.manifest("default", job.id).traceparent is None
print(sorted(loaded() - before))
"""
WITHOUT_PACKAGES = """
import sys
sys.modules["opentelemetry"] = None
from tests.inputs.examples import a_unit
from tests.unit.tasks.execution.test_run import run, say_hello

print(run(say_hello).outcome, run(say_hello, a_unit(index=1)).outcome)
"""


@pytest.mark.slow
def test_while_they_are_off_nothing_of_opentelemetry_is_loaded(settings: Settings) -> None:
    assert in_a_fresh_interpreter(OFF, settings).stdout.strip() == "[]"


@pytest.mark.slow
def test_without_the_packages_work_goes_on_and_the_log_says_once_what_to_install(
    settings: Settings, redis: Redis
) -> None:
    ended = in_a_fresh_interpreter(
        WITHOUT_PACKAGES, settings, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318"
    )
    assert ended.stdout.splitlines()[-1] == "computed cached"
    assert (ended.stdout + ended.stderr).count("scriptorium[tracing]") == 1


def in_a_fresh_interpreter(
    code: str, settings: Settings, **variables: str
) -> subprocess.CompletedProcess[str]:
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    places = {"REDIS_URL": url, "SCRIPTORIUM_STORE_URL": settings.store_url or ""}
    places |= {"SCRIPTORIUM_ALLOWED_MODELS": "fake"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=places | variables,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def test_a_manifest_without_a_trace_is_as_it_always_was() -> None:
    written = a_manifest().model_dump(mode="json")
    assert "traceparent" not in written and "traceparent" not in a_manifest().model_dump_json()
    assert Manifest.model_validate(written) == a_manifest()
    traced = a_manifest().model_copy(update={"traceparent": TRACEPARENT})
    assert Manifest.model_validate_json(traced.model_dump_json()) == traced


def test_a_job_that_nobody_traces_yet_begins_a_trace_of_its_own(
    traces: Callable[[], list[Told]], connection: Cluster
) -> None:
    jobs = [submit(connection, SOURCE, OPTIONS, tenant=TENANT) for _ in range(2)]
    first, second = traces()
    assert first.trace_id != second.trace_id
    assert (first.name, first.parent_id, first.service) == ("submit", "", "scriptorium-submit")
    assert first.attributes == {"scriptorium.job": jobs[0].id, "scriptorium.tenant": TENANT}
    manifest = connection.records.manifest(TENANT, jobs[0].id)
    assert str(manifest.traceparent).startswith(f"00-{first.trace_id}-{first.span_id}-")


def test_the_same_submission_again_is_the_same_job_in_the_same_trace(
    traces: Callable[[], list[Told]], connection: Cluster
) -> None:
    first, again = (
        submit(connection, SOURCE, OPTIONS, tenant=TENANT, idempotency_key="key") for _ in range(2)
    )
    assert first.id == again.id
    manifest = connection.records.manifest(TENANT, first.id)
    assert manifest.traceparent and traces()[0].trace_id in manifest.traceparent


def test_a_retry_stays_in_its_jobs_trace_and_a_rerun_has_its_own(
    traces: Callable[[], list[Told]], connection: Cluster
) -> None:
    job = submit(connection, SOURCE, OPTIONS, tenant=TENANT)
    cancel(connection, TENANT, job.id)
    other = rerun(connection, TENANT, job.id, {"language": "de"})
    assert retry(connection, TENANT, job.id).run == 2
    trace, new_trace = (span.trace_id for span in traces())
    assert trace != new_trace
    for one, expected in ((job, trace), (other, new_trace)):
        manifest = connection.records.manifest(TENANT, one.id)
        assert manifest.traceparent and expected in manifest.traceparent


def test_a_refused_submission_tells_its_code(
    traces: Callable[[], list[Told]], connection: Cluster
) -> None:
    gone = Source(name="talk.wav", artifact=keys.source(TENANT, "ab"))
    with pytest.raises(ScriptoriumError):
        submit(connection, gone, OPTIONS, tenant=TENANT)
    (span,) = traces()
    assert span.error == span.attributes["error.type"] == "source_missing"
    with pytest.raises(UnknownModel):  # nothing was begun
        submit(connection, SOURCE, JobOptions(model="none"), tenant=TENANT)
    assert len(traces()) == 1


def test_a_unit_is_told_below_its_jobs_submission(
    traces: Callable[[], list[Told]], place: Workplace
) -> None:
    accept(place)
    run(lambda check: {"text": "hello"}, headers={SENT_AT: 1.0})
    (span,) = traces()
    assert (span.name, span.trace_id, span.parent_id) == (
        "transcribe",
        CALLER,
        TRACEPARENT.split("-")[2],
    )
    assert span.service == "scriptorium-worker-gpu" and span.error is None
    waited = span.attributes.pop("scriptorium.queue_wait_ms")
    assert isinstance(waited, int) and waited > 1e12  # since 1970
    assert span.attributes == {
        "scriptorium.job": JOB,
        "scriptorium.tenant": TENANT,
        "scriptorium.run": 1,
        "scriptorium.stage": "transcribe",
        "scriptorium.chunk": 2,
        "scriptorium.worker": place.worker,
        "scriptorium.model": "fake",
        "scriptorium.retries": 0,
        "scriptorium.outcome": "computed",
        "scriptorium.audio_seconds": 10.0,
    }


def test_its_log_lines_name_the_trace(
    traces: Callable[[], list[Told]], place: Workplace, capfd: pytest.CaptureFixture[str]
) -> None:
    from config.logging import configure_logging

    configure_logging()
    accept(place)
    run(lambda check: {"text": "hello"})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[:1] == "{"]
    assert {line["event"] for line in lines} >= {"unit_started", "unit_ended"}
    assert {line["trace_id"] for line in lines if "job" in line} == {CALLER}


def test_a_unit_that_is_issued_again_is_in_the_same_trace(
    traces: Callable[[], list[Told]], place: Workplace
) -> None:
    accept(place)
    for _ in range(2):
        run(lambda check: {"text": "hello"})
    assert [(span.trace_id, span.attributes["scriptorium.outcome"]) for span in traces()] == [
        (CALLER, "computed"),
        (CALLER, "cached"),
    ]


def test_every_try_is_a_span_and_what_others_wrote_is_not_in_it(
    traces: Callable[[], list[Told]], place: Workplace, tmp_path: Path
) -> None:
    accept(place)
    errors: list[Exception] = [StoreUnavailable(SECRET), UnreadableAudio(SECRET)]

    def compute(check: Any) -> dict[str, Any]:
        raise errors.pop(0)

    assert run(compute).outcome == "failed"
    told = [(span.attributes["scriptorium.outcome"], span.error) for span in traces()]
    assert sorted(told) == [("failed", "unreadable_audio"), ("retried", "store_unavailable")]
    assert SECRET not in (tmp_path / "told" / "traces.json").read_text()


def test_fan_out_has_a_span_and_so_have_the_shards(
    traces: Callable[[], list[Told]], place: Workplace
) -> None:
    accept(place)
    run_task(a_unit(Stage.FAN_OUT))  # its chunks fail: there is no audio
    told = {span.unit: span.attributes.get("scriptorium.outcome") for span in traces()}
    assert told["fan_out", None] == "computed"
    assert {("transcribe", index) for index in range(3)} | {("assemble", None)} < told.keys()
    assert {span.trace_id for span in traces()} == {CALLER}


@pytest.mark.parametrize("traceparent", [None, "nonsense", "00-0-0-00"])
def test_a_job_without_a_valid_trace_is_done_without_disturbance(
    traces: Callable[[], list[Told]], place: Workplace, traceparent: str | None
) -> None:
    accept(place, traceparent)
    assert run(lambda check: {"text": "hello"}).outcome == "computed"
    assert [span for span in traces() if span.trace_id == CALLER] == []


def test_a_job_whose_caller_does_not_sample_is_not_told(
    traces: Callable[[], list[Told]], place: Workplace
) -> None:
    accept(place, TRACEPARENT[:-1] + "0")
    assert run(lambda check: {"text": "hello"}).outcome == "computed"
    assert traces() == []


def test_an_unreadable_manifest_is_the_units_business(
    traces: Callable[[], list[Told]], place: Workplace
) -> None:
    place.store.put(keys.manifest(TENANT, JOB), b"not json")
    run_task(a_unit(Stage.PREPARE))
    assert place.store.size(keys.failed(a_unit(Stage.PREPARE))) is not None
    assert traces() == []


@pytest.mark.slow
def test_a_result_does_not_depend_on_traces(
    traces: Callable[[], list[Told]],
    connection: Cluster,
    place: Workplace,
    tmp_path: Path,
) -> None:
    path = write_wav(tmp_path / "talk.wav", recording(8)[0])
    untraced = connection.settings.model_copy(update={"otlp_endpoint": None})
    options = OPTIONS.model_copy(update={"aligner": "cross_attention"})
    results = []
    for to in (connection, replace(connection, settings=untraced)):
        job = submit(to, upload(to, path, TENANT), options, tenant=TENANT)
        run_job(connection.redis, job)
        result = keys.of_run(a_run(job=job.id), keys.RESULT)
        results.append(place.store.get(result))
        for key in list(place.store.list("")):  # nothing is to be found by the next one
            place.store.delete(key)
    assert results[0] == results[1] and b'"transcript":{' in results[0]
    assert len({span.trace_id for span in traces()}) == 1
    assert {span.name for span in traces()} >= {"submit", "prepare", "transcribe", "assemble"}


def test_a_collector_that_is_away_holds_nothing_up(
    endpoint: Callable[[str], None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # or the end of the test takes 10 s
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    endpoint(f"http://127.0.0.1:{port}")
    place = request.getfixturevalue("place")
    accept(place)
    assert run(lambda check: {"text": "hello"}).outcome == "computed"
    flush()


def test_an_endpoint_that_cannot_be_is_said_once(
    endpoint: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    endpoint("collector:4317")
    place = request.getfixturevalue("place")
    accept(place)
    with capture_logs() as lines:
        for _ in range(2):
            assert run(lambda check: {"text": "hello"}).outcome in ("computed", "cached")
    (line,) = [line for line in lines if line["event"] == "traces_off"]
    assert "collector:4317" in line["reason"] and "http://host:4318" in line["hint"]
    assert place.records.manifest(TENANT, JOB).traceparent == TRACEPARENT
    with submission_span(place.settings, TENANT, JOB) as traceparent:
        assert traceparent is None


def test_the_sdk_can_be_switched_off(
    traces: Callable[[], list[Told]], place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    accept(place)
    assert run(lambda check: {"text": "hello"}).outcome == "computed"
    with submission_span(place.settings, TENANT, JOB) as traceparent:
        assert traceparent is None
    assert traces() == []


@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt(), "KeyboardInterrupt"), (Ignore(), None)]
)
def test_whatever_leaves_a_unit_ends_its_span(
    traces: Callable[[], list[Told]],
    place: Workplace,
    error: BaseException,
    told: str | None,
) -> None:
    accept(place)
    with pytest.raises(type(error)), unit_span(place, Context(), a_unit()):
        raise error
    assert [span.error for span in traces()] == [told]


def test_the_environment_names_the_service(
    traces: Callable[[], list[Told]], connection: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "speech")
    submit(connection, SOURCE, OPTIONS, tenant=TENANT)
    assert [span.service for span in traces()] == ["speech"]


@pytest.fixture
def http(traces: Callable[[], list[Told]], settings: Settings) -> Iterator[TestClient]:
    to = open_cluster(settings.model_copy(update={"api_key": SecretStr(SECRET)}))
    application = make_application(to)

    @application.post("/v1/bug", include_in_schema=False)
    def bug() -> None:
        raise ValueError(SECRET)

    with TestClient(application, base_url=HOST, raise_server_exceptions=False) as client:
        yield client
    to.close()


def post(http: TestClient, path: str = "/v1/jobs", **headers: str) -> dict[str, Any]:
    files = {"file": ("talk.wav", b"RIFF and so on")}
    headers = {"Authorization": f"Bearer {SECRET}"} | headers
    reply = http.post(path, files=files, headers=headers)
    assert reply.status_code == 202, reply.text
    body: dict[str, Any] = reply.json()
    return body


def test_a_request_is_the_first_of_its_jobs_trace(
    http: TestClient, traces: Callable[[], list[Told]]
) -> None:
    job = post(http)
    submitted, request = traces()
    assert (request.name, request.parent_id) == ("POST /v1/jobs", "")
    assert (submitted.name, submitted.parent_id) == ("submit", request.span_id)
    assert submitted.trace_id == request.trace_id
    assert submitted.attributes["scriptorium.job"] == job["id"]
    assert {span.service for span in (submitted, request)} == {"scriptorium-api"}


def test_a_callers_trace_is_followed(http: TestClient, traces: Callable[[], list[Told]]) -> None:
    post(http, traceparent=TRACEPARENT)
    assert {span.trace_id for span in traces()} == {CALLER}


@pytest.fixture
def none_sampled(endpoint: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")


def test_a_callers_flag_does_not_beat_the_ratio(
    none_sampled: None, http: TestClient, traces: Callable[[], list[Told]]
) -> None:
    assert TRACEPARENT.endswith("-01")
    for parent in (TRACEPARENT, f"00-{1:032x}-{1:016x}-01"):  # and an id that a ratio takes
        post(http, traceparent=parent)
    assert traces() == []


def test_a_caller_cannot_hide_from_traces(
    http: TestClient, traces: Callable[[], list[Told]]
) -> None:
    post(http, traceparent=TRACEPARENT[:-2] + "00")
    assert {span.trace_id for span in traces()} == {CALLER}


def test_nothing_secret_of_a_request_is_told(
    http: TestClient, traces: Callable[[], list[Told]], tmp_path: Path
) -> None:
    post(http, f"/v1/jobs?key={SECRET}", Cookie=f"session={SECRET}")
    for path in (f"/v1/jobs/{SECRET}/retry", f"/{SECRET}", f"/v1/uploads?a={SECRET}", "/v1/bug"):
        http.post(path, json={"source": SECRET})
    told = {span.name: span.attributes for span in traces()}
    assert told["POST /v1/jobs"] == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs",
        "http.response.status_code": 202,
    }
    assert told["POST /v1/bug"]["error.type"] == "500"
    assert len(told) == 6
    assert SECRET not in (tmp_path / "told" / "traces.json").read_text()


def test_who_only_looks_is_not_told(http: TestClient, traces: Callable[[], list[Told]]) -> None:
    for path in ("/healthz", "/readyz", "/v1/jobs", "/v1/jobs/none/events"):
        http.get(path)
    assert traces() == []


def test_while_they_are_off_no_request_is_told_to_anybody(settings: Settings) -> None:
    config = request_traces(settings)
    assert not any(config[name] for name in ("tracing", "metrics", "logs", "auto_configure"))
