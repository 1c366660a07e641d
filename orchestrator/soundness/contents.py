"""Look for claims of jobs that are gone, and for contents that no job claims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from orchestrator.soundness.names import Names
from tasks.artifacts import ArtifactStore, exists
from tasks.runs import keys

MOST_LOST = 100_000  # claims of jobs that are gone, in one walk; the next one finds the rest
_ONLY_LANGUAGE = "language-"  # of all channels together: it is in a folder that no job claims


class Contents:
    """The contents of one tenant against the claims on them."""

    def __init__(self, store: ArtifactStore, tenant: str) -> None:
        self._store = store
        self._tenant = tenant
        self._claimed = Names()
        self.stray: list[str] = []  # keys among the claims that are no claims

    def claims_without_jobs(self, known: Names) -> dict[str, tuple[str, ...]]:
        """Return by job what it claims, for jobs that are not known: jobs and collections."""
        folder = keys.claims(self._tenant)
        lost: dict[str, list[str]] = {}
        for key in self._store.list(folder):
            content, _, job = key.removeprefix(folder).partition("/")
            if not job or "/" in job:
                if len(self.stray) < MOST_LOST:
                    self.stray.append(key)
                continue
            self._claimed.add_all((content,))
            if job not in known and len(lost) < MOST_LOST:
                lost.setdefault(job, []).append(content)
        return {job: tuple(found) for job, found in lost.items()}

    def without_claims(self) -> Iterator[str]:
        """Yield the contents that had no claim; call it after `claims_without_jobs`.

        A file that is just being uploaded has none either.
        """
        seen = ""
        for content in self._all():
            if content == seen or content in self._claimed:
                continue
            seen = content
            claims = self._store.first(keys.uses(self._tenant, content), 1)
            if not claims and not exists(self._store, keys.pending(self._tenant, content)):
                yield content

    def _all(self) -> Iterator[str]:
        store, tenant = self._store, self._tenant
        for whole in (keys.source(tenant, ""), keys.upload(tenant, "")):
            yield from (key.removeprefix(whole) for key in store.list(whole))
        folder = f"tenants/{tenant}/audio/"
        parts = (key.removeprefix(folder).partition("/") for key in store.list(folder))
        for content, group in groupby(parts, key=lambda it: it[0]):
            if any(not name.startswith(_ONLY_LANGUAGE) for _, _, name in group):
                yield content
        folder = f"tenants/{tenant}/prepared/"
        names = (key.removeprefix(folder) for key in store.list(folder))
        yield from (name.rpartition("-")[0] for name in names)
