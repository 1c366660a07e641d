"""Read the report of the child that decodes, which a hostile file may have forged.

Nothing of it is believed that can be found out otherwise: the caller hashes and measures the PCM
itself. The rest has types, ranges and patterns here. Not for the child, which starts faster without
this library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gpu_worker.audio.decoded import AudioLimits
from gpu_worker.errors import UnreadableAudio
from gpu_worker.transcript import TranscriptWarning

_LONGEST_SECONDS = 1e7  # 16 weeks: more than any file's clock, and finite
_MOST_WARNINGS = 200  # 20 of a kind and one for the rest is usual

_Seconds = Annotated[float, Field(ge=0, le=_LONGEST_SECONDS, allow_inf_nan=False)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,+-]{1,200}$")]
_Message = Annotated[str, Field(min_length=1, max_length=1000)]


class _Strict(BaseModel):
    """Takes what is exactly as declared, and no field more."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ReportedWarning(_Strict):
    """A warning for the reader of the transcript."""

    code: Literal[
        "decode_errors",
        "timestamp_gaps",
        "truncated_audio",
        "opposite_channels",
        "several_audio_streams",
    ]
    message: _Message
    start: _Seconds | None = None
    end: _Seconds | None = None

    def warning(self) -> TranscriptWarning:
        """Return it as transcripts have it."""
        return TranscriptWarning(self.code, self.message, self.start, self.end)


class ReportedAudio(_Strict):
    """What the child says of the file and of the PCM that it wrote."""

    samples: int = Field(ge=1)  # of each output
    outputs: int = Field(ge=1, le=1024)  # files that were written, the first ones of those given
    source_sample_rate: int = Field(ge=1, le=10_000_000)
    channels: int = Field(ge=1, le=1024)
    codec: _Name
    container: _Name
    declared_seconds: _Seconds | None = None
    warnings: tuple[ReportedWarning, ...] = Field(default=(), max_length=_MOST_WARNINGS)


class ReportedError(_Strict):
    """Why there is no audio."""

    code: Literal[
        "audio_out_of_bounds",
        "disk_full",
        "invalid_option",
        "needs_numpy",
        "no_audio_samples",
        "no_audio_stream",
        "unreadable_audio",
    ]
    message: _Message


class _Report(_Strict):
    audio: ReportedAudio | None = None
    error: ReportedError | None = None


def read_report(answer: bytes) -> ReportedAudio | ReportedError:
    """Return what the child reports, of its answer in JSON.

    Raises UnreadableAudio if that is not a report.
    """
    try:
        report = _Report.model_validate_json(answer)
    except ValidationError as error:
        raise _senseless(f"{error.error_count()} fields are wrong") from None
    found = report.error or report.audio
    if found is None or (report.error and report.audio):
        raise _senseless("it is neither audio nor an error")
    return found


def check_audio(
    audio: ReportedAudio, sizes: Sequence[int], limits: AudioLimits, *, split: bool
) -> None:
    """Raise UnreadableAudio unless the report fits the request and the files that were written.

    `sizes` are the bytes in each file that the child got to write.
    """
    accepted = limits.min_sample_rate <= audio.source_sample_rate <= limits.max_sample_rate
    if not accepted or audio.channels > limits.max_channels:
        raise _senseless("its audio is outside the bounds")
    if audio.outputs != (audio.channels if split else 1) or audio.outputs > len(sizes):
        raise _senseless("it names another number of outputs")
    expected = [2 * audio.samples] * audio.outputs + [0] * (len(sizes) - audio.outputs)
    if list(sizes) != expected:
        raise _senseless("other samples were written than it says")


def _senseless(reason: str) -> UnreadableAudio:
    return UnreadableAudio(f"The decoder's report on this file makes no sense: {reason}.")
