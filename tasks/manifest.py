"""What a job is: its source and options as submitted, and its plan once it is known.

Both are artifacts, written once. Options are checked here, so that a bad one is
refused at submission and not by a worker an hour later.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gpu_worker.engines import DecodeOptions
from gpu_worker.errors import InvalidOption
from gpu_worker.languages import language_code
from gpu_worker.speech import VadOptions
from gpu_worker.transcript import Notice
from tasks.stages import Lane

MANIFEST_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ComputeType = Literal[
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
    "int16", "float16", "bfloat16", "float32",
]  # fmt: skip


def _option(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


class JobOptions(_Record):
    """Everything a submitter may choose; names and defaults are openai/whisper's where it has them.

    The command line's options are made from these fields.
    """

    model: str = _option(
        "pico", "Name, directory or owner/name on the hub. pico: for demos and tests only."
    )
    revision: str | None = _option(None, "Of the model on the hub; unset: the newest.")
    compute_type: ComputeType = _option("default", "Quantization of the model, as CTranslate2's.")
    language: str | None = _option(
        None,
        "Code or English name, such as es or Spanish; unset: detected.",
        pattern=r"^[a-z]{2,3}$",
    )
    task: Literal["transcribe", "translate"] = _option("transcribe", "translate: to English.")
    lane: Lane | None = _option(None, "interactive or bulk; unset: by the file's length.")
    channel: int | None = _option(None, "One channel, from 0; unset: all mixed.", ge=0, lt=16)
    chunk_seconds: float = _option(300.0, "Nominal length of a chunk.", ge=5.0, le=600.0)
    batch_size: int = _option(16, "Windows decoded at once.", ge=1, le=512)
    beam_size: int = _option(1, "Beams at temperature 0; 1 is greedy.", ge=1, le=20)
    best_of: int = _option(5, "Candidates when sampling.", ge=1, le=20)
    patience: float = _option(1.0, "Of the beam search.", gt=0)
    length_penalty: float = _option(1.0, "Exponent of the length in a candidate's score.")
    repetition_penalty: float = _option(1.0, "Above 1: repeat less.", gt=0)
    no_repeat_ngram_size: int = _option(0, "Never repeat a run of that many tokens.", ge=0)
    temperature: float = _option(0.0, "First temperature.", ge=0, le=1)
    temperature_increment_on_fallback: float | None = _option(
        0.2, "Step when a window is not believed; None: never try again.", gt=0, le=1
    )
    compression_ratio_threshold: float | None = _option(2.4, "Above: the text repeats itself.")
    logprob_threshold: float | None = _option(-1.0, "Below: the text is not believed.")
    no_speech_threshold: float | None = _option(0.6, "Above, and not believed: silence.")
    initial_prompt: str | None = _option(None, "Text to set the style.", max_length=2000)
    hotwords: str | None = _option(None, "Names and terms to expect.", max_length=2000)
    suppress_tokens: tuple[int, ...] = _option((-1,), "Token ids; -1: non-speech symbols.")
    max_new_tokens: int | None = _option(None, "At most so many tokens a window.", ge=1, le=448)
    word_timestamps: bool = _option(True, "Give each word its time.")
    vad_threshold: float = _option(0.5, "Speech probability that counts as speech.", gt=0, lt=1)

    @field_validator("language", mode="before")
    @classmethod
    def _by_code(cls, language: object) -> object:
        return language_code(language) if isinstance(language, str) else language

    def decode_options(self, language: str | None) -> DecodeOptions:
        """What the engine needs of them."""
        return DecodeOptions(
            language=language,
            temperatures=self.temperatures,
            **self.model_dump(
                include={
                    "task", "beam_size", "best_of", "patience", "length_penalty",
                    "repetition_penalty", "no_repeat_ngram_size", "compression_ratio_threshold",
                    "logprob_threshold", "no_speech_threshold", "initial_prompt", "hotwords",
                    "suppress_tokens", "max_new_tokens", "word_timestamps",
                }
            ),
        )  # fmt: skip

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperature, then each step up to 1 (openai/whisper's rule)."""
        step = self.temperature_increment_on_fallback
        if step is None:
            return (self.temperature,)
        count = int((1.0 - self.temperature) / step + 1e-6) + 1
        return tuple(round(self.temperature + step * index, 6) for index in range(count))

    def vad_options(self) -> VadOptions:
        """What the speech detection needs of them."""
        return VadOptions(threshold=self.vad_threshold)


def job_options(values: dict[str, Any]) -> JobOptions:
    """Options from outside. Raises InvalidOption with one sentence for each wrong one."""
    try:
        return JobOptions.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise InvalidOption(f"Options are not valid: {wrong}.") from error


class Source(_Record):
    """Where the audio is: an artifact of our store, or an object of somebody's bucket."""

    name: str  # for people; never used as a path
    artifact: str | None = None
    url: str | None = None  # s3://bucket/key

    @field_validator("name", mode="before")
    @classmethod
    def _printable(cls, name: str) -> str:
        """File names are bytes; those that are no UTF-8 could not be written into a manifest."""
        return name.encode("utf-8", "replace").decode()


class Manifest(_Record):
    """A job as it was accepted."""

    version: int = MANIFEST_VERSION
    tenant: str
    job: str
    created_at: float  # seconds since 1970
    source: Source
    options: JobOptions
    idempotency_key: str | None = None


class Plan(_Record):
    """What `prepare` found out: the audio and its chunks."""

    audio: str  # sha256 of the PCM
    seconds: float
    chunks: tuple[tuple[int, int], ...]  # first sample and the one after the last
    warnings: tuple[Notice, ...] = ()

    def chunk_seconds(self, index: int) -> float:
        """How much audio one chunk holds."""
        start, end = self.chunks[index]
        return (end - start) / 16_000

    def lane(self, options: JobOptions) -> Lane:
        """The lane asked for, else bulk for files that would keep others waiting."""
        if options.lane is not None:
            return options.lane
        return Lane.INTERACTIVE if self.seconds <= INTERACTIVE_SECONDS else Lane.BULK


INTERACTIVE_SECONDS = 600.0  # up to two default chunks: done before anybody is held up
