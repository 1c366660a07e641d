"""The name, help text and labels of every metric; docs/metrics.md lists the same.

A metric that a process counts itself is a prometheus_client object. A metric whose values are
read from Redis or NVML at each scrape is a `Reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REAL_TIME_FACTORS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)

# What workers count
UNIT_SECONDS = Histogram(
    "scriptorium_unit_seconds",
    "Seconds of computing of one unit.",
    ["stage", "model"],
    buckets=_SECONDS,
)
REAL_TIME_FACTOR = Histogram(
    "scriptorium_real_time_factor",
    "Seconds of computing for each second of a unit's audio.",
    ["stage", "model"],
    buckets=_REAL_TIME_FACTORS,
)
AUDIO_SECONDS = Counter(
    "scriptorium_audio_seconds",
    "Seconds of audio in computed units.",
    ["stage", "model"],
)
UNITS = Counter(
    "scriptorium_units",
    "Units that ended, by outcome: computed, cached, failed, canceled and others.",
    ["stage", "outcome"],
)
CACHE_REQUESTS = Counter(
    "scriptorium_cache_requests",
    "Cache lookups, by level (memory, disk, store; stage artifact; loaded model) and result.",
    ["level", "result"],
)
ERRORS = Counter("scriptorium_errors", "Units that were given up.", ["stage", "code"])
RETRIES = Counter("scriptorium_retries", "Retries after a fault that may pass.", ["stage", "code"])
DEAD_LETTERS = Counter("scriptorium_dead_letters", "Dead letters written.", ["stage", "code"])
LEASES_LOST = Counter("scriptorium_leases_lost", "Leases lost to another worker.")
QUEUE_WAIT_SECONDS = Histogram(
    "scriptorium_queue_wait_seconds",
    "Seconds that a message waited before a worker began its task.",
    ["stage", "lane"],
    buckets=_SECONDS,
)
MODEL_LOAD_SECONDS = Histogram(
    "scriptorium_model_load_seconds", "Seconds to load a model.", ["kind"], buckets=_SECONDS
)
BATCHED_WINDOWS = Counter("scriptorium_batched_windows", "Windows of speech decoded in batches.")
BATCH_ROOM = Counter(
    "scriptorium_batch_room", "Windows that these batches had room for: their fill is the ratio."
)
JOBS_ENDED = Counter("scriptorium_jobs_ended", "Runs of jobs that ended.", ["status"])
FLAGS = Counter("scriptorium_flags", "Reasons to doubt text, in published transcripts.", ["code"])

# What the API counts
HTTP_REQUESTS = Counter(
    "scriptorium_http_requests", "HTTP requests answered.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "scriptorium_http_request_seconds",
    "Seconds until the reply began.",
    ["method", "route"],
    buckets=_REQUEST_SECONDS,
)
JOBS_SUBMITTED = Counter(
    "scriptorium_jobs_submitted", "Jobs accepted, by the way they came in.", ["way"]
)
TRIGGER_DEAD_LETTERS = Counter(
    "scriptorium_trigger_dead_letters",
    "Messages that a trigger gave up: no job was made of them, and none will be.",
    ["trigger"],
)
BUDGETS = Counter(
    "scriptorium_budgets",
    "Budgets of tenants that were nearly spent, and submissions that a spent one refused.",
    ["limit", "event"],
)

# What is counted of duties: deliveries, the audit trail, retention, deadlines
DELIVERY_TRIES = Counter(
    "scriptorium_delivery_tries",
    "Tries of webhooks and outputs: answered, with success or refusal, or failed.",
    ["kind", "outcome"],
)
DELIVERIES_GIVEN_UP = Counter(
    "scriptorium_deliveries_given_up",
    "Webhooks and outputs that were not taken in the end.",
    ["kind"],
)
AUDIT_ENTRIES = Counter(
    "scriptorium_audit_entries",
    "Entries of the audit trail: written, delayed while the store was away, or lost.",
    ["outcome"],
)
RETENTION_DELETED = Counter(
    "scriptorium_retention_deleted", "Artifacts that rules of retention deleted.", ["kind"]
)
RETENTION_ERRORS = Counter(
    "scriptorium_retention_errors", "Jobs whose rules of retention could not be applied."
)
RETENTION_SECONDS = Histogram(
    "scriptorium_retention_pass_seconds", "Seconds of a pass of retention.", buckets=_SECONDS
)
MOVED_UNITS = Counter(
    "scriptorium_moved_units",
    "Units that were issued again because of a ready_by, by the lane they went to.",
    ["lane"],
)

# What the reconciler and the API count
UNREADABLE_RECORDS = Counter(
    "scriptorium_unreadable_records",
    "Records of jobs and stray objects that could not be read and were passed over.",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric whose values are read at each scrape: a gauge, or a counter if `is_counter`."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    is_counter: bool = False

    def family(
        self, values: Mapping[tuple[str, ...], float]
    ) -> GaugeMetricFamily | CounterMetricFamily:
        """Return the metric with these values, each by its labels' values."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        family = kind(self.name, self.documentation, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


