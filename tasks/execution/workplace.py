"""What a worker process holds while it lives: its store, Redis, leases and loaded models.

It is made at the first use in each process, so that a forked child shares no connection with
its parent.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from celery.signals import worker_init, worker_process_init

from config.settings import settings
from gpu_worker.alignment import Aligner, AlignerRequest
from gpu_worker.alignment.models import align_model
from gpu_worker.choosing import ModelPlace
from gpu_worker.devices import used_device
from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.diarization.models import check_trusted, diarize_model
from gpu_worker.loaded import LoadedAligners, LoadedDiarizers, LoadedEngines
from gpu_worker.transcription.engines import Engine, EngineRequest
from tasks.execution.watchdog import Watchdog
from tasks.runs.options import JobOptions
from tasks.services import Services, open_services
from tasks.state.attempts import Attempts
from tasks.telemetry import (
    exposition,  # noqa: F401 - likewise
    heartbeat,  # noqa: F401 - each listens to Celery's signals
    log_lines,  # noqa: F401 - each listens to Celery's signals
)
from tasks.telemetry.counts import count_model

_names: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Workplace(Services):
    """The services and models that a task may use."""

    worker: str
    attempts: Attempts
    watchdog: Watchdog
    engines: LoadedEngines
    aligners: LoadedAligners
    diarizers: LoadedDiarizers

    def engine(self, options: JobOptions) -> Engine:
        """Return the job's engine; load it if it is not loaded."""
        return self.engines.get(
            EngineRequest(
                model=options.model,
                revision=options.revision,
                compute_type=options.compute_type,
                **self._hardware(),
            )
        )

    def aligner(self, options: JobOptions, language: str) -> Aligner:
        """Return the aligner for the job and language; load it if it is not loaded."""
        model = align_model(options.model, language, options.align_model)
        return self.aligners.get(
            AlignerRequest(options.aligner, model, language, **self._hardware())
        )

    def diarizer(self, options: JobOptions) -> Diarizer:
        """Return the job's diarizer; load it if it is not loaded."""
        model = diarize_model(options.model, options.diarize_model)
        check_trusted(model, self.settings.trusted)
        return self.diarizers.get(DiarizerRequest(model, **self._hardware()))

    def model_place(self) -> ModelPlace:
        """Return the device of this worker's models, their directory and the hub token."""
        hardware = self._hardware()
        return ModelPlace(
            used_device(hardware["device"]), hardware["model_dir"], hardware["hub_token"]
        )

    def _hardware(self) -> dict[str, Any]:
        """Return the settings' part of a model request: device, threads, directory, hub token."""
        values = self.settings
        return {
            "device": values.device,
            "threads": values.cpu_threads or os.cpu_count() or 1,
            "model_dir": str(values.model_dir) if values.model_dir else None,
            "hub_token": values.hf_token.get_secret_value() if values.hf_token else None,
        }

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make a private directory, and delete it after the block."""
        base = self.settings.work_dir
        if base is not None:
            base.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix="scriptorium-", dir=base))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def workplace() -> Workplace:
    """Return this process's workplace."""
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(pid: int) -> Workplace:
    values = settings()
    services = open_services(values)
    return Workplace(
        **services.parts(),
        worker=_names.get("worker", f"{socket.gethostname()}-{pid}"),
        attempts=Attempts(services.redis),
        watchdog=Watchdog(services.leases, values.heartbeat_seconds),
        engines=LoadedEngines(values.loaded_models, partial(count_model, "engine")),
        aligners=LoadedAligners(values.loaded_models, partial(count_model, "aligner")),
        diarizers=LoadedDiarizers(values.loaded_models, partial(count_model, "diarizer")),
    )


@worker_init.connect
def _name_worker(sender: Any = None, **_: Any) -> None:
    """Remember the node name: leases carry it, so that a dead worker's can be released."""
    _names["worker"] = getattr(sender, "hostname", None) or socket.gethostname()


@worker_process_init.connect
def _leave_interrupts_to_the_parent(**_: Any) -> None:
    """Ignore SIGINT: Ctrl-C reaches the whole process group, and the parent ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
