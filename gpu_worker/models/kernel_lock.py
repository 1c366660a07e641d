"""One process at a time at a place on a disk, by a lock that the kernel takes back with a process.

`filelock` has another lock for file systems without the kernel's, a file that says who holds it: it
stays behind a process that was killed, and holds up all others. It is never used here.
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

    Raises filelock.Timeout after so many seconds of another process, and OSError.
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
