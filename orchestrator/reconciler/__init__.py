"""The reconciler: one loop, and its duties in a file each.

`loop.py` finds and issues lost work again, pass after pass, and measures the load. What may take
long, restoring and housekeeping, runs in threads beside it (`duty.py`). Of several reconcilers on
one Redis one leads (`leading.py`).
"""

from __future__ import annotations

from orchestrator.reconciler.loop import Reconciler as Reconciler
