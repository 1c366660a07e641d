"""The nodes that each example of the chart's values is for.

CPUs and memory are those of the instance types' pages; the disk is what the node pool gives, and
must be asked for: EKS gives 20 GiB, GKE 100, AKS 128.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.kubernetes.nodes import AKS, EKS, GKE, OPENSHIFT, PLAIN, Cloud, Machine

G5 = Machine("g5.xlarge", 4, 16, 200, 58)
G6 = Machine("g6.xlarge", 4, 16, 200, 58)
G6_PREFIXES = Machine("g6.xlarge", 4, 16, 200, 110)  # IPv6 gives a node prefixes, and 110 pods
P5 = Machine("p5.48xlarge", 192, 2048, 500, 100)
M6I = Machine("m6i.xlarge", 4, 16, 100, 58)
M6I_LARGE = Machine("m6i.4xlarge", 16, 64, 200, 234)
G2 = Machine("g2-standard-4", 4, 16, 200, 110)
E2 = Machine("e2-standard-4", 4, 16, 100, 110)
NC4AS = Machine("Standard_NC4as_T4_v3", 4, 28, 128, 250)  # with Azure CNI Overlay
NC24ADS = Machine("Standard_NC24ads_A100_v4", 24, 220, 256, 250)
D4S = Machine("Standard_D4s_v5", 4, 16, 128, 250)
SERVER = Machine("16 cores, 64 GiB", 16, 64, 500, 110)
BOX = Machine("8 cores, 32 GiB", 8, 32, 500, 110)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where an example's pods are to run."""

    cloud: Cloud
    others: Machine  # pods without a GPU; one machine for all pods, if no GPU pool is named
    # Of a pool with GPUs: its nodes, and how many of its workers share one.
    gpus: dict[str, tuple[Cloud, Machine, int]] = field(default_factory=dict)
    most: int = 9  # of the others


def each(cloud: Cloud, machine: Machine, number: int = 1) -> dict[str, tuple[Cloud, Machine, int]]:
    """The usual: one pool of GPU workers."""
    return {"gpu": (cloud, machine, number)}


NODES = {
    "minimal": Nodes(EKS, M6I, each(EKS, G5)),
    "eks-spot": Nodes(EKS, M6I, each(EKS, G5)),
    "gke": Nodes(GKE, E2, each(GKE, G2)),
    "aks": Nodes(AKS, D4S, each(AKS, NC4AS)),
    "openshift": Nodes(OPENSHIFT, M6I_LARGE),
    "ipv6": Nodes(EKS, M6I, each(EKS, G6_PREFIXES)),
    "air-gapped": Nodes(PLAIN, SERVER, each(PLAIN, SERVER)),
    "single-node": Nodes(PLAIN, BOX, most=1),
    "mig": Nodes(
        EKS,
        M6I_LARGE,
        {"h100": (EKS, P5, 8), "a10": (EKS, G5, 1), "mig-small": (AKS, NC24ADS, 7)},
    ),
    "dra": Nodes(EKS, M6I, each(EKS, G6)),
}
