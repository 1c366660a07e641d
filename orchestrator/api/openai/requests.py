"""Turn the form of a request to OpenAI's audio API into options of a job.

OpenAI's fields are translated; each option of a job may also be given by its own name. An unknown
field is refused: a user would notice too late that it was ignored. Pure.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.languages import only_language
from orchestrator.api.openai.fields import FieldRefused, Fields
from orchestrator.api.openai.names import OWN_MODEL, check_model
from orchestrator.api.openai.replies import ReplyFormat
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options

KNOWN_SPEAKERS = 4
LONGEST_PROMPT = 2000  # characters; models use only its last 224 tokens
STREAMED = (ReplyFormat.JSON, ReplyFormat.TEXT, ReplyFormat.DIARIZED_JSON)
_GRANULARITIES = ("word", "segment")
_THEIRS = {"hotwords": "keywords", "language": "languages", "vad_threshold": "chunking_strategy"}
_VAD_FIELDS = {"type", "threshold", "prefix_padding_ms", "silence_duration_ms"}

Task = Literal["transcribe", "translate"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A known speaker, by a clip that is not in the store yet."""

    name: str
    clip: bytes


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """The options of the job, and the shape of the reply."""

    options: JobOptions
    voices: tuple[Voice, ...]
    form: ReplyFormat
    granularities: frozenset[str]
    stream: bool


def audio_request(
    fields: Iterable[tuple[str, str]],
    *,
    model: str,
    allowed: Collection[str] = (),
    task: Task = "transcribe",
) -> AudioRequest:
    """Parse a form; `model` is what OpenAI's names stand for, `allowed` others that jobs may name.

    Raises FieldRefused or NoSuchModel.
    """
    form = Fields(fields)
    values: dict[str, Any] = {"task": _task(form, task)}
    asked = form.one("model")
    if asked is None:
        raise FieldRefused("The field model is missing.", "model")
    values["model"] = model if asked in OWN_MODEL else asked
    if values["model"] != model:
        check_model(asked, allowed)
    if OWN_MODEL.get(asked):
        values["diarize"] = True
    reply = ReplyFormat(form.choice("response_format", tuple(ReplyFormat)) or ReplyFormat.JSON)
    theirs, own = _translated(form), _own(form)
    values |= theirs | own
    if reply is ReplyFormat.DIARIZED_JSON and values.get("diarize") is None:
        values["diarize"] = True
    voices = _voices(form)
    stream = form.boolean("stream")
    granularities = form.many("timestamp_granularities")
    if form.many("include"):
        raise FieldRefused("Log probabilities of tokens are not kept.", "include")
    form.close()
    options = _options(values, {name: _THEIRS.get(name, name) for name in theirs.keys() - own})
    _check_reply(reply, options, granularities, stream=stream)
    told = frozenset(granularities) or frozenset({"segment"})
    return AudioRequest(options, voices, reply, told, stream)


def with_voices(options: JobOptions, clips: Sequence[tuple[str, str]]) -> JobOptions:
    """Add (name, sha256 of the stored clip) pairs to the options. Raises FieldRefused."""
    known = [{"name": name, "clip": clip} for name, clip in clips]
    values = options.model_dump(mode="json")
    return _options(
        values | {"known_speakers": [*values["known_speakers"], *known]},
        {"known_speakers": "known_speaker_names"},
    )


def _task(form: Fields, task: Task) -> str:
    own = form.choice("task", ("transcribe", "translate"))
    if task == "translate" and own == "transcribe":
        raise FieldRefused("This address translates; use /v1/audio/transcriptions.", "task")
    return own or task


def _translated(form: Fields) -> dict[str, Any]:
    """Take OpenAI's own fields; return them as options of a job."""
    values: dict[str, Any] = {}
    if prompt := form.one("prompt"):
        values["initial_prompt"] = prompt[-LONGEST_PROMPT:]
    if keywords := form.many("keywords"):
        values["hotwords"] = ", ".join(keywords)
    languages = form.many("languages")
    if only := only_language(",".join(languages)):
        values["language"] = only
    elif languages:
        values["languages"] = ",".join(languages)
    threshold = _server_vad(form).get("threshold")
    return values if threshold is None else values | {"vad_threshold": threshold}


