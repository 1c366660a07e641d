"""How fast a worker that was idle takes messages: in turn with the other workers.

The chunks of a file become messages at one moment. A worker has several slots; if it filled them
all at once, the workers that came a moment later would find nothing and stay idle while this one
decodes. So it takes one message, and each further one a moment later. Once its slots are full it
takes the next message at once, until it is idle again. Pure.
"""

from __future__ import annotations

# Between two messages of a worker that was idle. Others need some 5 ms to take theirs.
STEP_SECONDS = 0.025


class Ramp:
    """Says when a worker may take its next message."""

    def __init__(self) -> None:
        self._began = 0.0  # when the worker had no message last

    def wait(self, held: int, now: float) -> float:
        """Return the seconds until a worker that holds so many messages may take another one.

        `now` is any clock's time in seconds; 0 means at once.
        """
        if held == 0:
            self._began = now
        return max(0.0, self._began + held * STEP_SECONDS - now)
