"""Plays of the alerts: what Prometheus sees over some minutes, and what fires in which minute.

Each file of tests/data/alerts has, for each alert, plays in which it `fires` and ones in which it
is `silent`, by a sentence:

    series       what is scraped each minute, as promtool's unit tests write it; of namespace and
                 release `speech` where nothing else is said, and with a fresh load
    at           the first minute in which the alert fires
    labels       its labels, besides namespace, release and severity
    also         other alerts that fire at some time of the play; all others are silent
    from, minutes  which part is looked at: 0 to 45, or to five minutes after `at`
    stays        it does not end before the play does
    rules        for which rules the play is, where not for all: `chart`, `files` (the plain ones),
                 or `fixed` (the chart's without KEDA)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests import ROOT

FOLDER = ROOT / "tests" / "data" / "alerts"
DISASTERS = "disasters"  # the file whose faults must be told within 15 minutes
EVERYWHERE = frozenset({"chart", "files"})
FRESH_LOAD = "scriptorium_load_age_seconds"


@dataclass(frozen=True)
class Play:
    """One of them."""

    file: str
    alert: str
    name: str
    series: Mapping[str, str]
    at: int | None = None  # None: silent
    begins: int = 0
    start: int = 0
    minutes: int = 45
    stays: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    rules: frozenset[str] = EVERYWHERE

    @property
    def fires(self) -> bool:
        return self.at is not None

    def test(self, severity: str) -> dict[str, Any]:
        """The play as promtool's unit tests want it; `severity` of the alert."""
        return {
            "interval": "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in _scraped(self.series)
            ],
            "promql_expr_test": list(self._questions(severity)),
            "alert_rule_test": list(self._texts(severity)),
        }

    def _questions(self, severity: str) -> Iterator[dict[str, Any]]:
        ours = f'ALERTS{{alertname="{self.alert}",alertstate="firing"}}'
        if self.at is not None:
            labels = ",".join(
                f'{name}="{value}"' for name, value in self._all_labels(severity).items()
            )
            firing = f'ALERTS{{alertname="{self.alert}",alertstate="firing",{labels}}}'
            for minute in (self.at, self.minutes) if self.stays else (self.at,):
                yield _question(ours, minute, firing)
            if self.at > self.start:
                before = f"max_over_time({ours}[{self.at - 1 - self.start}m:])"
                yield _question(before if self.at - 1 > self.start else ours, self.at - 1)
        all_of_it = f'ALERTS{{alertstate="firing"}}[{self.minutes - self.start}m]'
        told = self.also | ({self.alert} if self.fires else set())
        yield _question(
            f"count by (alertname) (count_over_time({all_of_it}) > 0) * 0 + 1",
            self.minutes,
            *(f'{{alertname="{name}"}}' for name in sorted(told)),
        )

    def _texts(self, severity: str) -> Iterator[dict[str, Any]]:
        if self.annotations:
            yield {
                "alertname": self.alert,
                "eval_time": f"{self.at}m",
                "exp_alerts": [
                    {
                        "exp_labels": self._all_labels(severity),
                        "exp_annotations": self.annotations,
                    }
                ],
            }

    def _all_labels(self, severity: str) -> dict[str, str]:
        ours = {"namespace": "speech", "release": "speech", "severity": severity}
        return ours | dict(self.labels)


def _question(expression: str, minute: int, *found: str) -> dict[str, Any]:
    samples = [{"labels": labels, "value": 1} for labels in found]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


def _scraped(series: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not any(name.startswith(FRESH_LOAD) for name in series):
        yield f'{FRESH_LOAD}{{namespace="speech",release="speech"}}', "2x500"
    for name, values in series.items():
        if "release=" not in name:
            metric, _, labels = name.rstrip("}").partition("{")
            given = f",{labels}" if labels else ""
            name = f'{metric}{{namespace="speech",release="speech"{given}}}'
        yield name, values


def _read(path: Path) -> Iterator[Play]:
    # As they are written: YAML would take the values 0x60 for a number.
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    for alert, plays in document.items():
        for kind, by_name in plays.items():
            assert kind in ("fires", "silent"), kind
            for name, play in by_name.items():
                assert ("at" in play) == (kind == "fires"), name
                yield _play(path.stem, alert, name, play)


def _play(file: str, alert: str, name: str, written: Mapping[str, Any]) -> Play:
    fields = {"start" if key == "from" else key: value for key, value in written.items()}
    for key in {"at", "begins", "start", "minutes"} & set(fields):
        fields[key] = int(fields[key])
    if "rules" in fields:
        fields["rules"] = frozenset({fields["rules"]})
    if "at" in fields:
        fields.setdefault("minutes", fields["at"] + 5)
    fields |= {"also": frozenset(fields.get("also", ())), "stays": fields.get("stays") == "true"}
    return Play(file, alert, name, **fields)


PLAYS = tuple(play for path in sorted(FOLDER.glob("*.yaml")) for play in _read(path))


def labels_of(series: str) -> dict[str, str]:
    """The labels of a series of a play."""
    return dict(re.findall(r'(\w+)="([^"]*)"', series))
