"""Every way a stage can fail, as one tree.

    PermanentError   trying again cannot help: the unit fails at once, with a code
    TransientError   the same call may succeed later: it is tried again
    WorkerFault      this worker cannot do the work, another may: the worker tests itself
    OutOfMemory      halve the batch, then hand the chunk on

A class's docstring is its default message and `hint` says what to do. What follows from an error
of each branch is decided by `tasks/execution/retries.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ScriptoriumError(Exception):
    """Something went wrong in Scriptorium."""

    kind: ClassVar[str] = "permanent"  # the branch, as artifacts and the API name it
    code: ClassVar[str] = "internal_error"
    hint: ClassVar[str] = "Look at the worker's log; if it repeats, report it with the job id."
    is_awaited: ClassVar[bool] = False
    """Whether a worker tries again for as long as the fault lasts: a service of the cluster is
    away, and no job is to be lost by it.
    """

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, option: str | None = None
    ) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.advice = hint or self.hint
        self.option = option  # of a job, the wrong one; None: none is, or two disagree
        super().__init__(self.message)

    def to_json(self) -> dict[str, Any]:
        """Return the error as artifacts and the API hold it: type, code, message and hint."""
        return {"type": self.kind, "code": self.code, "message": self.message, "hint": self.advice}


class PermanentError(ScriptoriumError):
    """The job cannot succeed as it was submitted."""

    code = "permanent_error"


class UnreadableAudio(PermanentError):
    """The file is not audio that can be read."""

    code = "unreadable_audio"
    hint = "Check that the file plays, or convert it to wav, flac, mp3, m4a, ogg or webm."


class NoAudioStream(PermanentError):
    """The file has no audio stream."""

    code = "no_audio_stream"
    hint = "Submit a file that has sound, for example the original recording."


class NoAudioSamples(PermanentError):
    """The file has an audio stream but not a single sample in it."""

    code = "no_audio_samples"
    hint = "The recording is empty or was cut off while it was written; submit the whole file."


class AudioOutOfBounds(PermanentError):
    """The audio's sample rate, channels, length or size is outside what is accepted."""

    code = "audio_out_of_bounds"
    hint = "Convert the file to 16 kHz mono, or cut it into shorter files."


class SourceMissing(PermanentError):
    """The audio is no longer where the job says it is."""

    code = "source_missing"
    hint = "Check the source's address and that the worker may read it, then submit again."


class SourceTooSlow(PermanentError):
    """The server of the audio's address did not send it in time."""

    code = "source_too_slow"
    hint = "Upload the file, or put it where it can be fetched faster."


class InvalidOption(PermanentError):
    """An option has a value that is not allowed."""

    code = "invalid_option"
    hint = "See `scriptorium transcribe --help` for the options and their values."


class StoreRefused(PermanentError):
    """The cluster's object store refused what was asked of it."""

    code = "store_refused"
    is_awaited = True  # credentials expire, and permissions are mended
    hint = "Check the store's URL, its credentials and their permissions: `scriptorium doctor`."


class UnknownModel(PermanentError):
    """There is no model of that name."""

    code = "unknown_model"
    hint = "`scriptorium models list` shows the names; a local directory works too."


class NoAlignModel(PermanentError):
    """No model is known that aligns this language."""

    code = "no_align_model"
    hint = "Name one with --align-model, or use the engine's times: --aligner cross_attention."


class LibraryMissing(PermanentError):
    """A library that this needs is not installed."""

    code = "library_missing"
    hint = "Install the worker extra: pip install 'scriptorium[worker]'."


class HubTokenMissing(PermanentError):
    """The model's terms must be accepted on its hub, and there is no token that says who did."""

    code = "hub_token_missing"
    hint = (
        "Accept the terms at https://hf.co/pyannote/speaker-diarization-community-1, then give a "
        "token of that account as HF_TOKEN or --hf-token-file."
    )


class ModelNotTrusted(PermanentError):
    """The model is not among those that jobs may use here: files of a model may hold code."""

    code = "model_not_trusted"
    hint = "The operator of the workers can name it in SCRIPTORIUM_TRUSTED_DIARIZE_MODELS."


class ModelGated(PermanentError):
    """The hub does not let the owner of this token have the model."""

    code = "model_gated"
    hint = (
        "Accept the terms at https://hf.co/pyannote/speaker-diarization-community-1 with the "
        "account that the token in HF_TOKEN or --hf-token-file belongs to."
    )


class ChunkCrashed(PermanentError):
    """The worker died each time it worked on this chunk."""

    code = "chunk_crashed"
    hint = (
        "It is in `scriptorium dead-letters`; `scriptorium retry JOB`, or `rerun`, tries it again."
    )


class RetriesExhausted(PermanentError):
    """A fault that should have passed did not."""

    code = "retries_exhausted"
    hint = "Mend the cause named in the message, then `scriptorium retry JOB`."


class TransientError(ScriptoriumError):
    """A fault that may pass by itself."""

    kind = "transient"
    code = "transient_error"
    hint = "It is tried again by itself."


class StoreUnavailable(TransientError):
    """The object store cannot be reached."""

    code = "store_unavailable"
    is_awaited = True
    hint = "Check the store's URL, its credentials and the network: `scriptorium doctor`."


class SourceUnavailable(TransientError):
    """The server of the audio's address does not answer as it should."""

    code = "source_unavailable"
    hint = "Check that the address can be fetched from the internet, then submit again."


class RedisUnavailable(TransientError):
    """Redis cannot be reached."""

    code = "redis_unavailable"
    is_awaited = True
    hint = "Check REDIS_URL and that Redis is running: `scriptorium doctor`."


class ModelUnavailable(TransientError):
    """The model could not be fetched from its hub."""

    code = "model_unavailable"
    is_awaited = True
    hint = "Check the network, or fetch it beforehand: `scriptorium models pull NAME`."


class DiskFull(TransientError):
    """There is no space left on the disk."""

    code = "disk_full"
    hint = "Free some space in the work directory or the store, or point them elsewhere."


class WorkerFault(ScriptoriumError):
    """This worker cannot do the work, whatever the job is; another worker may."""

    kind = "transient"  # for the job
    code = "worker_fault"
    hint = "Look at the worker's log; the worker tests itself and leaves if it cannot work."


class DeviceFault(WorkerFault):
    """The device of this worker, its driver or its libraries failed."""

    code = "device_fault"
    hint = "Check the worker's GPU and driver with `nvidia-smi` and `scriptorium doctor`."


class DevicePoisoned(DeviceFault):
    """The GPU's state is corrupt; this process must end before the chunk is tried again."""

    code = "device_poisoned"
    hint = "The worker restarts by itself; if it repeats, check the GPU with `nvidia-smi`."


class ScratchUnusable(WorkerFault):
    """The worker's work directory takes no files."""

    code = "scratch_unusable"
    hint = "Check SCRIPTORIUM_WORK_DIR on the worker: it must exist, be writable and have space."


class OutOfMemory(ScriptoriumError):
    """The model ran out of memory even with a batch of one window."""

    kind = "out_of_memory"
    code = "gpu_out_of_memory"
    hint = "Use a smaller model or compute type, or a device with more memory."
