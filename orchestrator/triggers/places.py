"""A part of a bucket: all keys below a prefix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(?P<prefix>.*))?", re.S)


@dataclass(frozen=True, slots=True)
class BucketPrefix:
    """A bucket and a prefix; `of_url` and `of_store` end one that is not empty with a slash."""

    bucket: str
    prefix: str = ""

    @classmethod
    def of_url(cls, url: str) -> Self:
        """Parse `s3://bucket/prefix/`, written without URL encoding. Raises ValueError."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(f"{url!r} is not s3://bucket/prefix/")
        prefix = (found["prefix"] or "").strip("/")
        return cls(found["bucket"], f"{prefix}/" if prefix else "")

    @classmethod
    def of_store(cls, url: str | None) -> Self | None:
        """Return the place of a store's artifacts; None if the store is not in a bucket."""
        parts = urlsplit(url or "")
        if parts.scheme != "s3":
            return None
        prefix = unquote(parts.path).strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "")

    @property
    def url(self) -> str:
        """The place as `s3://bucket/prefix`, without URL encoding."""
        return f"s3://{self.bucket}/{self.prefix}"

    def holds(self, bucket: str, key: str) -> bool:
        """Return whether an object is in the place."""
        return bucket == self.bucket and key.startswith(self.prefix)
