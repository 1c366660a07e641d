"""What a node of a cloud has left for pods, by the formulas that the clouds publish.

Kernel and firmware keep a part of a machine's nominal memory, which no formula names. Karpenter
guesses 7.5 %; for all others it is taken from the node that GKE's page shows. CPUs are millicores,
memory and disk MiB.

Sources:
- EKS: `nodeadm/internal/kubelet/config.go` of awslabs/amazon-eks-ami, its list `eni-max-pods`.
- Karpenter: `vmMemoryOverheadPercent`, 0.075, by which it guesses what an instance will have.
- GKE: cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes
- AKS: learn.microsoft.com/azure/aks/node-resource-reservations, for 1.29 and later.
- OpenShift: docs.redhat.com, "Allocating resources for nodes": the defaults of systemReserved.
- k3s, kubeadm: kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources, the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

GIB = 1024.0
MEGABYTE = 1e6 / 2**20
EVICTION_MEMORY = 100.0  # memory.available, the same in all of them
EVICTION_DISK = 0.1  # nodefs.available, the kubelet's default
KARPENTER_SHARE = 0.075
# GKE's page shows a node of 4 CPUs, 16 GiB and a disk of 100 GiB: 13,498,416 KiB are allocatable,
# and its file system has 98,831,908 KiB.
KERNEL_SHARE = 0.027
GKE_FILE_SYSTEM = 98_831_908 / (100 * 2**20)


@dataclass(frozen=True, slots=True)
class Resources:
    """Millicores, and MiB of memory and of the node's disk."""

    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.disk + other.disk)

    def fits(self, into: Resources) -> bool:
        """Whether all three are there."""
        return self.cpu <= into.cpu and self.memory <= into.memory and self.disk <= into.disk

    def times(self, number: int) -> Resources:
        """Of so many."""
        return Resources(self.cpu * number, self.memory * number, self.disk * number)


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance type, with the disk that its node pool gives it."""

    name: str
    cpus: int
    memory_gib: float
    disk_gib: float
    max_pods: int


@dataclass(frozen=True, slots=True)
class Cloud:
    """How a cloud sets apart what pods cannot have, and what its DaemonSets request of the rest.

    The DaemonSets change from version to version: they are rounded up, with a hundred millicores
    for an exporter of metrics. `kubectl describe node` shows yours.
    """

    name: str
    allocatable: Callable[[Machine], Resources]
    daemons: Resources


def in_bands(amount: float, bands: tuple[tuple[float, float], ...]) -> float:
    """The sum of a share of each band; a band is its upper end and its share."""
    kept, below = 0.0, 0.0
    for end, share in bands:
        kept += share * max(0.0, min(amount, end) - below)
        below = end
    return kept


NO_END = float("inf")
# EKS and GKE: 6 % of the first core, 1 % of the next, 0.5 % of the next two, 0.25 % of all others.
CPU_BANDS = ((1000.0, 0.06), (2000.0, 0.01), (4000.0, 0.005), (NO_END, 0.0025))
GKE_MEMORY_BANDS = (
    (4 * GIB, 0.25), (8 * GIB, 0.20), (16 * GIB, 0.10), (128 * GIB, 0.06), (NO_END, 0.02),
)  # fmt: skip
AKS_CPU = {1: 60, 2: 100, 4: 140, 8: 180, 16: 260, 32: 420, 64: 740}  # Microsoft's table


def eks(machine: Machine) -> Resources:
    """Memory by the number of pods that the node may have; how much it has does not count."""
    millicores = machine.cpus * 1000.0
    memory = machine.memory_gib * GIB * (1 - KARPENTER_SHARE)
    return Resources(
        millicores - in_bands(millicores, CPU_BANDS),
        memory - (255 + 11 * machine.max_pods) - EVICTION_MEMORY,
        machine.disk_gib * GIB * (1 - EVICTION_DISK) - GIB,
    )


def gke(machine: Machine) -> Resources:
    """Memory in bands; of the disk 6 GiB and 35 %, half of it or 100 GiB, whichever is least."""
    millicores, memory = machine.cpus * 1000.0, machine.memory_gib * GIB
    disk = machine.disk_gib * GIB
    system = min(disk * 0.5, 6 * GIB + disk * 0.35, 100 * GIB)
    return Resources(
        millicores - in_bands(millicores, CPU_BANDS),
        memory * (1 - KERNEL_SHARE) - in_bands(memory, GKE_MEMORY_BANDS) - EVICTION_MEMORY,
        disk * GKE_FILE_SYSTEM * (1 - EVICTION_DISK) - system,
    )


def aks(machine: Machine) -> Resources:
    """20 MB for each pod that the node may have and 50 MB, at most a quarter of its memory."""
    memory = machine.memory_gib * GIB
    kept = min((20 * machine.max_pods + 50) * MEGABYTE, memory / 4)
    cores = min(cores for cores in AKS_CPU if cores >= min(machine.cpus, max(AKS_CPU)))
    return Resources(
        machine.cpus * 1000.0 - AKS_CPU[cores],
        memory * (1 - KERNEL_SHARE) - kept - EVICTION_MEMORY,
        machine.disk_gib * GIB * (1 - EVICTION_DISK),
    )


def openshift(machine: Machine) -> Resources:
    """500 millicores, 1 GiB of memory and 1 GiB of disk for the system."""
    return Resources(
        machine.cpus * 1000.0 - 500,
        machine.memory_gib * GIB * (1 - KERNEL_SHARE) - GIB - EVICTION_MEMORY,
        machine.disk_gib * GIB * (1 - EVICTION_DISK) - GIB,
    )


def plain(machine: Machine) -> Resources:
    """k3s and kubeadm reserve nothing; the kubelet evicts before memory or disk is full."""
    return Resources(
        machine.cpus * 1000.0,
        machine.memory_gib * GIB * (1 - KERNEL_SHARE) - EVICTION_MEMORY,
        machine.disk_gib * GIB * (1 - EVICTION_DISK),
    )


# aws-node 50m, kube-proxy 100m, ebs-csi-node 30m and 120Mi; an exporter.
EKS = Cloud("EKS", eks, Resources(280, 256))
# kube-proxy 100m, fluentbit-gke 100m and 200Mi, gke-metrics-agent, pdcsi-node, netd, GPU plugin.
GKE = Cloud("GKE", gke, Resources(400, 768))
# kube-proxy 100m, azure-cns, cloud-node-manager 50m, CSI drivers, ip-masq-agent 100m; an exporter.
AKS = Cloud("AKS", aks, Resources(450, 768))
# OVN, multus, DNS, monitoring, the machine configuration, the GPU operator.
OPENSHIFT = Cloud("OpenShift", openshift, Resources(700, 2560))
# A network plugin 100m and 50Mi, the GPU's plugin; an exporter.
PLAIN = Cloud("k3s", plain, Resources(250, 256))
