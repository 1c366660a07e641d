"""A check of what the kernel has to isolate the child that decodes strangers' files."""

from __future__ import annotations

from config.settings import Settings
from gpu_worker.audio.decoder.sandbox import possible_seal
from orchestrator.diagnosis.check_result import CheckResult

_REMAINS = {
    "landlock": "seccomp alone denies it all but its open files",
    "seccomp": "a file that takes it over can see names of files, send by UDP and start processes",
}


def check_sandbox(settings: Settings) -> CheckResult:
    """Check that the kernel has landlock and seccomp, which close all but open files."""
    found = possible_seal()
    if not found.lacking:
        message = f"landlock (version {found.landlock}) and seccomp isolate the decoder."
        return CheckResult("sandbox", "ok", message)
    if len(found.lacking) > 1:
        remains = "a file that takes it over can read files and use the network as the worker can"
    else:
        remains = _REMAINS[found.lacking[0]]
    return CheckResult(
        "sandbox",
        "warning",
        f"This kernel lacks {' and '.join(found.lacking)} for the decoder: {remains}.",
        "Run workers on Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK and "
        "CONFIG_SECCOMP_FILTER, on x86-64 or aarch64, and let no profile of the container deny "
        "the calls landlock_* and seccomp.",
    )
