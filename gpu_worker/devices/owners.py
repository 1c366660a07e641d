"""Whose items a model ran lately: whose turn it is, and whether several share it. Pure."""

from __future__ import annotations

# An owner shares the model for so long after its last item: who sends clips now and then finds
# short batches, and an owner that is alone pays for that no longer than this.
PRESENT_SECONDS = 60.0


class Owners:
    """The owners that have brought items of late."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}  # by any clock's time in seconds
        self._served: dict[str, int] = {}  # the number of the last batch with items of the owner
        self._batches = 0

    def seen(self, owners: set[str], now: float) -> None:
        """Note that these owners have items here now; forget those that had none for long."""
        self._seen |= dict.fromkeys(owners, now)
        self._seen = {owner: at for owner, at in self._seen.items() if now - at <= PRESENT_SECONDS}
        self._served = {owner: it for owner, it in self._served.items() if owner in self._seen}

    def served(self, owners: set[str]) -> None:
        """Note that a batch has items of these owners."""
        self._batches += 1
        self._served |= dict.fromkeys(owners, self._batches)

    @property
    def are_several(self) -> bool:
        """Whether more than one owner has had items here lately."""
        return len(self._seen) > 1

    def last_batch(self, owner: str) -> int:
        """Return a number that is lower the longer ago an owner was served; 0: not lately."""
        return self._served.get(owner, 0)
