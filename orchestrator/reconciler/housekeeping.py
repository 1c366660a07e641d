"""Remove now and then what is left of deleted jobs, and uploads that were never submitted."""

from __future__ import annotations

from orchestrator.access.tenants import known_tenants
from orchestrator.cluster.connection import Cluster
from orchestrator.jobs.tombstones import Tombstones
from orchestrator.jobs.uploads import mark_earlier_uploads, remove_upload, unused_uploads
from orchestrator.reconciler.leading import Leading

UPLOADS_SECONDS = 3600.0  # between looks at what was uploaded


class Housekeeping:
    """Two duties that delete. Each raises LeadLost, redis.RedisError and the store's errors."""

    def __init__(self, cluster: Cluster, leading: Leading) -> None:
        self._cluster = cluster
        self._leading = leading
        self._tombstones = Tombstones(cluster)

    def end_deletions(self) -> None:
        """Remove what tasks in flight have still written of deleted jobs."""
        self._tombstones.sweep()

    def remove_unused_uploads(self) -> None:
        """Remove files that were uploaded and not submitted within a day."""
        tenants = known_tenants(self._cluster.store)
        for tenant in self._leading.while_held(tenants):
            mark_earlier_uploads(self._cluster, tenant)
        for tenant, upload in self._leading.while_held(unused_uploads(self._cluster)):
            remove_upload(self._cluster, tenant, upload)
