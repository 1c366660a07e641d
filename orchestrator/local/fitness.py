"""Find out that no worker of a local cluster can work, so that its user does not wait in vain."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from gpu_worker.errors import ScriptoriumError
from orchestrator.local.supervisor import Supervisor


class WorkersUnfit(ScriptoriumError):
    """No worker of this machine can work."""

    code = "workers_unfit"
    hint = "Check the device with `scriptorium doctor`, or use --device cpu."

    @classmethod
    def of_log(cls, log: Path) -> WorkersUnfit:
        """Make the error with the reason that a worker has written into its log."""
        for line in reversed(log.read_text(errors="replace").splitlines()):
            with suppress(ValueError):  # some lines are no JSON
                entry = json.loads(line)
                if entry.get("event") == "worker_unfit":
                    is_device = str(entry.get("code")).startswith("device")
                    return cls(
                        entry.get("reason"),
                        hint=f"{entry.get('hint')} {cls.hint}" if is_device else entry.get("hint"),
                    )
        return cls(f"The workers end as unfit; their log is {log}.")


def check_workers(supervisor: Supervisor) -> None:
    """Raise WorkersUnfit if the CPU worker, or every worker with models, ends as unfit."""
    unfit = supervisor.unfit()
    with_models = {name for name in supervisor.names() if name.startswith("gpu")}
    if any(name.startswith("cpu") for name in unfit) or (with_models and with_models <= set(unfit)):
        raise WorkersUnfit.of_log(next(iter(unfit.values())))
