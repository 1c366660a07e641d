"""Fetch models from the hub, and remember which servers of models do not answer now.

This process does not ask a server that gave no answer again for `SILENT_SECONDS`: else each
chunk of each job would wait for it anew. An answer, also a refusal, is never remembered.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from urllib.error import HTTPError, URLError

from gpu_worker.errors import ModelUnavailable

HUB = "the hub"
TORCH = "torch's server of models"
TORCH_MODELS = "https://download.pytorch.org/torchaudio/models"  # of torchaudio 2.8's pipelines
SILENT_SECONDS = 60.0
ANSWER_SECONDS = 10.0  # how long the hub may take to say which files a model has
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

    If the hub does not answer or refuses, take those in the cache, if `is_whole` says that none
    is missing. `model` is its name for people. Raises ModelUnavailable.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        with SERVERS.asking(HUB, model):
            # `snapshot_download` asks the same, but waits for an answer without a limit.
            HfApi(token=token).model_info(repository, revision=revision, timeout=ANSWER_SECONDS)
            return Path(
                snapshot_download(
                    repository,
                    revision=revision,
                    allow_patterns=list(patterns),
                    cache_dir=model_dir,
                    token=token,
                )
            )
    except Exception as error:  # the hub's client raises many unrelated types
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
