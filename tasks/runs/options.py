"""The options of a job, and what none of them may be.

`submitted_options.py` has what is refused at submission besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gpu_worker.audio.speech import VadOptions
from gpu_worker.diarization.grid import SHARD_SECONDS
from gpu_worker.models.capabilities import usual_beam_size
from gpu_worker.models.whisper import AUTO
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.language_runs import LanguageChoice
from gpu_worker.transcription.languages import (
    ANY_LANGUAGE,
    language_choice,
    language_code,
    language_codes,
    only_language,
)
from tasks.runs.option_values import (
    LONGEST_HOTWORDS,
    SUPPRESSED_TOKENS,
    ComputeType,
    KnownSpeaker,
    LanguageName,
    ModelName,
    Record,
    Revision,
    TokenId,
    VocabularyName,
)
from tasks.runs.stages import Lane


def _is_truth(annotation: object) -> bool:
    """Return whether an option is true or false by its annotation, perhaps None too."""
    return bool in (annotation, *get_args(annotation))


def _option(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


class JobOptions(Record):
    """The options of a job; names and defaults are openai/whisper's where it has them.

    The options of the command line and of the API are made from these fields.
    """

    model: ModelName = _option(
        AUTO,
        "Name, directory or owner/name on the hub. auto: large-v3-turbo on a GPU, base on a CPU, "
        "or the best one available.",
    )
    revision: Revision | None = _option(None, "Revision on the hub; unset: the newest.")
    compute_type: ComputeType = _option(
        "default", "CTranslate2's; default: int8 on a CPU, on a GPU as the model is stored."
    )
    language: str | None = _option(
        None,
        "Code, tag or English name, such as es, es-MX or Spanish; unset or auto: detected.",
        max_length=64,
    )
    languages: tuple[LanguageName, ...] | None = _option(
        None,
        "Several languages in one file, such as en,de,es, or any: each part gets its own; "
        "unset: one for the whole file.",
        min_length=1, max_length=100,
    )  # fmt: skip
    task: Literal["transcribe", "translate"] = _option("transcribe", "translate: into English.")
    lane: Lane | None = _option(None, "interactive or bulk; unset: by the file's length.")
    channel: int | None = _option(None, "Use one channel, from 0; unset: mix all.", ge=0, lt=16)
    audio_track: int | None = _option(
        None, "Use this audio track, from 0; unset: the file's default.", ge=0, lt=64
    )
    chunk_seconds: float = _option(
        300.0,
        "Seconds of a chunk, about; a file of few chunks gets more and shorter ones.",
        ge=5.0,
        le=600.0,
    )
    batch_size: int = _option(16, "Windows decoded at once.", ge=1, le=512)
    beam_size: int | None = _option(  # None until the model is known
        None, "Beams at temperature 0; 1 is greedy. Unset: 5 with tiny and base, else 1.",
        ge=1, le=20,
    )  # fmt: skip
    best_of: int = _option(5, "Candidates when sampling.", ge=1, le=20)
    patience: float = _option(1.0, "Patience of the beam search.", gt=0, le=10)
    length_penalty: float = _option(1.0, "Exponent of the length in a score.", ge=-10, le=10)
    repetition_penalty: float = _option(1.0, "Above 1: punish repeated tokens.", ge=0.1, le=10)
    no_repeat_ngram_size: int = _option(0, "Never repeat so many tokens; 0: off.", ge=0, le=448)
    temperature: float = _option(0.0, "Temperature of the first try; 0: beam search.", ge=0, le=1)
    temperature_increment_on_fallback: float | None = _option(
        0.2, "Increase per retry when decoding fails a threshold; None: no retry.", ge=0.1, le=1
    )
    compression_ratio_threshold: float | None = _option(
        2.4, "Above: repetitive text, a failure.", ge=-1000, le=1000
    )
    logprob_threshold: float | None = _option(
        -1.0, "Mean log probability; below: a failure.", ge=-1000, le=1000
    )
    no_speech_threshold: float | None = _option(
        0.6, "Above, and below logprob_threshold: taken for silence.", ge=-1000, le=1000
    )
    second_tries: float = _option(
        0.2, "Share of the speech that is decoded again where doubtful; 0: none.", ge=0, le=1
    )
    initial_prompt: str | None = _option(None, "Text that sets the style.", max_length=2000)
    hotwords: str | None = _option(None, "Names and terms to expect.", max_length=LONGEST_HOTWORDS)
    vocabulary: VocabularyName | None = _option(None, "Your vocabulary: name or name@version.")
    suppress_tokens: tuple[TokenId, ...] = _option(
        (-1,), "Token ids; -1: non-speech symbols.", max_length=SUPPRESSED_TOKENS
    )
    max_new_tokens: int | None = _option(None, "Most tokens of a window.", ge=1, le=448)
    word_timestamps: bool = _option(True, "Give each word its time.")
    aligner: Literal["ctc", "whisperx", "cross_attention", "none"] = _option(
        "ctc", "Aligner of words: ctc, whisperx, cross_attention or none."
    )
    align_model: ModelName | None = _option(None, "Model of the aligner; unset: by the language.")
    diarize: bool | None = _option(None, "Tell speakers apart; unset: if one of these is set.")
    diarize_model: ModelName | None = _option(
        None,
        "Unset: pyannote/speaker-diarization-community-1, or offline if it is unavailable; "
        "pico's own for pico.",
    )
    num_speakers: int | None = _option(None, "Exact number of speakers.", ge=1, le=100)
    min_speakers: int | None = _option(None, "Least number of speakers.", ge=1, le=100)
    max_speakers: int | None = _option(None, "Most speakers.", ge=1, le=100)
    known_speakers: tuple[KnownSpeaker, ...] = _option((), "Voices with names.", max_length=100)
    channels: Literal["mix", "split"] = _option(
        "mix", "mix, or split: each channel is one speaker, transcribed alone."
    )
    shard_seconds: float = _option(SHARD_SECONDS, "Nominal seconds of a shard.", ge=8.0, le=3600.0)
    vad_threshold: float = _option(0.5, "Least probability of speech.", gt=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, values: object) -> object:
        """Refuse true and false for numbers: pydantic reads true as 1."""
        for name, value in values.items() if isinstance(values, Mapping) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field and not _is_truth(field.annotation):
                raise ValueError(f"{name} is neither true nor false")
        return values

    @model_validator(mode="before")
    @classmethod
    def _beams(cls, values: object) -> object:
        if not isinstance(values, Mapping) or values.get("beam_size") is not None:
            return values
        model = str(values.get("model", AUTO))
        return {**values, "beam_size": None if model == AUTO else usual_beam_size(model)}

    @field_validator("language", mode="before")
    @classmethod
    def _by_code(cls, language: object) -> object:
        return language_code(language) if isinstance(language, str) else language

    @field_validator("languages", mode="before")
    @classmethod
    def _by_codes(cls, languages: object, others: ValidationInfo) -> object:
        """Return the codes, of which `language` must be one, if it is given too."""
        codes, main = language_codes(languages), others.data.get("language")
        several = codes if isinstance(codes, tuple) and codes != ANY_LANGUAGE else ()
        if main and several and main not in several:
            told = ", ".join(map(str, several))
            raise ValueError(f"language ({main}) is none of languages ({told})")
        return codes

    @model_validator(mode="before")
    @classmethod
    def _one_language(cls, values: object) -> object:
        """Read a list of one language as `language`."""
        if not isinstance(values, Mapping) or values.get("language") is not None:
            return values
        only = only_language(values.get("languages"))
        return values if only is None else {**values, "languages": None, "language": only}

    def language_choice(self) -> LanguageChoice | None:
        """Return the languages that the file may be in; None if it is in one alone."""
        return language_choice(self.languages, self.language)

    def decode_options(self, language: str | None) -> DecodeOptions:
        """Return the options for the engine."""
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
        """The temperatures to decode with, one after the other, up to 1 (openai/whisper's rule)."""
        step = self.temperature_increment_on_fallback
        if step is None:
            return (self.temperature,)
        count = int((1.0 - self.temperature) / step + 1e-6) + 1
        return tuple(round(self.temperature + step * index, 6) for index in range(count))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        least, most = self.min_speakers or 1, self.max_speakers or 100
        if least > most:
            raise ValueError(f"min_speakers ({least}) is more than max_speakers ({most})")
        if self.channel is not None and self.channels == "split":
            raise ValueError("channels=split uses every channel; leave channel out")
        names = [known.name for known in self.known_speakers]
        if len(set(names)) < len(names):
            raise ValueError("two known speakers have the same name")
        return self

    @property
    def unset(self) -> frozenset[str]:
        """The newer options that are not set: the keys of older artifacts do without them."""
        return frozenset({"languages"} if self.languages is None else ())

    @property
    def aligns(self) -> bool:
        """Whether an aligner times the words; never for a translation, which has no audio."""
        second = self.aligner not in ("cross_attention", "none")  # neither needs another model
        return second and self.word_timestamps and self.task == "transcribe"

    @property
    def diarizes(self) -> bool:
        """Whether a diarizer runs; never for split channels, each of which is a speaker."""
        if self.channels == "split":
            return False
        if self.diarize is not None:
            return self.diarize
        return bool(
            self.num_speakers or self.min_speakers or self.max_speakers
            or self.known_speakers or self.diarize_model
        )  # fmt: skip

    def vad_options(self) -> VadOptions:
        """Return the options for the speech detection."""
        return VadOptions(threshold=self.vad_threshold)
