"""Runs that are due and wait for a thread of the courier, and which of them goes next.

They wait by tenant, and by receiver once that is known: a receiver that says nothing keeps its own
runs waiting and no others. A receiver is trusted with more threads, and with those that are kept
free for such, once it has answered quickly. It knows no Redis, store or clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from cachetools import LRUCache

from tasks.runs.units import Run

THREADS = 32
KEPT_FREE = 4  # threads for receivers that answer quickly, and for finding out who receives
QUICK_THREADS = 4  # at one receiver that answers quickly; 1 at any other one
MOST = 10_000  # runs in memory
REMEMBERED = 10_000  # receivers that answer quickly


@dataclass(frozen=True, slots=True)
class Destination:
    """The runs of one tenant that wait for one receiver."""

    tenant: str
    receiver: str  # host and port of a webhook, or the bucket of outputs


def part_of_free(free: int, part: int) -> int:
    """Return how much one tenant may have while so much is free: a part of it, at least 1. Pure.

    The more tenants there are, the less has each, and some is free for the next one: the dynamic
    threshold of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6, 1998).
    """
    return max(1, -(-free // part))


class Waiting:
    """The runs that a courier has taken. Its caller lets one thread in at a time."""

    def __init__(self, threads: int = THREADS, most: int = MOST) -> None:
        self._threads = threads
        self._kept_free = min(KEPT_FREE, threads - 1)
        self._most = most
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()  # the next one first
        self._destinations: dict[Run, Destination | None] = {}  # of all runs; None: not known yet
        self._busy: dict[Run, Destination | None] = {}
        self._quick: LRUCache[Destination, bool] = LRUCache(REMEMBERED)

    def __len__(self) -> int:
        return len(self._destinations)

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._destinations))

    def drop_idle(self) -> list[Run]:
        """Forget the runs that no thread has, and return them."""
        idle = [run for run in self._destinations if run not in self._busy]
        for run in idle:
            self._forget(run)
        for tenant in self._tenants.values():
            tenant.new.clear()
            tenant.destinations.clear()
        return idle

    def admit(self, run: Run) -> bool:
        """Let a due run wait; return False if its tenant has enough runs here."""
        if run in self._destinations:
            return True
        tenant = self._tenants.setdefault(run.tenant, _Tenant())
        if tenant.size >= part_of_free(self._most - len(self), 4):
            return False
        tenant.size += 1
        tenant.new.append(run)
        self._destinations[run] = None
        return True

    def next(self) -> tuple[Run, Destination | None] | None:
        """Give a thread its run, with its destination if known; None if none may begin now."""
        free = self._threads - len(self._busy)
        if free <= 0:
            return None
        threads = Counter(run.tenant for run in self._busy)
        destinations = Counter(
            destination for destination in self._busy.values() if destination is not None
        )
        slow = Counter(
            destination.tenant
            for destination in self._busy.values()
            if destination and self._is_slow(destination)
        )
        for name in sorted(self._tenants, key=lambda name: threads[name]):
            tenant = self._tenants[name]
            if threads[name] >= part_of_free(free, 4):
                continue
            if tenant.new:
                run, destination = tenant.new.popleft(), None
            else:
                may_be_slow = self._has_room_for_slow(free, slow[name])
                destination = self._free_destination(tenant, destinations, may_be_slow)
                if destination is None:
                    continue
                run = tenant.take(destination)
            self._busy[run] = destination
            self._tenants.move_to_end(name)
            return run, destination
        return None

    def enter(self, run: Run, destination: Destination) -> bool:
        """Take a busy run to its receiver; False: it waits there, and its thread is free.

        Runs that were there before go first.
        """
        self._destinations[run] = destination
        tenant = self._tenants[run.tenant]
        free = self._threads - len(self._busy) + 1  # its own thread too
        others = [it for it in self._busy.values() if it is not None]
        slow = sum(it.tenant == run.tenant and self._is_slow(it) for it in others)
        has_room = not self._is_slow(destination) or self._has_room_for_slow(free, slow)
        if (
            destination not in tenant.destinations
            and others.count(destination) < self._limit(destination)
            and has_room
        ):
            self._busy[run] = destination
            return True
        del self._busy[run]
        tenant.destinations.setdefault(destination, deque()).append(run)
        return False

    def judge(self, destination: Destination, *, is_quick: bool) -> None:
        """Take note whether a receiver has answered quickly just now."""
        if is_quick:
            self._quick[destination] = True
        else:
            self._quick.pop(destination, None)

    def again(self, run: Run) -> None:
        """Let a busy run wait again, before the others, for what it may owe another receiver."""
        del self._busy[run]
        self._destinations[run] = None
        self._tenants[run.tenant].new.appendleft(run)

    def leave(self, run: Run) -> None:
        """Forget a busy run that was delivered or put off."""
        del self._busy[run]
        self._forget(run)

    def _forget(self, run: Run) -> None:
        del self._destinations[run]
        tenant = self._tenants[run.tenant]
        tenant.size -= 1
        if tenant.size == 0:
            del self._tenants[run.tenant]

    def _is_slow(self, destination: Destination) -> bool:
        return destination not in self._quick

    def _limit(self, destination: Destination) -> int:
        return 1 if self._is_slow(destination) else QUICK_THREADS

    def _has_room_for_slow(self, free: int, of_tenant: int) -> bool:
        return free > self._kept_free and of_tenant < part_of_free(free, 8)

    def _free_destination(
        self, tenant: _Tenant, busy: Counter[Destination], may_be_slow: bool
    ) -> Destination | None:
        """Return the destination of a tenant that has waited the longest and may have a thread."""
        for destination in tenant.destinations:
            if (may_be_slow or not self._is_slow(destination)) and busy[destination] < self._limit(
                destination
            ):
                return destination
        return None


class _Tenant:
    """What waits of one tenant."""

    def __init__(self) -> None:
        self.size = 0  # with those that are busy
        self.new: deque[Run] = deque()  # their receivers are not known yet
        self.destinations: OrderedDict[Destination, deque[Run]] = (
            OrderedDict()
        )  # next first; none empty

    def take(self, destination: Destination) -> Run:
        """Take the first run of a destination, which then goes behind the other destinations."""
        runs = self.destinations[destination]
        run = runs.popleft()
        if runs:
            self.destinations.move_to_end(destination)
        else:
            del self.destinations[destination]
        return run
