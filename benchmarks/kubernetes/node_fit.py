"""Whether the pods of each example of values fit the nodes that it is for.

    python -m benchmarks.kubernetes.node_fit            # print the table
    python -m benchmarks.kubernetes.node_fit --write    # and put it into the page that shows it

The requests of the rendered pods are added up and set against what a node of that type has left for
pods; DaemonSets count too. GPU workers are alone on their node, as many as it has GPUs or slices;
all other pods share as few nodes as they can (first fit, the largest first). Each counts as many
times as it runs at least: `replicas`, or with an autoscaler its minimum, and a worker once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

from benchmarks.kubernetes.examples import NODES, Nodes
from benchmarks.kubernetes.nodes import GIB, Cloud, Machine, Resources

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "helm" / "scriptorium"
PAGE = ROOT / "docs" / "deploy.md"
BEGIN = "<!-- nodes: made by benchmarks/kubernetes/node_fit.py -->"
END = "<!-- end of nodes -->"
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of node of one example."""

    example: str
    cloud: Cloud
    machine: Machine
    number: int  # of such nodes
    pods: str
    requested: Resources
    allocatable: Resources
    fits: bool


def quantity(text: object) -> float:
    """A quantity of Kubernetes; millicores are thousandths."""
    found = re.fullmatch(r"([0-9.]+)(m|[kMGT]i?|)", str(text))
    if found is None:
        raise ValueError(f"{text!r} is no quantity.")
    return float(found[1]) * (1e-3 if found[2] == "m" else UNITS[found[2]])


def pod_requests(spec: dict[str, Any]) -> Resources:
    """The sum of a pod's containers; or its greatest init container, if that asks for more."""
    total = Resources()
    for container in spec["containers"]:
        total += _requests(container)
    for first in spec.get("initContainers", []):
        asked = _requests(first)
        total = Resources(
            max(total.cpu, asked.cpu),
            max(total.memory, asked.memory),
            max(total.disk, asked.disk),
        )
    return total


def _requests(container: dict[str, Any]) -> Resources:
    asked = container.get("resources", {}).get("requests", {})
    return Resources(
        quantity(asked.get("cpu", 0)) * 1000,
        quantity(asked.get("memory", 0)) / MIB,
        quantity(asked.get("ephemeral-storage", 0)) / MIB,
    )


def rendered_pods(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Name, pod and number of everything that the chart keeps running."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values, name="speech", namespace="speech")
    found = [
        one
        for path, text in texts.items()
        if path.endswith(".yaml")
        for one in yaml.load_all(text, yaml.CSafeLoader)
        if one
    ]
    least = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"].get(
            "minReplicaCount", one["spec"].get("minReplicas", 1)
        )
        for one in found
        if "scaleTargetRef" in one.get("spec", {})
    }
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            name = one["metadata"]["name"]
            number = one["spec"].get("replicas", least.get(name, 1))
            yield name.removeprefix("speech-scriptorium-"), one["spec"]["template"]["spec"], number


def rows(example: str, nodes: Nodes) -> Iterator[Row]:
    """The nodes of an example: one row for each GPU pool, and one for all other pods."""
    values = yaml.safe_load((CHART / "ci" / f"{example}.yaml").read_text(encoding="utf-8"))
    others: list[Resources] = []
    for name, spec, number in rendered_pods(values):
        pool = name.rpartition("worker-")[2]
        if pool in nodes.gpus and "worker-" in name:
            cloud, machine, a_node = nodes.gpus[pool]
            asked = pod_requests(spec).times(a_node) + cloud.daemons
            room = cloud.allocatable(machine)
            pods = f"{a_node} × {pool}" if a_node > 1 else pool
            yield Row(example, cloud, machine, 1, pods, asked, room, asked.fits(room))
        else:
            least = max(number, 1) if "worker-" in name else number
            others += [pod_requests(spec)] * least
    room = nodes.cloud.allocatable(nodes.others)
    filled = packed(others, room, nodes.cloud.daemons)
    total = Resources()
    for one in filled:
        total += one
    number = len(filled)
    fits = all(one.fits(room) for one in filled) and number <= nodes.most
    pods = f"{'all' if not nodes.gpus else 'the other'} {len(others)} pods"
    yield Row(example, nodes.cloud, nodes.others, number, pods, total, room.times(number), fits)


def packed(pods: list[Resources], room: Resources, daemons: Resources) -> list[Resources]:
    """Nodes with their pods' sums: each pod goes to the first node with room, the largest first."""
    filled: list[Resources] = []
    for pod in sorted(pods, key=lambda one: (one.cpu, one.memory), reverse=True):
        for index, node in enumerate(filled):
            if (node + pod).fits(room):
                filled[index] = node + pod
                break
        else:
            filled.append(daemons + pod)
    return filled


def all_rows() -> list[Row]:
    """Every node of every example."""
    return [row for example, nodes in NODES.items() for row in rows(example, nodes)]


def table(found: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| values | nodes | pods | CPUs, of | memory in GiB, of | disk in GiB, of | fits |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        asked, room = row.requested, row.allocatable
        lines.append(
            f"| `{row.example}` | {row.number} × {row.machine.name} ({row.cloud.name}) "
            f"| {row.pods} "
            f"| {asked.cpu / 1000:.2f} of {room.cpu / 1000:.2f} "
            f"| {asked.memory / GIB:.1f} of {room.memory / GIB:.1f} "
            f"| {asked.disk / GIB:.0f} of {room.disk / GIB:.0f} | {'yes' if row.fits else 'NO'} |"
        )
    return "\n".join(lines) + "\n"


def page_with(page: str, text: str) -> str:
    """The page with a new table in the place of the old one."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{text}\n{END}{tail}"


def main() -> None:
    """Print the table; with `--write`, put it into the page too."""
    found = all_rows()
    print(table(found))
    if "--write" in sys.argv[1:]:
        old = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(page_with(old, table(found)), encoding="utf-8")
    raise SystemExit(0 if all(row.fits for row in found) else 1)


if __name__ == "__main__":
    main()
