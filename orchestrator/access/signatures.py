"""Sign what the front door keeps in the store and in Redis, which workers can write to as well.

A signature is an HMAC-SHA256 under SCRIPTORIUM_KEYS_SECRET, which no worker has. Without that
secret there are no signatures, and what is stored is taken as it is.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from config.settings import Settings

_ID_LENGTH = 8  # characters of a secret's id


class Signer:
    """Makes and checks signatures; `is_on` tells whether there is a secret."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.keys_secret
        self._secret = secret.get_secret_value().encode() if secret is not None else b""
        self.is_on = secret is not None

    @property
    def id(self) -> str:
        """The name of the secret, which does not tell it: signatures of two may exist at once."""
        return self.sign("id", b"")[:_ID_LENGTH]

    def sign(self, purpose: str, *parts: bytes) -> str:
        """Return the signature of these parts as hexadecimal text.

        `purpose` keeps the signature of one kind of record from passing for another kind's.
        """
        measured = [b"%d:%s" % (len(part), part) for part in (purpose.encode(), *parts)]
        return hmac.new(self._secret, b"".join(measured), sha256).hexdigest()

    def accepts(self, signature: bytes, purpose: str, *parts: bytes) -> bool:
        """Tell whether it is the signature of these parts; always true without a secret."""
        return not self.is_on or hmac.compare_digest(signature, self.sign(purpose, *parts).encode())
