"""PromQL as the dashboards and alerts use it, checked against the metrics that there are.

Follows the labels through an expression: what is matched, grouped by or joined on must be a label
of the metric, and what is left at the end is what legends and annotations may name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import promql_parser as promql
from prometheus_client import Counter, Histogram

from gpu_worker.errors import ScriptoriumError
from orchestrator.cluster.job import Status
from tasks.runs.stages import Lane, Stage
from tasks.state.receipts import Outcome
from tasks.telemetry import metrics

TARGET = frozenset({"namespace", "release", "job", "instance", "pod"})  # Prometheus adds them
OF_COUNTERS = {"rate", "increase", "irate"}
OF_GAUGES = {"deriv", "delta", "avg_over_time", "min_over_time"}
ABSENCE = {"absent", "absent_over_time"}
SETS = {"and", "or", "unless"}
COMPARISONS = {">", "<", ">=", "<=", "==", "!="}
WORDS = re.compile(r"[\w|]+")


@dataclass(frozen=True)
class Series:
    """What Prometheus sees of one metric under one name."""

    labels: frozenset[str]
    is_counter: bool


def exposed() -> dict[str, Series]:
    """Every series that tasks/telemetry/metrics.py names."""
    found = {}
    for one in vars(metrics).values():
        if isinstance(one, metrics.Reading):
            name = one.name + ("_total" if one.is_counter else "")
            found[name] = Series(frozenset(one.labels), one.is_counter)
        elif isinstance(one, Counter):
            found[one._name + "_total"] = Series(frozenset(one._labelnames), True)
        elif isinstance(one, Histogram):
            labels = frozenset(one._labelnames)
            found[one._name + "_bucket"] = Series(labels | {"le"}, True)
            found |= {one._name + it: Series(labels, True) for it in ("_sum", "_count")}
    return found


SERIES = exposed()


def _codes(error: type[ScriptoriumError] = ScriptoriumError) -> Iterator[str]:
    yield error.code
    for one in error.__subclasses__():
        yield from _codes(one)


def values_of_labels(metric: str) -> Mapping[str, frozenset[str]]:
    """The values that a label of the metric can have, where they are few."""
    known = {
        "stage": frozenset(Stage),
        "lane": frozenset(Lane),
        "outcome": frozenset(get_args(Outcome)),
        "code": frozenset(_codes()),
        "result": frozenset({"hit", "miss"}),
    }
    if metric == "scriptorium_jobs_ended_total":
        known["status"] = frozenset(Status)
    if metric == "scriptorium_audit_entries_total":
        known["outcome"] = frozenset({"written", "delayed", "lost"})
    if metric == "scriptorium_delivery_tries_total":
        known["outcome"] = frozenset({"answered", "failed"})
    if metric == "scriptorium_workers":
        known["state"] = frozenset({"idle", "busy", "stopping"})
        known["device"] = frozenset({"", "cpu", "cuda"})
    if metric.startswith("scriptorium_deliver"):
        known["kind"] = frozenset({"webhook", "output"})
    if metric == "scriptorium_gpu_memory_bytes":
        known["kind"] = frozenset({"used", "total"})
    return known


@dataclass
class Expression:
    """One query: the metrics it names, the labels of its result, and what is wrong with it."""

    text: str
    problems: list[str] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    labels: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        text = re.sub(r"\$__(rate_interval|range|interval)", "5m", self.text)
        try:
            self.labels = self._follow(promql.parse(text))
        except ValueError as error:
            self.problems.append(str(error))

    def _follow(self, node: Any) -> frozenset[str]:
        """The labels of what the node gives."""
        match node:
            case promql.VectorSelector():
                return self._select(node)
            case promql.MatrixSelector():
                return self._follow(node.vector_selector)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self._follow(node.expr)
            case promql.AggregateExpr():
                return self._aggregate(node)
            case promql.BinaryExpr():
                return self._combine(node)
            case promql.Call():
                return self._call(node)
            case promql.NumberLiteral() | promql.StringLiteral():
                return frozenset()
        raise AssertionError(f"{type(node).__name__} is not known here")

    def _select(self, node: promql.VectorSelector) -> frozenset[str]:
        name = node.name or ""
        series = SERIES.get(name)
        if series is None:
            self.problems.append(f"there is no metric {name}")
            return frozenset()
        self.metrics.add(name)
        values = values_of_labels(name)
        for it in node.matchers.matchers:
            self._need({it.name}, series.labels | TARGET, f"{name} is matched")
            if it.name in values and it.value and WORDS.fullmatch(it.value):
                wrong = set(it.value.split("|")) - values[it.name]
                self.problems += [f"{it.name} of {name} is never {one}" for one in wrong]
        return series.labels | TARGET

    def _aggregate(self, node: promql.AggregateExpr) -> frozenset[str]:
        inner = self._follow(node.expr)
        if node.modifier is None:
            return frozenset()
        named = frozenset(node.modifier.labels)
        self._need(named, inner, "the aggregation is")
        return named if node.modifier.type == promql.AggModifierType.By else inner - named

    def _combine(self, node: promql.BinaryExpr) -> frozenset[str]:
        left, right = self._follow(node.lhs), self._follow(node.rhs)
        operator = str(node.op)
        for side, other, labels in (node.lhs, node.rhs, right), (node.rhs, node.lhs, left):
            if isinstance(side, promql.NumberLiteral):
                assert not isinstance(other, promql.NumberLiteral)
                return labels
        modifier = node.modifier
        matching = modifier.matching if modifier else None
        if operator == "or":
            return left | right
        if matching is None:
            if left != right:
                self.problems.append(f"{operator} joins {sorted(left)} with {sorted(right)}")
        else:
            assert matching.type == promql.LabelModifierType.Include, "only `on` is used here"
            self._need(matching.labels, left & right, f"{operator} is")
        if operator in SETS | COMPARISONS:
            return left
        if modifier is None or matching is None:
            return left
        is_many_to_one = modifier.card == promql.VectorMatchCardinality.ManyToOne
        return left if is_many_to_one else frozenset(matching.labels)

    def _call(self, node: promql.Call) -> frozenset[str]:
        name, inner = node.func.name, frozenset[str]()
        before = set(self.metrics)
        self.metrics = set()
        for argument in node.args:
            inner |= self._follow(argument)
        for metric in self.metrics:
            counts = SERIES[metric].is_counter
            if (name in OF_COUNTERS and not counts) or (name in OF_GAUGES and counts):
                self.problems.append(f"{name} does not suit {metric}")
            if name == "histogram_quantile" and not metric.endswith("_bucket"):
                self.problems.append(f"{metric} has no buckets")
        self.metrics |= before
        if name == "histogram_quantile":
            self._need({"le"}, inner, "the quantile is")
            return inner - {"le"}
        return frozenset() if name in ABSENCE else inner

    def _need(self, wanted: Any, there: frozenset[str], what: str) -> None:
        missing = sorted(set(wanted) - there)
        if missing:
            self.problems.append(f"{what} by {', '.join(missing)}, which is not a label there")
