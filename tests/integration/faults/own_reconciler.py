"""A reconciler that is a process of its own, so that it can be killed like any other."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

from orchestrator.local.process import Child
from orchestrator.local.programs import settings_environment
from tests.integration.cluster import ClusterUnderTest


class NoReconciler:
    """In the place of the local cluster's own one, a thread that could not be killed."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def run(self, stop: threading.Event) -> None:
        stop.wait()


class ReconcilerProcess:
    """Of a cluster whose own one is a NoReconciler."""

    def __init__(self, cluster: ClusterUnderTest) -> None:
        self._settings, self._log = cluster.connection.settings, cluster.local.logs / "keeper.log"
        self._child = self._started()

    def _started(self) -> Child:
        environment = settings_environment(self._settings, os.environ)
        command = (sys.executable, "-m", "orchestrator.cli", "reconciler")
        return Child("reconciler", command, self._log, environment)

    def kill(self, looks: Callable[[], None]) -> None:
        """kill -9, then a look around, then a new one, as a container's restart does."""
        self.end()
        looks()
        self._child = self._started()

    def end(self) -> None:
        """kill -9."""
        self._child.signal_group(signal.SIGKILL)
        self._child.kill()
