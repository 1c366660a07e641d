"""The share of a time in which each worker had something to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from tasks.state.receipts import Receipt


def busy_shares(receipts: Iterable[Receipt], started: float, ended: float) -> dict[str, float]:
    """By worker, without the cluster's name; units that ran at the same time count once."""
    spans = sorted(
        (
            receipt.worker.partition("@")[0],
            max(started, receipt.finished_at - receipt.seconds),
            min(ended, receipt.finished_at),
        )
        for receipt in receipts
        if receipt.worker
    )
    shares = {}
    for worker, own in groupby(spans, key=lambda span: span[0]):
        covered, last = 0.0, started
        for _, begin, end in own:
            covered += max(0.0, end - max(begin, last))
            last = max(last, end)
        shares[worker] = round(covered / (ended - started), 4)
    return shares
