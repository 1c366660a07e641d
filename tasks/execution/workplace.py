"""What a worker process holds while it lives: its store, Redis, leases and loaded models.

It is made at the first use in each process, so that a forked child shares no connection with
its parent.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn

import structlog
from celery.signals import worker_init, worker_process_init

from config.logging import configure_logging
from config.settings import Settings, settings
from gpu_worker.alignment import AlignerRequest
from gpu_worker.alignment.models import align_model, check_align_model
from gpu_worker.audio.decoder.sandbox import hide_memory, possible_seal
from gpu_worker.choosing import ModelPlace
from gpu_worker.devices import used_device
from gpu_worker.devices.metering import Meter
from gpu_worker.diarization import Diarizer, DiarizerRequest
from gpu_worker.diarization.models import COMMUNITY, check_trusted, diarize_model
from gpu_worker.loaded import (
    LoadedAligner,
    LoadedAligners,
    LoadedDiarizers,
    LoadedEngine,
    LoadedEngines,
)
from gpu_worker.models.allowed import check_allowed
from gpu_worker.models.faults import as_worker_faults
from gpu_worker.models.hub_turns import STAGGER
from gpu_worker.transcription.engines import EngineRequest
from gpu_worker.transcription.engines.choice import choose_engine
from tasks.execution.caches import open_cached_services
from tasks.execution.card_users import own_joules, own_seconds
from tasks.execution.fitness import EXIT_UNFIT, Fitness, end_worker
from tasks.execution.isolation import Isolation
from tasks.execution.scratch import scratch_directory
from tasks.execution.self_test import check_worker
from tasks.execution.sweeping import sweep_from_now_on
from tasks.execution.watchdog import Watchdog
from tasks.runs.options import JobOptions
from tasks.runs.stages import Pool, queues
from tasks.runs.units import Unit
from tasks.services import Services
from tasks.state.attempts import Attempts
from tasks.state.unit_requests import UnitRequests
from tasks.telemetry import (
    exposition,  # noqa: F401 - likewise
    heartbeat,  # noqa: F401 - each listens to Celery's signals
    log_lines,  # noqa: F401 - each listens to Celery's signals
)
from tasks.telemetry.counts import count_batch, count_model

log = structlog.get_logger(__name__)
LOAD_SECONDS = 4 * 3600.0  # to fetch and load a model; it does not count as the unit's time


@dataclass(frozen=True, slots=True)
class _Node:
    """What the main process of the worker knows before it makes children."""

    name: str
    main_process: int
    has_models: bool


_nodes: list[_Node] = []
_opening = threading.Lock()  # `lru_cache` lets several threads compute the same at once


@dataclass(frozen=True, slots=True)
class Workplace(Services):
    """The services and models that a task may use."""

    worker: str
    has_models: bool  # the worker reads queues of units that need them
    attempts: Attempts
    unit_requests: UnitRequests
    watchdog: Watchdog
    isolation: Isolation
    fitness: Fitness
    meter: Meter
    engines: LoadedEngines
    aligners: LoadedAligners
    diarizers: LoadedDiarizers

    def engine_request(self, options: JobOptions) -> EngineRequest:
        """Return what loads the job's engine. Raises ModelNotTrusted or ModelUnusable."""
        with as_worker_faults(options.model):
            check_allowed(options.model, self.settings.allowed, revision=options.revision)
        wanted, model, kind = self.settings.engine, options.model, options.compute_type
        chosen = choose_engine(wanted, model, kind, options.decode_options(options.language))
        if chosen.because:
            log.info("engine_replaced", engine=chosen.engine, because=chosen.because, model=model)
        return EngineRequest(
            model=model,
            revision=options.revision,
            compute_type=kind,
            engine=chosen.engine,
            encoder=self.settings.torch_encoder,
            **_hardware(self.settings),
        )

    def engine(self, options: JobOptions) -> LoadedEngine:
        """Return the job's engine; load it if it is not loaded. Raises ModelNotTrusted."""
        request = self.engine_request(options)
        with self.watchdog.grant(LOAD_SECONDS), as_worker_faults(options.model):
            return self.engines.get(request)

    def aligner(self, options: JobOptions, language: str) -> LoadedAligner:
        """Return the aligner for the job and language; load it if it is not loaded."""
        model = align_model(options.model, language, options.align_model)
        if options.align_model is not None:
            check_align_model(model, self.settings.allowed)
        with self.watchdog.grant(LOAD_SECONDS), as_worker_faults(model):
            return self.aligners.get(
                AlignerRequest(
                    options.aligner,
                    model,
                    language,
                    compute_type=self.settings.align_compute_type,
                    **_hardware(self.settings),
                )
            )

    def diarizer(self, options: JobOptions) -> Diarizer:
        """Return the job's diarizer; load it if it is not loaded."""
        model = diarize_model(options.model, options.diarize_model)
        check_trusted(model, self.settings.trusted)
        # Of pyannote's own any may be named, also one that its hub has not.
        is_certain = model == COMMUNITY or not model.startswith("pyannote/")
        blamed = as_worker_faults(model) if is_certain else nullcontext()
        with self.watchdog.grant(LOAD_SECONDS), blamed:
            return self.diarizers.get(DiarizerRequest(model, **_hardware(self.settings)))

    def model_place(self) -> ModelPlace:
        """Return the device of this worker's models, their directory and the hub token."""
        hardware = _hardware(self.settings)
        return ModelPlace(
            used_device(hardware["device"]), hardware["model_dir"], hardware["hub_token"]
        )

    def leave(self, *, charged: Unit | None = None) -> NoReturn:
        """End the worker. It counts as a death of the `charged` unit alone, if there is one.

        Its leases are released, so that the reconciler issues the units again soon.
        """
        self.attempts.forgive(but=() if charged is None else (charged,))
        self.watchdog.release_all()
        end_worker(_node().main_process)

    def scratch(self) -> AbstractContextManager[Path]:
        """Make a private directory, and delete it after the block. Raises ScratchUnusable."""
        return scratch_directory(self.settings.work_dir)


