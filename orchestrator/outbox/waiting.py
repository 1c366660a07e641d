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
class Line:
    """The runs of one tenant that wait for one receiver."""

    tenant: str
    receiver: str  # host and port of a webhook, or the bucket of outputs


def share(free: int, part: int) -> int:
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
        self._lines: dict[Run, Line | None] = {}  # of all runs; None: not known yet
        self._busy: dict[Run, Line | None] = {}
        self._quick: LRUCache[Line, bool] = LRUCache(REMEMBERED)

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._lines))

    def drop_idle(self) -> list[Run]:
        """Forget the runs that no thread has, and return them."""
        idle = [run for run in self._lines if run not in self._busy]
        for run in idle:
            self._forget(run)
        for tenant in self._tenants.values():
            tenant.new.clear()
            tenant.lines.clear()
        return idle

    def admit(self, run: Run) -> bool:
        """Let a due run wait; return False if its tenant has enough runs here."""
        if run in self._lines:
            return True
        tenant = self._tenants.setdefault(run.tenant, _Tenant())
        if tenant.size >= share(self._most - len(self), 4):
            return False
        tenant.size += 1
        tenant.new.append(run)
        self._lines[run] = None
        return True

    def next(self) -> tuple[Run, Line | None] | None:
        """Give a thread its run, with its line if that is known; None if none may begin now."""
        free = self._threads - len(self._busy)
        if free <= 0:
            return None
        threads = Counter(run.tenant for run in self._busy)
        lines = Counter(line for line in self._busy.values() if line is not None)
        slow = Counter(line.tenant for line in self._busy.values() if line and self._is_slow(line))
        for name in sorted(self._tenants, key=lambda name: threads[name]):
            tenant = self._tenants[name]
            if threads[name] >= share(free, 4):
                continue
            if tenant.new:
                run, line = tenant.new.popleft(), None
            else:
                may_be_slow = self._has_room_for_slow(free, slow[name])
                line = self._free_line(tenant, lines, may_be_slow)
                if line is None:
                    continue
                run = tenant.take(line)
            self._busy[run] = line
            self._tenants.move_to_end(name)
            return run, line
        return None

    def enter(self, run: Run, line: Line) -> bool:
        """Take a busy run to its receiver; False: it waits there, and its thread is free.

        Runs that were there before go first.
        """
        self._lines[run] = line
        tenant = self._tenants[run.tenant]
        free = self._threads - len(self._busy) + 1  # its own thread too
        others = [it for it in self._busy.values() if it is not None]
        slow = sum(it.tenant == run.tenant and self._is_slow(it) for it in others)
        has_room = not self._is_slow(line) or self._has_room_for_slow(free, slow)
        if line not in tenant.lines and others.count(line) < self._limit(line) and has_room:
            self._busy[run] = line
            return True
        del self._busy[run]
        tenant.lines.setdefault(line, deque()).append(run)
        return False

    def judge(self, line: Line, *, is_quick: bool) -> None:
        """Take note whether a receiver has answered quickly just now."""
        if is_quick:
            self._quick[line] = True
        else:
            self._quick.pop(line, None)

    def again(self, run: Run) -> None:
        """Let a busy run wait again, before the others, for what it may owe another receiver."""
        del self._busy[run]
        self._lines[run] = None
        self._tenants[run.tenant].new.appendleft(run)

    def leave(self, run: Run) -> None:
        """Forget a busy run that was delivered or put off."""
        del self._busy[run]
        self._forget(run)

    def _forget(self, run: Run) -> None:
        del self._lines[run]
        tenant = self._tenants[run.tenant]
        tenant.size -= 1
        if tenant.size == 0:
            del self._tenants[run.tenant]

    def _is_slow(self, line: Line) -> bool:
        return line not in self._quick

    def _limit(self, line: Line) -> int:
        return 1 if self._is_slow(line) else QUICK_THREADS

    def _has_room_for_slow(self, free: int, of_tenant: int) -> bool:
        return free > self._kept_free and of_tenant < share(free, 8)

    def _free_line(self, tenant: _Tenant, busy: Counter[Line], may_be_slow: bool) -> Line | None:
        """Return the line of a tenant that has waited the longest and may have a thread."""
        for line in tenant.lines:
            if (may_be_slow or not self._is_slow(line)) and busy[line] < self._limit(line):
                return line
        return None


class _Tenant:
    """What waits of one tenant."""

    def __init__(self) -> None:
        self.size = 0  # with those that are busy
        self.new: deque[Run] = deque()  # their receivers are not known yet
        self.lines: OrderedDict[Line, deque[Run]] = OrderedDict()  # the next one first; none empty

    def take(self, line: Line) -> Run:
        """Take the first run of a line, which then goes behind the other lines."""
        runs = self.lines[line]
        run = runs.popleft()
        if runs:
            self.lines.move_to_end(line)
        else:
            del self.lines[line]
        return run
