"""The OpenAPI description of the OpenAI-compatible routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from orchestrator.api.openai.replies import ReplyFormat
from orchestrator.api.openai.requests import KNOWN_SPEAKERS, STREAMED
from orchestrator.api.replies import EVENT, Warned, error_replies
from tasks.runs.options import JobOptions


class Usage(BaseModel):
    """The length of the audio, as OpenAI bills it."""

    type: Literal["duration"]
    seconds: int = Field(description="Seconds of audio, rounded up.")


class Transcription(BaseModel):
    """The reply to `response_format=json`."""

    text: str
    usage: Usage
    warnings: list[Warned] | None = Field(None, description="Not OpenAI's; absent if none.")


class VerboseSegment(BaseModel):
    """A line of the transcript."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int] = Field(description="Always empty.")
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    speaker: str | None = Field(None, description="Not OpenAI's; absent without speakers.")


class TimedWord(BaseModel):
    """A word and its time."""

    word: str
    start: float
    end: float


class VerboseTranscription(Transcription):
    """The reply to `response_format=verbose_json`."""

    task: Literal["transcribe", "translate"]
    language: str = Field(description="In English, such as english.")
    duration: float
    segments: list[VerboseSegment] | None = None
    words: list[TimedWord] | None = None


class DiarizedSegment(BaseModel):
    """A line of the transcript with its speaker."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    speaker: str = Field(description="A, B, … or a known speaker's name.")
    text: str


class DiarizedTranscription(Transcription):
    """The reply to `response_format=diarized_json`."""

    task: Literal["transcribe", "translate"]
    duration: float
    segments: list[DiarizedSegment]


class Model(BaseModel):
    """A model's name that jobs may use."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models that have a name."""

    object: Literal["list"]
    data: list[Model]


_JOB_HEADER = {
    "X-Scriptorium-Job": {"description": "The job's id.", "schema": {"type": "string"}},
}
_TEXT = {"schema": {"type": "string"}}
AUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {
    **error_replies(400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507),
    200: {
        "description": "The transcript, in the form that `response_format` and `stream` ask for.",
        "model": DiarizedTranscription | VerboseTranscription | Transcription,
        "headers": _JOB_HEADER,
        "content": {
            "text/event-stream": {"schema": EVENT},
            **{form.media_type.partition(";")[0]: _TEXT for form in ReplyFormat if form.is_text},
        },
    },
}
MODEL_RESPONSES = error_replies(401, 403, 404, 422, 503)


def audio_body() -> dict[str, Any]:
    """Return the `openapi_extra` that describes the form, which the routes parse themselves."""
    schema = {
        "type": "object",
        "properties": _option_fields() | _openai_fields(),
        "required": ["file", "model"],
        "additionalProperties": False,
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _openai_fields() -> dict[str, Any]:
    several = {"type": "array", "items": {"type": "string"}}
    form = {"type": "string", "enum": [form.value for form in ReplyFormat], "default": "json"}
    return {
        "file": {"type": "string", "format": "binary", "description": "The audio or video."},
        "model": {
            "type": "string",
            "description": "As in GET /v1/models. OpenAI's names mean the cluster's own model.",
        },
        "prompt": {"type": "string", "description": "As initial_prompt; only its end is used."},
        "response_format": form,
        "stream": {
            "type": "boolean",
            "default": False,
            "description": f"Server-sent events; with {', '.join(STREAMED)}.",
        },
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"type": "string", "enum": ["word", "segment"]},
            "description": "With verbose_json.",
        },
        "chunking_strategy": {
            "type": "string",
            "description": "auto, or a server_vad object as JSON.",
        },
        "include[]": several | {"maxItems": 0, "description": "Not supported."},
        "keywords[]": several | {"description": "As hotwords."},
        "languages[]": several | {"description": "Of several, each part gets its own."},
        "known_speaker_names[]": several | {"maxItems": KNOWN_SPEAKERS},
        "known_speaker_references[]": several
        | {"maxItems": KNOWN_SPEAKERS, "description": "A data URL of audio for each name."},
    }


def _option_fields() -> dict[str, Any]:
    """Return each option of a job as one field of a form."""
    fields: dict[str, Any] = JobOptions.model_json_schema()["properties"]
    plain = {name: _plain(field) for name, field in fields.items()}
    text = {"type": "string"}
    return plain | {
        "known_speakers": text | {"description": "JSON: [{name, clip}], clip by sha256."},
        "languages": text | {"description": "Codes, separated by commas, or any."},
        "suppress_tokens": text | {"description": "Token ids, separated by commas."},
        "lane": text | {"enum": ["interactive", "bulk"]},
    }


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """Return the field's schema without null, which a form cannot express, and without titles."""
    kept = {name: value for name, value in field.items() if name not in ("anyOf", "title")}
    if kept.get("default", ...) is None:
        del kept["default"]
    for choice in field.get("anyOf", ()):
        if choice.get("type") != "null":
            kept |= choice
    return kept