def _server_vad(form: Fields) -> dict[str, Any]:
    """Take `chunking_strategy`: text, JSON or fields with brackets. Returns {} for `auto`."""
    name = "chunking_strategy"
    found: Any = form.inside(name)
    text = form.one(name)
    if text == "auto" and not found:
        return {}
    if text is not None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
    if found and isinstance(found, dict) and found.get("type") == "server_vad":
        if not found.keys() - _VAD_FIELDS:
            return found
    elif found == {} and text is None:
        return {}
    raise FieldRefused(f"{name} is neither auto nor an object of the type server_vad.", name)


def _own(form: Fields) -> dict[str, Any]:
    """Take options by their own names, which win over OpenAI's fields."""
    values: dict[str, Any] = {}
    for name in JobOptions.model_fields.keys() - {"model", "task", "languages"}:
        if name == "suppress_tokens":
            if items := form.many(name):
                values[name] = [part for item in items for part in item.split(",")]
        elif (text := form.one(name)) is not None:
            # openai/whisper switches a threshold off with None.
            values[name] = None if text in ("None", "null") else text
    if isinstance(text := values.get("known_speakers"), str):
        try:
            values["known_speakers"] = json.loads(text)
        except (ValueError, RecursionError):
            raise FieldRefused("known_speakers is not JSON.", "known_speakers") from None
    return values


def _voices(form: Fields) -> tuple[Voice, ...]:
    names, clips = form.many("known_speaker_names"), form.many("known_speaker_references")
    if len(names) != len(clips):
        raise FieldRefused(
            f"{len(names)} known_speaker_names have {len(clips)} known_speaker_references.",
            "known_speaker_references",
        )
    if len(set(names)) < len(names):
        raise FieldRefused("Two known speakers have the same name.", "known_speaker_names")
    if len(names) > KNOWN_SPEAKERS:
        raise FieldRefused(
            f"More than {KNOWN_SPEAKERS} known speakers are given.", "known_speaker_names"
        )
    return tuple(Voice(name, _clip(clip)) for name, clip in zip(names, clips, strict=True))


def _clip(url: str) -> bytes:
    """Return the bytes inside a data URL. Raises FieldRefused."""
    head, comma, data = url.partition(",")
    if not comma or not head[:5].lower() == "data:":
        raise FieldRefused(
            "A known speaker's reference is not a data URL (data:audio/wav;base64,…).",
            "known_speaker_references",
        )
    plain = unquote_to_bytes(data)
    if not head.lower().endswith(";base64"):
        return plain
    try:
        return b64decode(plain, validate=True)
    except binascii.Error:
        raise FieldRefused(
            "A known speaker's reference is not valid base64.", "known_speaker_references"
        ) from None


def _options(values: dict[str, Any], named: Mapping[str, str]) -> JobOptions:
    """Check the options. Raises FieldRefused, which names the form's field of a wrong option.

    `named` maps an option to its field, where that has another name.
    """
    try:
        return job_options(values)
    except InvalidOption as error:
        raise FieldRefused(error.message, named.get(error.option or "", error.option)) from error


def _check_reply(
    form: ReplyFormat, options: JobOptions, granularities: Sequence[str], *, stream: bool
) -> None:
    """Raise FieldRefused if the reply's format cannot express what the request asks for."""
    name = "timestamp_granularities"
    if set(granularities) - set(_GRANULARITIES):
        raise FieldRefused(f"{name} are {' and '.join(_GRANULARITIES)}.", name)
    if granularities and form is not ReplyFormat.VERBOSE_JSON:
        raise FieldRefused(f"{name} need response_format=verbose_json.", name)
    if "word" in granularities and (not options.word_timestamps or options.aligner == "none"):
        raise FieldRefused("Words have no times with word_timestamps=false or aligner=none.", name)
    if stream and form not in STREAMED:
        raise FieldRefused(
            f"With stream=true the response_format is one of {', '.join(STREAMED)}.",
            "response_format",
        )
    if form is ReplyFormat.DIARIZED_JSON and options.diarize is False:
        raise FieldRefused("diarized_json needs speakers, but diarize is false.", "response_format")
