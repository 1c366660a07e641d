"""The check of the dashboards' and alerts' queries finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.deployment.expressions import SERIES, Expression


def test_every_kind_of_metric_has_the_names_that_prometheus_sees() -> None:
    assert SERIES["scriptorium_units_total"].labels == {"stage", "outcome"}
    assert SERIES["scriptorium_unit_seconds_bucket"].labels == {"stage", "model", "le"}
    assert SERIES["scriptorium_queue_depth"].labels == {"stage", "lane"}
    assert SERIES["scriptorium_gpu_energy_joules_total"].is_counter
    assert not SERIES["scriptorium_open_jobs"].is_counter


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("max(scriptorium_open_jobs)", set()),
        ("sum by (stage) (rate(scriptorium_units_total[$__rate_interval]))", {"stage"}),
        (
            "histogram_quantile(0.5, sum by (stage, le) "
            "(rate(scriptorium_unit_seconds_bucket[5m])))",
            {"stage"},
        ),
        (
            "sum by (stage, code) (rate(scriptorium_errors_total[5m])) / on (stage) group_left "
            "sum by (stage) (rate(scriptorium_units_total[5m])) > 0.1",
            {"stage", "code"},
        ),
    ],
)
def test_a_sound_query_has_the_labels_that_it_leaves(query: str, labels: set[str]) -> None:
    expression = Expression(query)
    assert not expression.problems
    assert expression.labels == labels


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sum(", "unclosed left parenthesis"),
        ("scriptorium_open_job", "no metric scriptorium_open_job"),
        ("scriptorium_units", "no metric scriptorium_units"),
        ("up", "no metric up"),
        ('scriptorium_queue_depth{pool="gpu"}', "matched by pool"),
        ('scriptorium_queue_depth{lane="bulky"}', "never bulky"),
        ('scriptorium_errors_total{code=~"gpu_out_of_memory|oom"}', "never oom"),
        ("sum by (model) (scriptorium_queue_depth)", "by model"),
        ("max by (stage) (sum by (lane) (scriptorium_queue_depth))", "by stage"),
        ("rate(scriptorium_queue_depth[5m])", "rate does not suit"),
        ("deriv(scriptorium_units_total[5m])", "deriv does not suit"),
        ("histogram_quantile(0.5, rate(scriptorium_unit_seconds_sum[5m]))", "no buckets"),
        ("histogram_quantile(0.5, sum(rate(scriptorium_unit_seconds_bucket[5m])))", "by le"),
        ("scriptorium_open_jobs / on (pool) scriptorium_desired_workers", "by pool"),
        ("scriptorium_open_jobs / scriptorium_desired_workers", "joins"),
    ],
)
def test_an_unsound_query_is_found(query: str, problem: str) -> None:
    assert any(problem in one for one in Expression(query).problems), Expression(query).problems
