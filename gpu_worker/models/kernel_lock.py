"""One process at a time at a place on a disk, by a lock that the kernel takes back with a process.

For file systems without locks of the kernel `filelock` has another one, a file that says who holds
it. That file stays when its process is killed, and holds up all others. So it is never used here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_NOT_SUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextmanager
def kernel_lock(file: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock of a file for the block; yield False on a file system that has no locks.

    Raises filelock.Timeout if another process still holds it after `seconds`, and OSError.
    """
    from filelock import FileLock

    with ExitStack() as held:
        try:
            held.enter_context(FileLock(file, timeout=seconds, fallback_to_soft=False))
            is_held = True
        except NotImplementedError:
            is_held = False
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            is_held = False
        yield is_held
