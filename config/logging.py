"""Log lines as JSON (or as text for people), with the job on every line.

Secrets never reach this module: settings keep them in `SecretStr`, and the debug lines of
libraries are left out.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

_OURS = ("config", "gpu_worker", "tasks", "orchestrator")


def configure_logging(level: str = "INFO", form: str = "json") -> None:
    """Send structlog and the standard library's loggers to stderr in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    handler.addFilter(_may_be_written)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _may_be_written(record: logging.LogRecord) -> bool:
    """Return whether a record may be logged: any from INFO on, and debug lines of our packages.

    Libraries' debug lines hold whole requests and messages: S3's tokens, signed addresses.
    """
    return record.levelno >= logging.INFO or record.name.partition(".")[0] in _OURS
