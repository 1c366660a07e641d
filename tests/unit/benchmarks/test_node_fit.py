"""Each example of values fits its nodes, and the formulas give what the clouds' pages show."""

from __future__ import annotations

import pytest

from benchmarks.kubernetes.examples import NODES
from benchmarks.kubernetes.node_fit import (
    CHART,
    PAGE,
    Row,
    all_rows,
    page_with,
    pod_requests,
    quantity,
    table,
)
from benchmarks.kubernetes.nodes import GIB, MEGABYTE, Machine, Resources, aks, eks, gke


@pytest.fixture(scope="module")
def found() -> list[Row]:
    return all_rows()


def test_there_are_ten_examples_for_ten_kinds_of_cluster() -> None:
    assert len(NODES) == 10
    assert {path.stem for path in (CHART / "ci").glob("*.yaml")} >= set(NODES)


def test_the_pods_of_each_example_fit_its_nodes(found: list[Row]) -> None:
    print(table(found))
    assert {row.example for row in found} == set(NODES)
    assert [row for row in found if not row.fits] == []
    assert all(row.requested.cpu > 1000 and row.requested.memory > GIB for row in found)


def test_a_pod_that_asks_for_all_of_a_machine_does_not_fit() -> None:
    room = eks(Machine("g5.xlarge", 4, 16, 200, 58))
    assert not Resources(4000, 1).fits(room)
    assert not Resources(1, 16 * GIB).fits(room)
    assert not Resources(1, 1, 200 * GIB).fits(room)
    assert Resources(3000, 12 * GIB, 100 * GIB).fits(room)


def test_the_page_shows_the_table_as_it_is(found: list[Row]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with(text, table(found)), (
        "run: python -m benchmarks.kubernetes.node_fit --write"
    )
    assert table(found) in text


def test_gkes_formula_gives_the_node_of_its_page() -> None:
    node = gke(Machine("16 GiB", 4, 16, 100, 110))
    assert node.cpu == pytest.approx(3920)
    assert node.memory == pytest.approx(13_498_416 / 1024, rel=0.002)
    assert node.disk == pytest.approx(47_060_071_478 / 2**20, rel=1e-6)


def test_eks_formula_reserves_what_its_nodes_do() -> None:
    """An m5.large: 70 millicores, 574 MiB."""
    large = Machine("m5.large", 2, 8, 20, 29)
    node = eks(large)
    assert node.cpu == pytest.approx(2000 - 70)
    assert node.memory == pytest.approx(8 * GIB * 0.925 - 574 - 100)


def test_aks_formula_gives_the_examples_of_its_page() -> None:
    def reserved(memory_gib: float, max_pods: int) -> float:
        machine = Machine("x", 4, memory_gib, 128, max_pods)
        most = Machine("x", 4, memory_gib, 128, -2)  # 20 MB for each, and 50: nearly nothing
        return aks(most).memory - aks(machine).memory

    assert reserved(8, 30) == pytest.approx(640 * MEGABYTE)  # 650 MB of it, less the 10 above
    assert reserved(4, 70) == pytest.approx(GIB - 10 * MEGABYTE)  # a quarter of 4 GiB is less
    assert aks(Machine("x", 4, 28, 128, 30)).cpu == 4000 - 140


def test_an_init_container_counts_where_it_asks_for_more_than_all_others() -> None:
    def asking(cpu: str) -> dict[str, object]:
        return {"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}

    pod = {"containers": [asking("500m"), asking("1")], "initContainers": [asking("2")]}
    assert pod_requests(pod) == Resources(2000, 2048)


def test_quantities_are_read_as_kubernetes_reads_them() -> None:
    assert [quantity(text) for text in ("100m", 2, "1.5Gi", "1M")] == [0.1, 2, 1.5 * 2**30, 1e6]
    with pytest.raises(ValueError, match="no quantity"):
        quantity("1 GB")
