"""How processes that begin together ask the hub for models, so that a hundred are no burst.

The processes of one cache directory ask in turn, and what one has learned counts for all of them
for a while. Machines with a cache each wait a random time before they fetch. A hub that is asked
too often (429) says when to ask again, and is asked then.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, TypeVar
from urllib.parse import quote

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_before_delay

from gpu_worker.models.kernel_lock import kernel_lock

ASKED_SECONDS = 600.0  # for which one process's answer from the hub counts for the others
TURN_SECONDS = 1800.0  # that a process waits for another one's download; then it asks itself
PATIENCE_SECONDS = 300.0  # in all, with a hub that asks for it: the window of its limits
LONGEST_PAUSE_SECONDS = 60.0  # between two tries, where the hub does not say how long
_BUSY = (429, 503)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LEFT = re.compile(r"\bt=(\d+)")  # of the header RateLimit: seconds until the window ends
Fetched = TypeVar("Fetched")


class Unfinished(Exception):
    """The hub's client has returned, and a file that the hub named is not there."""


class Stagger:
    """Spreads the first requests of machines that begin at the same time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds  # the most that one waits; 0: not at all

    def wait(self) -> None:
        """Wait a random part of `seconds`. For a model that is not on this machine alone."""
        if self.seconds > 0:
            sleep(random.uniform(0.0, self.seconds))


STAGGER = Stagger()
"""That of this process; its launcher sets how long."""


@dataclass(frozen=True, slots=True)
class SharedCache:
    """One revision of a repository in a cache directory, as the processes that share it know it."""

    repository: str
    revision: str | None
    model_dir: str | None

    def is_settled(self) -> bool:
        """Return whether the hub need not be asked for news: it was just now, or has none."""
        if self.revision is not None and _COMMIT.fullmatch(self.revision):
            return True  # a commit never changes
        return _age(self._note) < ASKED_SECONDS

    def was_silent(self, seconds: float) -> bool:
        """Return whether a process of this cache got no answer from the hub in these seconds."""
        return _age(self._silence) < seconds

    def note_answer(self) -> None:
        """Let the other processes know that the newest files are here."""
        _touch(self._note)

    def note_silence(self) -> None:
        """Let the other processes know that the hub does not answer."""
        _touch(self._silence)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait until no other process of this cache fetches the repository.

        Yields False where files cannot be made, as in a cache that is mounted read-only.
        """
        from filelock import Timeout

        with ExitStack() as turn:
            try:
                self._place.mkdir(parents=True, exist_ok=True)
                lock = kernel_lock(self._place / "scriptorium.lock", TURN_SECONDS)
                is_ours = turn.enter_context(lock)
            except Timeout:
                is_ours = True
            except OSError:  # read-only
                is_ours = False
            yield is_ours or _is_writable(self._place)

    @property
    def _place(self) -> Path:
        """Where the hub's client has its own locks of the repository."""
        return self._locks / f"models--{self.repository.replace('/', '--')}"

    @property
    def _locks(self) -> Path:
        from huggingface_hub import constants

        return Path(self.model_dir or constants.HF_HUB_CACHE) / ".locks"

    @property
    def _note(self) -> Path:
        return self._place / f"scriptorium.asked-{quote(self.revision or 'main', safe='')}"

    @property
    def _silence(self) -> Path:
        return self._locks / "scriptorium.silent"


def asking_again(ask: Callable[[], Fetched]) -> Fetched:
    """Return what `ask` returns; call it again when a busy hub says so, or after growing pauses.

    Raises the last error of `ask`, at once if it is another one, or if the hub wants more than
    PATIENCE_SECONDS.
    """
    retrying = Retrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, Unfinished) or _busy_answer(error) is not None
        ),
        wait=_pause,
        stop=stop_before_delay(PATIENCE_SECONDS),
        sleep=sleep,
        reraise=True,
    )
    return retrying(ask)


def answer_of(error: BaseException) -> Any:
    """Return the HTTP answer that an error of the hub's client comes from, or None.

    The client wraps a refusal of a single file in an error that looks like silence.
    """
    seen: BaseException | None = error
    while seen is not None:
        answer = getattr(seen, "response", None)
        if answer is not None and hasattr(answer, "status_code"):
            return answer
        seen = seen.__cause__ or seen.__context__
    return None


def told_seconds(headers: Any) -> float | None:
    """Return how long the hub asks to wait, or None. Pure.

    It sends Retry-After, or RateLimit as in `"api";r=0;t=55` (its page on rate limits).
    """
    after = str(headers.get("Retry-After") or "").strip()
    if after.isdecimal():
        return float(after)
    left = _LEFT.search(str(headers.get("RateLimit") or ""))
    return float(left.group(1)) if left else None


def _busy_answer(error: BaseException) -> Any:
    answer = answer_of(error)
    return answer if answer is not None and answer.status_code in _BUSY else None


def _pause(state: RetryCallState) -> float:
    """Return the seconds until the next try: random above what was told, so that not all return."""
    error = state.outcome.exception() if state.outcome is not None else None
    answer = _busy_answer(error) if error is not None else None
    told = told_seconds(answer.headers) if answer is not None else None
    least = min(2.0**state.attempt_number, LONGEST_PAUSE_SECONDS) if told is None else told
    return least + random.uniform(0.0, max(1.0, least / 2))


def _age(file: Path) -> float:
    """Return the seconds since a file was touched; infinity if there is none."""
    try:
        return abs(time.time() - file.stat().st_mtime)  # clocks of machines differ a little
    except OSError:
        return float("inf")


def _touch(file: Path) -> None:
    with suppress(OSError):  # the others ask the hub themselves then
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def _is_writable(place: Path) -> bool:
    try:
        (place / "scriptorium.asked").touch()
    except OSError:
        return False
    return True
