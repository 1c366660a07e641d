"""Checks of the models and of the libraries that load them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from config.settings import Settings
from gpu_worker.diarization.models import diarize_model
from gpu_worker.diarization.offline import OFFLINE_NAME
from gpu_worker.errors import HubTokenMissing, ModelUnavailable
from gpu_worker.models.capabilities import wanted_models
from gpu_worker.models.whisper import AUTO, cached_model, find_model, origin_of
from gpu_worker.transcription.languages import LANGUAGES
from orchestrator.diagnosis.check_result import CheckResult

# Codes of faults for which another diarization model replaces the usual one.
_HAVE_A_SUBSTITUTE = frozenset({HubTokenMissing.code, ModelUnavailable.code})


def check_model(settings: Settings) -> CheckResult:
    """Check that the default model is known; say where it comes from and whether it is here."""
    if settings.model != AUTO:
        return CheckResult("model", "ok", f"{settings.model}: {_where(settings, settings.model)}.")
    gpu, cpu = (wanted_models(device, None, "transcribe")[0] for device in ("cuda", "cpu"))
    choices = f"on a GPU {gpu} ({_where(settings, gpu)}), on a CPU {cpu} ({_where(settings, cpu)})"
    table = settings.language_models
    unknown = sorted(set(table) - LANGUAGES.keys() - {"*"})
    if unknown:
        return CheckResult(
            "model",
            "error",
            f"SCRIPTORIUM_LANGUAGE_MODELS has no language's code: {', '.join(unknown)}.",
            "Write codes such as en and de, or * for all others.",
        )
    named = "".join(f"; {code}: {name} ({_where(settings, name)})" for code, name in table.items())
    return CheckResult("model", "ok", f"auto: {choices}{named}.")


def _where(settings: Settings, model: str) -> str:
    """Return where a model comes from, as text for users."""
    source = find_model(model)
    try:
        here = cached_model(source, str(settings.model_dir) if settings.model_dir else None)
    except ImportError:  # the worker extra is not installed: only the workers have models
        here = None
    if source.directory is not None or source.repository is None:
        return str(source)
    if here is not None:
        return f"in {here}, from {origin_of(source, here)}"
    return f"{source}, fetched at first use"


def check_engine(settings: Settings) -> CheckResult:
    """Check in a child process that the model libraries load; say which device they use."""
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.devices"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return CheckResult(
            "engine",
            "error",
            f"The model libraries do not load: {reason}",
            "Install the worker extra: pip install 'scriptorium[worker]'.",
        )
    found = json.loads(child.stdout)
    if not found["gpus"]:
        return CheckResult(
            "engine",
            "error" if settings.device.startswith("cuda") else "warning",
            f"faster-whisper {found['faster_whisper']} on the CPU; no GPU was found.",
            "For a GPU: check `nvidia-smi` and that CUDA 12 and cuDNN 9 are installed.",
        )
    return CheckResult(
        "engine",
        "ok",
        f"faster-whisper {found['faster_whisper']} on {', '.join(found['gpus'])}.",
    )


def check_speakers(settings: Settings) -> CheckResult:
    """Check in a child process that the diarization model is cached or can be fetched."""
    name = diarize_model(settings.model)
    token = settings.hf_token
    child = subprocess.run(
        [sys.executable, "-m", "gpu_worker.diarization.access", name]
        + (["--model-dir", str(settings.model_dir)] if settings.model_dir else []),
        env=os.environ | ({"HF_TOKEN": token.get_secret_value()} if token else {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if not child.stdout:
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1]
        return CheckResult("speakers", "error", f"{name} cannot be checked: {reason}")
    wrong = json.loads(child.stdout)
    if wrong:
        return CheckResult(
            "speakers",
            "warning",
            f"Speakers are told apart by the model {OFFLINE_NAME}, less well: {wrong['message']}"
            if wrong["code"] in _HAVE_A_SUBSTITUTE
            else f"Jobs will have no speakers ({wrong['code']}): {wrong['message']}",
            wrong["hint"],
        )
    return CheckResult("speakers", "ok", f"{name} is cached or can be fetched.")
