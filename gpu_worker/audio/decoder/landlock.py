"""Deny this process every file by its path, TCP, and other processes' signals: Linux's landlock.

The rules hold for the process and its children, for ever. Descriptors that are open stay of use.
Called through `syscall`: the C library has no functions for it.
"""

from __future__ import annotations

import ctypes
import struct
import sys

# Numbers of linux/landlock.h and asm-generic/unistd.h; the same on all of our machines.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_FLAG = 1
_OF_FILES = {1: 13, 2: 14, 3: 15, 5: 16}  # since which version there are so many kinds of access
_OF_NETWORK = 4, 0b11  # since version 4: bind and connect by TCP
_OF_SCOPE = 6, 0b11  # since version 6: abstract Unix sockets, and signals


def landlock_version() -> int:
    """Return the version of the kernel's landlock; 0 if it has none, or another system."""
    if sys.platform != "linux":
        return 0
    library = ctypes.CDLL(None, use_errno=True)
    return max(0, int(library.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def deny_paths() -> int:
    """Deny all that the kernel's landlock can deny; return its version, 0 if nothing is denied.

    The process must have given up new privileges before (PR_SET_NO_NEW_PRIVS).
    """
    version = landlock_version()
    if not version:
        return 0
    attributes = _attributes(version)
    library = ctypes.CDLL(None, use_errno=True)
    rules = library.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return 0
    # No rule is added: what is handled and not allowed is denied everywhere.
    denied = library.syscall(_RESTRICT_SELF, rules, 0) == 0
    library.close(rules)
    return version if denied else 0


def _attributes(version: int) -> bytes:
    """Return `struct landlock_ruleset_attr`, as long as this version knows it."""
    kinds = max(count for since, count in _OF_FILES.items() if version >= since)
    fields = [(1 << kinds) - 1]
    fields += [bits for since, bits in (_OF_NETWORK, _OF_SCOPE) if version >= since]
    return struct.pack(f"={len(fields)}Q", *fields)
