"""Sessions of the web page: a random token in the browser instead of the API key.

Redis holds a session under the hash of its token: the hash of the key that it stands for and its
end, signed if the settings have a keys_secret. It ends with the key, when the browser logs out, or
after SESSION_SECONDS. A session that Redis has lost means one more log-in.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from orchestrator.access.keys import REMEMBERED_SECONDS, digest_of
from orchestrator.access.signatures import Signer

SESSION_SECONDS = 12 * 3600  # a day's work
PREFIX = "ses_"
REMEMBERED = 10_000  # sessions that a process caches
LONGEST_RECORD = 1024  # bytes
_FORM = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_PLACE = "scriptorium:session:"
_PURPOSE = "session"


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What Redis said of a session; `key` is None if there is none."""

    key: str | None  # hash of the API key
    until: float  # monotonic seconds at which Redis is asked again


class Sessions:
    """The sessions of a cluster. Every method may raise redis.RedisError."""

    def __init__(
        self,
        redis: Redis,
        signer: Signer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._signer = signer
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}  # by the token's hash

    def open(self, key: str) -> str:
        """Begin a session for the API key with this hash; return its token."""
        token = PREFIX + secrets.token_urlsafe(32)
        name = digest_of(token)
        end = round(self._clock() + SESSION_SECONDS)
        record = {"key": key, "end": end, "signature": self._signature(name, key, end)}
        self._redis.set(_PLACE + name, json.dumps(record), ex=SESSION_SECONDS)
        return token

    def remembers(self, token: str) -> bool:
        """Tell whether `key_of` would answer without asking Redis."""
        known = self._remembered.get(digest_of(token))
        return not is_formed(token) or (known is not None and self._clock() < known.until)

    def key_of(self, token: str) -> str | None:
        """Return the hash of the session's API key; None if there is no such session."""
        if not is_formed(token):
            return None
        name, now = digest_of(token), self._clock()
        known = self._remembered.get(name)
        if known is None or now >= known.until:
            found = self._read(name)
            end = found[1] if found else now + REMEMBERED_SECONDS
            known = _Remembered(found[0] if found else None, min(end, now + REMEMBERED_SECONDS))
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = known
        return known.key

    def close(self, token: str) -> None:
        """End a session; other processes may accept it for REMEMBERED_SECONDS more."""
        name = digest_of(token)
        self._redis.delete(_PLACE + name)
        self._remembered.pop(name, None)

    def _read(self, name: str) -> tuple[str, float] | None:
        """Return a session's key and end; None if it is missing, over or not ours."""
        data = self._redis.get(_PLACE + name)
        if not isinstance(data, bytes) or len(data) > LONGEST_RECORD:
            return None
        try:
            record = json.loads(data)
            key, end = str(record["key"]), float(record["end"])
            signature = str(record["signature"]).encode()
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        is_ours = self._signer.accepts(signature, _PURPOSE, name.encode(), _text(key, end))
        return (key, end) if is_ours and end > self._clock() else None

    def _signature(self, name: str, key: str, end: float) -> str:
        return self._signer.sign(_PURPOSE, name.encode(), _text(key, end))


def is_formed(token: str) -> bool:
    """Tell whether the text has the form of a session's token."""
    return _FORM.fullmatch(token) is not None


def _text(key: str, end: float) -> bytes:
    return f"{key} {end:.0f}".encode()