def _hardware(values: Settings) -> dict[str, Any]:
    """Return the settings' part of a model request: device, threads, directory, hub token."""
    return {
        "device": values.device,
        "threads": values.cpu_threads or os.cpu_count() or 1,
        "model_dir": str(values.model_dir) if values.model_dir else None,
        "hub_token": values.hf_token.get_secret_value() if values.hf_token else None,
    }


def workplace() -> Workplace:
    """Return this process's workplace."""
    with _opening:
        return _open(os.getpid())


def _node() -> _Node:
    if _nodes:
        return _nodes[-1]
    pid = os.getpid()  # no Celery worker: a test
    return _Node(f"{socket.gethostname()}-{pid}", pid, has_models=False)


@lru_cache(maxsize=1)
def _open(pid: int) -> Workplace:
    values, node = settings(), _node()
    STAGGER.seconds = values.hub_spread_seconds
    services = open_cached_services(values)
    attempts = Attempts(services.redis)
    return Workplace(
        **services.parts(),
        worker=node.name,
        has_models=node.has_models,
        attempts=attempts,
        unit_requests=UnitRequests(services.redis, services.leases, attempts),
        watchdog=Watchdog(services.leases, attempts, values.heartbeat_seconds),
        isolation=Isolation(),
        fitness=Fitness(partial(_test_worker, values, node)),
        meter=Meter(own_joules(values.device), own_seconds()) if node.has_models else Meter(),
        engines=LoadedEngines(values.loaded_models, partial(count_model, "engine"), count_batch),
        aligners=LoadedAligners(values.loaded_models, partial(count_model, "aligner")),
        diarizers=LoadedDiarizers(values.loaded_models, partial(count_model, "diarizer")),
    )


def _test_worker(values: Settings, node: _Node) -> None:
    check_worker(values, _hardware(values), has_models=node.has_models)


@worker_init.connect
def _begin(sender: Any = None, **_: Any) -> None:
    """Remember the node's name: leases carry it, so that a dead worker's can be released.

    An unfit worker ends here, before it takes a message. What killed workers left in the scratch
    directory is deleted first: it may be why there is no room.
    """
    hide_memory()  # the secrets in its environment are no business of the decoder's
    values = settings()
    sweep_from_now_on(values.work_dir)
    read = getattr(getattr(sender, "app", None), "amqp", None)
    queues_read = set(read.queues.consume_from) if read is not None else set()
    node = _Node(
        name=getattr(sender, "hostname", None) or socket.gethostname(),
        main_process=os.getpid(),
        has_models=not queues_read.isdisjoint(queues(Pool.GPU)),
    )
    _nodes.append(node)
    configure_logging(values.log_level, values.log_format)  # Celery does so later
    if lacking := possible_seal().lacking:
        log.warning("decoder_less_isolated", kernel_lacks=lacking)
    if values.self_test and not Fitness(partial(_test_worker, values, node)).is_fit():
        os._exit(EXIT_UNFIT)


@worker_process_init.connect
def _leave_interrupts_to_the_parent(**_: Any) -> None:
    """Ignore SIGINT: Ctrl-C reaches the whole process group, and the parent ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
