"""What the OpenAPI document says of the OpenAI-compatible routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from orchestrator.api.openai.replies import ReplyFormat
from orchestrator.api.openai.requests import KNOWN_SPEAKERS, STREAMED
from orchestrator.api.replies import EVENT, Warned, error_replies
from tasks.runs.options import JobOptions


class Usage(BaseModel):
    """What OpenAI would bill."""

    type: Literal["duration"]
    seconds: int = Field(description="Begun seconds of audio.")


class Transcription(BaseModel):
    """`json`."""

    text: str
    usage: Usage
    warnings: list[Warned] | None = Field(None, description="Not of OpenAI; absent if none.")


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
    speaker: str | None = Field(None, description="Not of OpenAI; absent without speakers.")


class TimedWord(BaseModel):
    """A word and its time."""

    word: str
    start: float
    end: float


class VerboseTranscription(Transcription):
    """`verbose_json`."""

    task: Literal["transcribe", "translate"]
    language: str = Field(description="In English, such as english.")
    duration: float
    segments: list[VerboseSegment] | None = None
    words: list[TimedWord] | None = None


class DiarizedSegment(BaseModel):
    """What one speaker says."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    speaker: str = Field(description="A, B, … or a known speaker's name.")
    text: str


class DiarizedTranscription(Transcription):
    """`diarized_json`."""

    task: Literal["transcribe", "translate"]
    duration: float
    segments: list[DiarizedSegment]


class Model(BaseModel):
    """A name that jobs may use."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them."""

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
    """The form that the routes read themselves, as `openapi_extra`."""
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
            "description": "Of GET /v1/models. OpenAI's names mean the cluster's own model.",
        },
        "prompt": {"type": "string", "description": "As initial_prompt; its end counts."},
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
        "languages[]": several | {"description": "Of several, the spoken one is detected."},
        "known_speaker_names[]": several | {"maxItems": KNOWN_SPEAKERS},
        "known_speaker_references[]": several
        | {"maxItems": KNOWN_SPEAKERS, "description": "A data URL of audio for each name."},
    }


def _option_fields() -> dict[str, Any]:
    """Each option of a job, as one field of a form."""
    fields: dict[str, Any] = JobOptions.model_json_schema()["properties"]
    plain = {name: _plain(field) for name, field in fields.items()}
    text = {"type": "string"}
    return plain | {
        "known_speakers": text | {"description": "JSON: [{name, clip}], clip by sha256."},
        "suppress_tokens": text | {"description": "Token ids by comma."},
        "lane": text | {"enum": ["interactive", "bulk"]},
    }


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """Without null, which a form cannot say, and without titles."""
    kept = {name: value for name, value in field.items() if name not in ("anyOf", "title")}
    if kept.get("default", ...) is None:
        del kept["default"]
    for choice in field.get("anyOf", ()):
        if choice.get("type") != "null":
            kept |= choice
    return kept
