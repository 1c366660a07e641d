"""The errors of the queue and store libraries: which may pass, and their codes."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError
from kombu.exceptions import OperationalError
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    DataError,
    LockError,
    ModuleError,
    NoScriptError,
    PubSubError,
    RedisError,
    ResponseError,
    WatchError,
)

from gpu_worker.errors import RedisUnavailable, ScriptoriumError, StoreUnavailable, TransientError

# Errors of a service that may answer again a moment later.
_SERVICES = (TransientError, OperationalError, BotoCoreError)
# What Redis or its client says of a command that is wrong: the same again fails again.
_WRONG_COMMANDS = (
    *(AskError, ClusterCrossSlotError, DataError, LockError, ModuleError, NoScriptError),
    *(PubSubError, WatchError),
)
# Refusals for which redis-py has no class, and all that come out of a script or a pipeline, which
# put their own words before the server's.
_REFUSALS = re.compile(
    r"\b(READONLY|OOM|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNKILLABLE"
    r"|LOADING|NOPERM|NOAUTH) "
)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed later, without a change to the program or the job.

    So it is also when Redis answers and refuses: it is a replica (READONLY), full (OOM), cannot
    save (MISCONF), has too few replicas (NOREPLICAS), is busy, or does not permit it (NOPERM).
    """
    if isinstance(error, _SERVICES):
        return True
    return isinstance(error, RedisError) and not _is_wrong_command(error)


def _is_wrong_command(error: RedisError) -> bool:
    if type(error) is not ResponseError:
        return isinstance(error, _WRONG_COMMANDS)
    return _REFUSALS.search(str(error)) is None


def code_of(error: Exception) -> str:
    """Return the code of an error: its own, or ours for what a library raised."""
    if isinstance(error, ScriptoriumError):
        return error.code
    if isinstance(error, BotoCoreError):
        return StoreUnavailable.code
    return RedisUnavailable.code if may_pass(error) else ScriptoriumError.code
