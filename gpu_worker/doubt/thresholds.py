"""The codes of flags, and from where on each sign is doubtful.

All thresholds stand here. They were chosen on recordings that no published figure is from.
"""

from __future__ import annotations
