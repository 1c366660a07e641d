"""Every metric's name, what it means and its labels. The one place where they are.

What a process counts itself is an object here. What is read from somewhere when somebody asks
(Redis, NVML) is a `Reading`, which the asker fills in.
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
    "How long one unit of work was computed.",
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
    "Seconds of audio that were computed.",
    ["stage", "model"],
)
UNITS = Counter(
    "scriptorium_units",
    "Units of work that ended, by outcome: computed, cached, failed, canceled and others.",
    ["stage", "outcome"],
)
CACHE_REQUESTS = Counter(
    "scriptorium_cache_requests",
    "Looks for something that may be there already, by level (a stage's artifact, or a loaded "
    "model) and result (hit, miss).",
    ["level", "result"],
)
ERRORS = Counter("scriptorium_errors", "Units of work that were given up.", ["stage", "code"])
RETRIES = Counter(
    "scriptorium_retries", "Tries again after a fault that may pass.", ["stage", "code"]
)
DEAD_LETTERS = Counter(
    "scriptorium_dead_letters", "Units that were quarantined.", ["stage", "code"]
)
LEASES_LOST = Counter("scriptorium_leases_lost", "Leases that somebody else has taken.")
QUEUE_WAIT_SECONDS = Histogram(
    "scriptorium_queue_wait_seconds",
    "How long a message waited before a worker began with it.",
    ["stage", "lane"],
    buckets=_SECONDS,
)
MODEL_LOAD_SECONDS = Histogram(
    "scriptorium_model_load_seconds", "How long a model took to load.", ["kind"], buckets=_SECONDS
)
JOBS_ENDED = Counter("scriptorium_jobs_ended", "Runs of jobs that ended.", ["status"])

# What the API counts
HTTP_REQUESTS = Counter(
    "scriptorium_http_requests", "Requests that were answered.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "scriptorium_http_request_seconds",
    "How long a reply took to begin.",
    ["method", "route"],
    buckets=_REQUEST_SECONDS,
)
JOBS_SUBMITTED = Counter(
    "scriptorium_jobs_submitted", "Jobs that were accepted, by the way they came in.", ["way"]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that is read when somebody asks."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    is_counter: bool = False

    def family(
        self, values: Mapping[tuple[str, ...], float]
    ) -> GaugeMetricFamily | CounterMetricFamily:
        """With the values by their labels."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        family = kind(self.name, self.documentation, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


# What the reconciler measures
QUEUE_DEPTH = Reading("scriptorium_queue_depth", "Messages waiting.", ("stage", "lane"))
QUEUE_AGE_SECONDS = Reading(
    "scriptorium_queue_age_seconds", "How long the oldest message has waited.", ("stage", "lane")
)
BACKLOG_SECONDS = Reading(
    "scriptorium_backlog_seconds", "Audio waiting or in flight.", ("pool", "stage")
)
UNITS_IN_FLIGHT = Reading(
    "scriptorium_units_in_flight", "Units that are being worked on.", ("pool", "stage")
)
STAGE_SPEED = Reading(
    "scriptorium_stage_speed", "Seconds of audio a second that one worker does.", ("pool", "stage")
)
DESIRED_WORKERS = Reading(
    "scriptorium_desired_workers", "Workers that the pool should have.", ("pool",)
)
OPEN_JOBS = Reading("scriptorium_open_jobs", "Jobs without a result.")
LOAD_AGE_SECONDS = Reading(
    "scriptorium_load_age_seconds", "How long ago the reconciler measured all this."
)
REISSUED_UNITS = Reading(
    "scriptorium_reissued_units",
    "Units of work that were lost and issued again.",
    is_counter=True,
)

# What NVML tells
GPU_USE_RATIO = Reading(
    "scriptorium_gpu_use_ratio", "Part of the time in which the GPU ran a kernel.", ("gpu", "name")
)
GPU_MEMORY_BYTES = Reading(
    "scriptorium_gpu_memory_bytes", "Memory of the GPU: used, total.", ("gpu", "name", "kind")
)
GPU_ENERGY_JOULES = Reading(
    "scriptorium_gpu_energy_joules", "Energy since its driver was loaded.", ("gpu", "name"), True
)
GPU_POWER_WATTS = Reading("scriptorium_gpu_power_watts", "Power it draws now.", ("gpu", "name"))
GPU_CELSIUS = Reading("scriptorium_gpu_celsius", "Its temperature.", ("gpu", "name"))
