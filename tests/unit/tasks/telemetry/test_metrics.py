"""The names of all metrics, and the table of docs/metrics.md, which has every one of them."""

from __future__ import annotations

import re
import subprocess
import sys

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from orchestrator.cluster.ended_jobs import FINAL
from tasks.telemetry import metrics
from tasks.telemetry.metrics import Reading
from tests import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"
COUNTED = [it for it in vars(metrics).values() if isinstance(it, MetricWrapperBase)]
READ = [it for it in vars(metrics).values() if isinstance(it, Reading)]
NAME = re.compile(r"scriptorium(_[a-z]+)+")


def row(name: str, kind: str, labels: tuple[str, ...], meaning: str) -> str:
    """One line of the document's tables."""
    shown = ", ".join(f"`{label}`" for label in labels) or "none"
    return f"| `{name}` | {kind} | {shown} | {meaning} |"


def rows() -> list[str]:
    found = []
    for metric in COUNTED:
        assert isinstance(metric, (Counter, Histogram))
        kind = "counter" if isinstance(metric, Counter) else "histogram"
        name = f"{metric._name}_total" if kind == "counter" else metric._name
        found.append(row(name, kind, metric._labelnames, metric._documentation))
    for reading in READ:
        kind = "counter" if reading.is_counter else "gauge"
        name = f"{reading.name}_total" if reading.is_counter else reading.name
        found.append(row(name, kind, reading.labels, reading.documentation))
    return found


def test_every_name_is_ours_and_used_once() -> None:
    names = [it._name for it in COUNTED] + [it.name for it in READ]
    assert len(names) == len(set(names)) > 25
    assert all(NAME.fullmatch(name) for name in names)


def test_nothing_is_measured_in_anything_but_base_units() -> None:
    for name in [it._name for it in COUNTED] + [it.name for it in READ]:
        assert not name.endswith(("_ms", "_milliseconds", "_minutes", "_percent", "_mb"))


def test_the_document_has_every_metric_and_no_other() -> None:
    written = [
        line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `scriptorium_")
    ]
    assert sorted(written) == sorted(rows())


def test_what_must_be_seen_at_its_first_event_is_a_zero_from_the_start() -> None:
    """In a new process: `increase` sees no rise in a series that begins at 1."""
    code = (
        "import tasks.telemetry.metrics, prometheus_client as it;"
        "print(it.generate_latest().decode())"
    )
    text = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    for series in (
        *(f'jobs_ended_total{{status="{one}"}}' for one in FINAL),
        *(f'deliveries_given_up_total{{kind="{one}"}}' for one in ("webhook", "output")),
        *(
            f'delivery_tries_total{{kind="{kind}",outcome="{outcome}"}}'
            for kind in ("webhook", "output")
            for outcome in ("answered", "failed")
        ),
    ):
        assert f"scriptorium_{series} 0.0\n" in text, series


def test_a_reading_is_a_gauge_or_a_counter_with_its_labels() -> None:
    gauge = metrics.QUEUE_DEPTH.family({("transcribe", "bulk"): 3.0})
    (sample,) = gauge.samples
    assert gauge.type == "gauge"
    assert (sample.labels, sample.value) == ({"stage": "transcribe", "lane": "bulk"}, 3.0)
    counter = metrics.REISSUED_UNITS.family({(): 2})
    assert counter.type == "counter"
    assert counter.samples[0].name == "scriptorium_reissued_units_total"
