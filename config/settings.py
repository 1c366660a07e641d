"""Every setting of a process, read once from the environment into one frozen object.

Names are `SCRIPTORIUM_<FIELD>`; the names that other tools already use
(`REDIS_URL`, `CELERY_BROKER_URL`, `AWS_ENDPOINT_URL_S3`, `HF_TOKEN`) are honoured
too. Nothing else in the code base reads the environment.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from config.limits import TENANT_NAME, Limits, lists, names_in
from config.models import ModelSettings

# The home directory of a user without one (no HOME and no entry in the password database), named
# as Debian names it. Most commands need no home; those that do refuse this one.
NO_HOME = Path("/nonexistent/.local/share/scriptorium")
TENANT_PATTERN = f"^{TENANT_NAME}$"

SHORTEST_SECRET = 16  # characters: a shorter one could be found by trying


def _usual_home() -> Path:
    try:
        return Path.home() / ".local" / "share" / "scriptorium"
    except RuntimeError:  # containers are run as users that are not in their password database
        return NO_HOME


class Settings(ModelSettings, Limits):
    """The settings of one process: values only, which callers pass on as arguments."""

    model_config = SettingsConfigDict(
        env_prefix="SCRIPTORIUM_",
        env_ignore_empty=True,  # Compose and Helm write a variable that is not set as an empty text
        frozen=True,
        extra="ignore",
        populate_by_name=True,
    )

    # Where things are
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("SCRIPTORIUM_REDIS_URL", "REDIS_URL", "CELERY_BROKER_URL"),
        description="Redis: broker, ledgers and leases. Unset: the local cluster starts its own.",
    )
    redis_password: SecretStr | None = Field(
        default=None,
        description="Redis's password, not URL-encoded; for a redis_url without one.",
    )
    broker_url: SecretStr | None = Field(
        default=None, description="RabbitMQ, amqp:// or amqps://. Unset: Redis carries messages."
    )
    store_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SCRIPTORIUM_STORE_URL", "SCRIPTORIUM_STORE"),
        description="Object store: file:///directory or s3://bucket/prefix.",
    )
    s3_endpoint_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "SCRIPTORIUM_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
        ),
        description="S3-compatible server other than AWS.",
    )
    home: Path = Field(
        default_factory=_usual_home,
        description="State of the local cluster: store, logs, sockets.",
    )
    work_dir: Path | None = Field(
        default=None, description="Directory for scratch files of stages. Unset: the system's."
    )
    tenant: str = Field(default="default", pattern=TENANT_PATTERN)

    # The front door
    api_host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(
        default=8000, ge=0, le=65535, description="Port of the API. 0: any free one."
    )
    api_key: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_SECRET,
        description="One key with every scope for `tenant`, besides those of `scriptorium keys`.",
    )
    keys_secret: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_SECRET,
        description="Signs the records of API keys. Set: an unsigned record is no key.",
    )
    allow_anonymous: bool = Field(
        default=False, description="Listen on a public address without any key."
    )
    webhook_key: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_SECRET,
        description="Secret from which each tenant's webhook secret is derived.",
    )
    sends_webhooks: bool = Field(
        default=False,
        description="Accept webhooks in a process without webhook_key: another one signs them.",
    )
    redelivery_factor: float = Field(
        default=1.0, ge=0, description="Multiplies the delays between tries of a webhook or output."
    )
    hooks_secret: SecretStr | None = Field(
        default=None,
        min_length=SHORTEST_SECRET,
        description="Bearer token of POST /v1/hooks/s3. Unset: the hook is closed.",
    )
    trigger_rules: Path | None = Field(
        default=None, description="TOML file: which objects of which buckets become jobs."
    )
    flower_port: int = Field(default=5555, ge=0, le=65535, description="Port of `up --flower`.")
    flower_password: SecretStr | None = Field(
        default=None,
        description="Password of Flower's user `scriptorium`. Unset: `up` prints a new one.",
    )

    # Workers' copies of audio and artifacts in S3
    cache_memory_bytes: int = Field(default=100_000_000, ge=0, description="Of each process.")
    cache_disk_bytes: int = Field(
        default=1_000_000_000, ge=0, description="Of all workers of one work_dir, below it."
    )
    cache_seconds: float = Field(
        default=24 * 3600.0, ge=0, description="How long a copy is kept. 0: no copies."
    )

    # Failure policy
    lease_seconds: float = Field(default=30.0, gt=0, description="Life of a lease without renewal.")
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="How often a lease is renewed.")
    self_test: bool = Field(
        default=True, description="Let a worker hear a known second of speech before it starts."
    )
    max_attempts: int = Field(default=3, ge=1, description="Crashes before a unit is given up.")
    max_retries: int = Field(default=6, ge=0, description="Retries after transient faults.")
    deadline_floor_seconds: float = Field(
        default=600.0, gt=0, description="Shortest deadline of a unit."
    )
    deadline_factor: float = Field(
        default=10.0, gt=0, description="Seconds a unit may take for each second of its audio."
    )
    notice_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Time from SIGTERM to a worker's end: what runs then is handed back before it.",
    )
    reconcile_seconds: float = Field(
        default=2.0, gt=0, description="Time between two passes of the reconciler."
    )
    reconcile_grace_seconds: float = Field(
        default=5.0, gt=0, description="How long a needed unit may be idle before it is sent again."
    )
    audit_seconds: float = Field(
        default=60.0, gt=0, description="Time between two comparisons of Redis with the store."
    )

    # Scaling, metrics and traces
    pools: dict[str, dict[str, Any]] = Field(
        default={},
        description="Pools of workers, as JSON: stages, minimum, maximum, target_drain_seconds.",
    )
    worker_pool: str = Field(default="", description="Pool of this worker; its launcher sets it.")
    node: str = Field(
        default="", description="Name of this machine in the metrics of GPUs. Unset: its host name."
    )
    heartbeat_file: Path | None = Field(
        default=None,
        description="File whose time is renewed while the process works, for health checks.",
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port on which to serve /metrics, without a key."
    )
    metrics_dir: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("PROMETHEUS_MULTIPROC_DIR"),
        description="Directory in which the processes of one machine add up their metrics.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        ),
        description="Address that traces are sent to. Unset: no traces.",
    )

    component: str = Field(
        default="",
        description="What this process is for: `doctor` checks what belongs to it. "
        "Unset: what is installed tells.",
    )
    log_level: str = Field(default="INFO", pattern="^(?i:debug|info|warning|error|critical)$")
    log_format: str = Field(default="json", pattern="^(json|text)$")

    @property
    def allowed(self) -> frozenset[str]:
        """The transcription and align models that jobs may name besides those that are known."""
        return names_in(self.allowed_models) | {self.model, *self.language_models.values()}

    @property
    def trusted(self) -> frozenset[str]:
        """The diarization models that jobs may use besides pyannote's own."""
        return names_in(self.trusted_diarize_models) | (self.allowed & {"fake"})

    @property
    def has_webhooks(self) -> bool:
        """Whether jobs may name a webhook."""
        return self.allow_urls and (self.webhook_key is not None or self.sends_webhooks)

    def may_name(self, tenant: str) -> bool:
        """Tell whether Celery messages may name this tenant."""
        return tenant == self.tenant or lists(self.message_tenants, tenant)

    def may_hurry(self, tenant: str) -> bool:
        """Tell whether the tenant's long files may ask for the interactive lane."""
        return tenant == self.tenant or lists(self.interactive_tenants, tenant)

    @model_validator(mode="after")
    def _chosen_by_a_worker(self) -> Self:
        if self.language_models and self.model != "auto":
            raise ValueError("language_models is for model=auto: with another one it does nothing")
        return self

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.heartbeat_seconds > self.lease_seconds / 2:
            raise ValueError("heartbeat_seconds must be at most half of lease_seconds")
        return self


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings. Read them from the environment the first time.

    Raises pydantic's ValidationError if a value is not valid.
    """
    return Settings()