# What the reconciler measures
QUEUE_DEPTH = Reading("scriptorium_queue_depth", "Messages waiting.", ("stage", "lane"))
QUEUE_AGE_SECONDS = Reading(
    "scriptorium_queue_age_seconds", "Age of the oldest waiting message.", ("stage", "lane")
)
BACKLOG_SECONDS = Reading(
    "scriptorium_backlog_seconds", "Seconds of audio waiting or in flight.", ("pool", "stage")
)
UNITS_IN_FLIGHT = Reading(
    "scriptorium_units_in_flight", "Units that workers hold a lease on.", ("pool", "stage")
)
STAGE_SPEED = Reading(
    "scriptorium_stage_speed", "Seconds of audio that a worker does a second.", ("pool", "stage")
)
DESIRED_WORKERS = Reading(
    "scriptorium_desired_workers", "Workers that the pool should have.", ("pool",)
)
WORKERS = Reading(
    "scriptorium_workers",
    "Workers that tell of themselves, by what they do and what they compute on.",
    ("pool", "state", "device"),
)
OPEN_JOBS = Reading("scriptorium_open_jobs", "Jobs without a result.")
LOAD_AGE_SECONDS = Reading(
    "scriptorium_load_age_seconds", "Seconds since the reconciler measured the load."
)
REISSUED_UNITS = Reading(
    "scriptorium_reissued_units",
    "Units that were lost and issued again.",
    is_counter=True,
)

DELIVERIES_WAITING = Reading(
    "scriptorium_deliveries_waiting", "Runs and rounds that still owe a webhook or an output."
)
DELIVERIES_OVERDUE_SECONDS = Reading(
    "scriptorium_deliveries_overdue_seconds", "How long the first of them is due and not taken."
)

REDIS_MEMORY_BYTES = Reading("scriptorium_redis_memory_bytes", "Memory that Redis uses.")
REDIS_MEMORY_LIMIT_BYTES = Reading(
    "scriptorium_redis_memory_limit_bytes", "Memory that Redis may use; 0: without a limit."
)

# What NVML tells
_GPU = ("gpu", "name", "uuid", "node", "pool")
GPU_USE_RATIO = Reading(
    "scriptorium_gpu_use_ratio", "Share of time in which the GPU ran a kernel.", _GPU
)
GPU_MEMORY_BYTES = Reading(
    "scriptorium_gpu_memory_bytes", "Memory of the GPU: used, total.", (*_GPU, "kind")
)
GPU_ENERGY_JOULES = Reading(
    "scriptorium_gpu_energy_joules", "Energy used since driver load.", _GPU, True
)
GPU_POWER_WATTS = Reading("scriptorium_gpu_power_watts", "Power drawn now.", _GPU)
GPU_CELSIUS = Reading("scriptorium_gpu_celsius", "GPU temperature.", _GPU)


def _begin_at_zero() -> None:
    """Make the series whose first event must be seen: of a new series `increase` sees no rise."""
    for status in ("completed", "partial", "failed", "canceled"):
        JOBS_ENDED.labels(status)
    for kind in ("webhook", "output"):
        DELIVERIES_GIVEN_UP.labels(kind)
        for outcome in ("answered", "failed"):
            DELIVERY_TRIES.labels(kind, outcome)


_begin_at_zero()
