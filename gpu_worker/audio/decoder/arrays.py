"""Numpy for the child that decodes: some files need it, and it takes a third of its start.

The child is sealed before it reads the file, and can load nothing then. So it begins without numpy;
where a file turns out to need it, it says so and is started once more, with numpy loaded before.
"""

from __future__ import annotations

from typing import Any

NEEDS_NUMPY = "needs_numpy"  # the code in the child's report


class NumpyNotLoaded(Exception):
    """This process was sealed before numpy was loaded."""


def numpy() -> Any:
    """Return numpy. Raises NumpyNotLoaded if it cannot be loaded any more."""
    try:
        import numpy as np
    except (ImportError, OSError) as error:
        raise NumpyNotLoaded from error
    return np


def load_numpy() -> None:
    """Load it, and what it loads at the first use."""
    np = numpy()
    np.nan_to_num(np.rint(np.ones((1, 3), "<i2").mean(axis=1)))
