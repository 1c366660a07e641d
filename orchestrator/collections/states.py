"""The states of a collection's jobs, counted in Redis: a request for each thousand jobs.

Redis keeps which job each line has and what became of lines without one. Both are rebuilt from
the store after a wipe, and expire when a collection was not looked at for a week.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from orchestrator.cluster.job import Status
from orchestrator.cluster.job_lists import JOB
from orchestrator.collections.records import Outcome
from tasks.runs.units import Run
from tasks.state.receipts import RECEIPTS

PAGE = 1000  # jobs in one request
KEPT_SECONDS = 7 * 24 * 3600
# A letter for each job: queued, running, completed, partial, failed, canceled (x), not in Redis, as
# those that ended over a day ago.
_STATES = """
local rows = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local letters = {}
for i = 1, #rows, 2 do
  local letter = '?'
  local name = ARGV[4] .. '/' .. rows[i]
  local run = redis.call('HGET', ARGV[3] .. name, 'run')
  if run then
    local written = redis.call('HGET', ARGV[3] .. name, 'summary/' .. run)
    if written then
      local summary = cjson.decode(written)
      if summary['canceled'] then letter = 'x'
      elseif summary['error'] and summary['error'] ~= cjson.null then letter = 'f'
      elseif (summary['missing'] or 0) > 0 then letter = 'p'
      else letter = 'c' end
    elseif redis.call('EXISTS', ARGV[5] .. name .. '/' .. run) == 1 then letter = 'r'
    else letter = 'q' end
  end
  letters[#letters + 1] = letter
end
return {table.concat(letters), rows}
"""
QUEUED, RUNNING, COMPLETED, PARTIAL, FAILED, CANCELED = "qrcpfx"
REFUSED, DELETED, UNKNOWN = "nd?"
LETTERS = {
    Status.COMPLETED: COMPLETED,
    Status.PARTIAL: PARTIAL,
    Status.FAILED: FAILED,
    Status.CANCELED: CANCELED,
}


@dataclass(frozen=True, slots=True)
class State:
    """A line that has an outcome: its job, and a letter for its state."""

    number: int
    letter: str
    job: str | None = None


class States:
    """The lines of collections, in Redis. Every method may raise redis.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._states = redis.register_script(_STATES)

    def add(self, turn: Run, outcomes: Iterable[Outcome], until: int) -> None:
        """Take the outcomes of a round's lines up to a place; to do it twice changes nothing."""
        jobs = {it.job: it.number for it in outcomes if it.job is not None}
        notes = {
            it.number: json.dumps(it.to_json(), ensure_ascii=False)
            for it in outcomes
            if it.job is None
        }
        names = self._names(turn)
        pipe = self._redis.pipeline()
        if jobs:
            pipe.zadd(names[0], jobs)
            pipe.hdel(names[1], *map(str, jobs.values()))
        if notes:
            pipe.hset(names[1], mapping={str(number): text for number, text in notes.items()})
        pipe.hset(names[1], f"until/{turn.number}", until)
        for name in names:
            pipe.expire(name, KEPT_SECONDS)
        pipe.execute()

    def until(self, turn: Run) -> int | None:
        """Return how many of a round's lines have an outcome; None: Redis does not know."""
        found: Any = self._redis.hget(self._names(turn)[1], f"until/{turn.number}")
        return None if found is None else int(found)

    def note(self, turn: Run, letters: Mapping[int, str]) -> None:
        """Note by lines how jobs ended that Redis does not know any more, or that are deleted."""
        if letters:
            notes: Any = {str(number): json.dumps({"letter": it}) for number, it in letters.items()}
            self._redis.hset(self._names(turn)[1], mapping=notes)

    def notes(self, turn: Run) -> dict[int, dict[str, Any]]:
        """Return what is noted of lines without a job: the outcome's fields, or a letter."""
        found: Any = self._redis.hgetall(self._names(turn)[1])
        return {int(number): json.loads(text) for number, text in found.items() if number.isdigit()}

    def read(self, turn: Run) -> Iterator[State]:
        """Yield the state of each line that has an outcome, those with jobs first."""
        jobs, notes_name = self._names(turn)
        notes = self.notes(turn)
        first = 0
        while True:
            letters, rows = self._page(jobs, turn.tenant, first)
            changed = list[str]()
            for place, letter in enumerate(letters):
                number = int(rows[2 * place + 1])
                noted = notes.pop(number, {})
                if letter == UNKNOWN:
                    letter = noted.get("letter", UNKNOWN)
                elif "letter" in noted:  # it was retried by itself: what is noted is not so now
                    changed.append(str(number))
                yield State(number, letter, rows[2 * place].decode())
            if changed:
                self._redis.hdel(notes_name, *changed)
            if len(letters) < PAGE:
                break
            first += PAGE
        for number, note in notes.items():
            yield State(number, REFUSED if "error" in note else CANCELED)

    def forget(self, turn: Run) -> None:
        """Drop all that Redis has of a collection."""
        self._redis.delete(*self._names(turn))

    def _page(self, jobs: str, tenant: str, first: int) -> tuple[str, list[Any]]:
        found: Any = self._states(
            keys=[jobs],
            args=[first, first + PAGE - 1, JOB, tenant, RECEIPTS],
        )
        return found[0].decode(), found[1]

    def _names(self, turn: Run) -> tuple[str, str]:
        name = f"scriptorium:collection:{turn.tenant}/{turn.job}"
        return name, f"{name}:notes"
