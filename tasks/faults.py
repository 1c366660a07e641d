"""The errors of the queue and store libraries: which may pass, and their codes."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gpu_worker.errors import RedisUnavailable, ScriptoriumError, StoreUnavailable, TransientError

# Errors of a service that may answer again a moment later.
PASSING_FAULTS = (
    TransientError, RedisConnectionError, RedisTimeoutError, OperationalError, BotoCoreError,
)  # fmt: skip


def code_of(error: Exception) -> str:
    """Return the code of an error: its own, or ours for what a library raised."""
    if isinstance(error, ScriptoriumError):
        return error.code
    if isinstance(error, BotoCoreError):
        return StoreUnavailable.code
    return RedisUnavailable.code if isinstance(error, PASSING_FAULTS) else ScriptoriumError.code
