"""The rules for keys: what S3, a file system and a log line can all hold.

A key that breaks these rules is a bug in the code that built it, so it raises `ValueError` and
not one of the errors that a user can correct.
"""

from __future__ import annotations

KEY_BYTES = 1024  # S3's limit for a key
PART_BYTES = 255  # Linux's limit for a file name
RESERVED = ".incoming"  # the folder where a directory store keeps unfinished files


def checked_key(key: str) -> str:
    """Return the key if it is valid: parts joined by `/`, none empty, `.` or `..`.

    Raises ValueError.
    """
    parts = key.split("/")
    if (
        len(key.encode()) > KEY_BYTES
        or parts[0] == RESERVED
        or any(part in ("", ".", "..") or len(part.encode()) > PART_BYTES for part in parts)
        or any(ord(character) < 32 or ord(character) == 127 for character in key)
    ):
        raise ValueError(f"{key!r} is not a key for an artifact")
    return key


def checked_prefix(prefix: str) -> str:
    """Return the prefix if it is empty or the beginning of a valid key. Raises ValueError."""
    if prefix:
        checked_key(prefix + "x")
    return prefix


def checked_range(start: int, length: int | None) -> None:
    """Raise ValueError if `start` or `length` is negative: bytes are counted from the front."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"there are no {length} bytes from byte {start}")
