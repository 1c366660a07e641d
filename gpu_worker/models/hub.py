"""Fetch models from the hub, and remember which servers of models do not answer now.

This process does not ask a server that gave no answer again for `SILENT_SECONDS`: else each
chunk of each job would wait for it anew. An answer, also a refusal, is never remembered.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Lock
from urllib.error import HTTPError, URLError

from gpu_worker.errors import ModelUnavailable
from gpu_worker.models.hub_turns import STAGGER, SharedCache, Unfinished, answer_of, asking_again

HUB = "the hub"
TORCH = "torch's server of models"
TORCH_MODELS = "https://download.pytorch.org/torchaudio/models"  # of torchaudio 2.8's pipelines
SILENT_SECONDS = 60.0
ANSWER_SECONDS = 10.0  # how long the hub may take to say which files a model has
CONNECTIONS = 2  # of one download: nearly all of a model is one file, and the client would open 8
# Module and class of the errors that mean that no answer came. huggingface-hub uses requests
# (0.x), httpx (1.x) or httpx2 (2.x) and lets their errors through; only the one it uses is loaded.
_TRANSPORT_FAULTS = (
    ("requests.exceptions", "ConnectionError"),
    ("requests.exceptions", "Timeout"),
    ("httpx", "TransportError"),
    ("httpx2", "TransportError"),
)


class Servers:
    """Remembers which servers gave no answer, and until when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._silent_until: dict[str, float] = {}

    def is_silent(self, server: str) -> bool:
        """Return whether the server gave no answer within the last `SILENT_SECONDS`."""
        with self._lock:
            return self._clock() < self._silent_until.get(server, 0.0)

    def remember(self, server: str) -> None:
        """Remember that the server has just given no answer."""
        with self._lock:
            self._silent_until[server] = self._clock() + SILENT_SECONDS

    def forget(self) -> None:
        """Forget all silences, so that every server is asked again."""
        with self._lock:
            self._silent_until.clear()

    @contextmanager
    def asking(self, server: str, model: str) -> Iterator[None]:
        """Wrap a request for `model`; remember an error that means silence, and raise it on.

        Raises ModelUnavailable, without a request, while the server is known to be silent.
        """
        if self.is_silent(server):
            raise ModelUnavailable(
                f"{model} cannot be fetched: {server} gave no answer less than "
                f"{SILENT_SECONDS:.0f} s ago."
            )
        try:
            yield
        except Exception as error:
            if is_silence(error):
                self.remember(server)
            raise


SERVERS = Servers()
"""The servers that this process remembers; shared by all its threads."""


def is_silence(error: BaseException) -> bool:
    """Return whether an error of the hub's client or of urllib means that no answer came."""
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    # The first is an URLError, but an answer; the second a ConnectionError, but it asked nothing.
    if isinstance(error, (HTTPError, OfflineModeIsEnabled)):
        return False
    if answer_of(error) is not None:
        return False
    silences = (LocalEntryNotFoundError, URLError)
    return isinstance(error, (*silences, ConnectionError, TimeoutError, *_loaded_faults()))


def _loaded_faults() -> tuple[type[Exception], ...]:
    """Return the classes of `_TRANSPORT_FAULTS` whose module is loaded."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in _TRANSPORT_FAULTS
        if module in sys.modules
    )


def fetch_snapshot(
    repository: str,
    model: str,
    patterns: Sequence[str],
    is_whole: Callable[[Path], bool],
    *,
    revision: str | None = None,
    model_dir: str | None = None,
    token: str | None = None,
) -> Path:
    """Return a directory with the newest files of a repository that match `patterns`.

    Processes that share a cache ask the hub once in a while (`hub_turns`). If the hub does not
    answer or refuses, take the files in the cache, if `is_whole` says that none is missing.
    `model` is its name for people. Raises ModelUnavailable.
    """
    from huggingface_hub import constants

    cache = SharedCache(repository, revision, model_dir)
    here = cached_snapshot(repository, is_whole, revision=revision, model_dir=model_dir)
    if here is not None and cache.is_settled():
        return here
    offline = bool(constants.HF_HUB_OFFLINE)
    with nullcontext(True) if offline else cache.turn() as can_fetch:
        here = cached_snapshot(repository, is_whole, revision=revision, model_dir=model_dir)
        if here is not None and (cache.is_settled() or not can_fetch):
            return here
        if not offline and cache.was_silent(SILENT_SECONDS):
            SERVERS.remember(HUB)
        if here is None and not offline and not SERVERS.is_silent(HUB):
            STAGGER.wait()
        ask = partial(_ask, repository, revision, patterns, model_dir=model_dir, token=token)
        try:
            with SERVERS.asking(HUB, model):
                # For news alone nothing waits until a busy hub has time.
                found = asking_again(ask) if here is None else ask()
            cache.note_answer()
            return found
        except Exception as error:  # the hub's client raises many unrelated types
            if not offline and is_silence(error):
                cache.note_silence()
            here = cached_snapshot(repository, is_whole, revision=revision, model_dir=model_dir)
            if here is not None:
                return here
            if isinstance(error, ModelUnavailable):
                raise
            raise _unavailable(error, model, repository) from error


def _unavailable(error: Exception, model: str, repository: str) -> ModelUnavailable:
    """Return the error for a model that could not be had; say what of this machine is the cause."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return ModelUnavailable(
            f"{model} is not on this machine, and HF_HUB_OFFLINE forbids to ask the hub.",
            hint="Put it into the directory of models (`scriptorium models pull NAME` where there "
            "is a hub), or unset HF_HUB_OFFLINE.",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelUnavailable(
            f"{model} could not be fetched: there is no space left in the directory of models.",
            hint="Free some space on the worker, or set SCRIPTORIUM_MODEL_DIR.",
        )
    return ModelUnavailable(
        f"{model} could not be fetched from {repository} on the hub: {type(error).__name__}."
    )


def _ask(
    repository: str,
    revision: str | None,
    patterns: Sequence[str],
    *,
    model_dir: str | None,
    token: str | None,
) -> Path:
    """Ask the hub what is new, and fetch it. Raises what the hub's client raises, or Unfinished."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented all the same
        filter_repo_objects,
    )

    # `snapshot_download` asks the same, but waits for an answer without a limit.
    told = HfApi(token=token).model_info(repository, revision=revision, timeout=ANSWER_SECONDS)
    found = Path(
        snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(patterns),
            cache_dir=model_dir,
            token=token,
            max_workers=CONNECTIONS,
        )
    )
    # If the hub refuses to answer in between, the client returns what it fetched in an earlier try.
    names = [sibling.rfilename for sibling in told.siblings or ()]
    for name in filter_repo_objects(names, allow_patterns=list(patterns)):
        if not (found / name).exists():
            raise Unfinished(f"{name} is missing")
    return found


def cached_snapshot(
    repository: str,
    is_whole: Callable[[Path], bool],
    *,
    revision: str | None = None,
    model_dir: str | None = None,
) -> Path | None:
    """Return the directory of a repository that was fetched before, or None if a file is missing.

    Uses no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        directory = Path(
            snapshot_download(
                repository, revision=revision, cache_dir=model_dir, local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None
    return directory if is_whole(directory) else None
