"""The Grafana dashboards: every query names what exists, every panel can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from tests import ROOT
from tests.deployment.expressions import SERIES, TARGET, Expression

FOLDER = ROOT / "helm" / "scriptorium" / "dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
SCHEMA_VERSION = 42  # of Grafana 12 and 13; later ones migrate it themselves
COLUMNS = 24
WIDEST_UID = 40  # Grafana's limit
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
FILTER = 'namespace=~"$namespace", release=~"$release", job=~"$job"'


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def _queries() -> Iterator[Any]:
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                where = f"{name}/{panel['title']}/{target['refId']}"
                yield pytest.param(target["expr"], target["legendFormat"], id=where)


QUERIES = list(_queries())


def each_board(test: Any) -> Any:
    return pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)(test)


def test_there_are_an_overview_and_a_dashboard_of_the_gpus() -> None:
    assert set(BOARDS) == {"scriptorium", "scriptorium-gpu"}


@pytest.mark.parametrize(("query", "legend"), QUERIES)
def test_a_query_names_metrics_and_labels_that_exist(query: str, legend: str) -> None:
    expression = Expression(query)
    assert not expression.problems
    assert expression.metrics
    assert set(re.findall(r"{{(\w+)}}", legend)) <= expression.labels


@pytest.mark.parametrize(("query", "legend"), QUERIES)
def test_a_query_keeps_to_the_chosen_namespaces_and_jobs(query: str, legend: str) -> None:
    names = re.findall(r"scriptorium_\w+", query)
    assert len(re.findall(rf"scriptorium_\w+{{{re.escape(FILTER)}", query)) == len(names)
    assert set(re.findall(r"\$(\w+)", query)) <= {"namespace", "release", "job", "__rate_interval"}


def test_every_metric_is_on_a_dashboard() -> None:
    shown: set[str] = set()
    for board in BOARDS.values():
        for panel in panels(board):
            for target in panel["targets"]:
                shown |= Expression(target["expr"]).metrics
    # Of a histogram the buckets are enough.
    assert {name for name in SERIES if not name.endswith(("_sum", "_count"))} == shown


@each_board
def test_panels_do_not_overlap_and_fit_the_width(board: dict[str, Any]) -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, f"{panel['title']} covers {cells[x, y]}"
                cells[x, y] = panel["title"]


@each_board
def test_a_panel_says_what_it_shows_and_in_which_unit(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert panel["type"] == "stat" or all(legends), panel["title"]
        assert len(set(legends)) == len(legends), panel["title"]


@each_board
def test_a_dashboard_is_of_no_particular_installation(board: dict[str, Any]) -> None:
    assert board["id"] is None
    assert board["schemaVersion"] == SCHEMA_VERSION
    assert re.fullmatch(r"scriptorium-[a-z]+", board["uid"]) and len(board["uid"]) <= WIDEST_UID
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert list(variables) == ["datasource", "namespace", "release", "job"]
    sources = [variables[name]["datasource"] for name in ("namespace", "release", "job")]
    for panel in panels(board):
        sources += [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == DATA_SOURCE for source in sources)


@each_board
def test_a_variable_takes_its_values_from_our_metrics(board: dict[str, Any]) -> None:
    for one in board["templating"]["list"][1:]:
        asked = re.fullmatch(
            r'label_values\({__name__=~"scriptorium_\.\+"(, namespace=~"\$namespace")?}, (\w+)\)',
            one["query"]["query"],
        )
        assert asked and asked[2] == one["name"] and asked[2] in TARGET
        assert one["allValue"] == ".*"  # also what has no such label: Prometheus by itself


def test_nothing_is_there_twice() -> None:
    boards = list(BOARDS.values())
    for first, second in combinations(boards, 2):
        assert first["uid"] != second["uid"] and first["title"] != second["title"]
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        titles = [panel["title"] for panel in panels(board)]
        assert len(set(ids)) == len(ids)
        assert len(set(titles)) == len(titles)
