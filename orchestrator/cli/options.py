"""The options of `transcribe`, `submit` and `rerun`, made from the fields of `JobOptions`.

Each can be written with dashes or with underscores, so that the command lines of
openai/whisper and whisperX work unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from orchestrator.cli.booleans import boolean
from orchestrator.cli.context import current_settings
from orchestrator.cli.spellings import spellings
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import job_options

# Other names of the same options: whisperX's, and openai/whisper's short ones.
_ALIASES = {"vad_threshold": ["--vad_onset"], "model": ["-m"], "language": ["-l"]}
# Options of openai/whisper and whisperX that have no effect here, and why.
_ACCEPTED = {
    "condition_on_previous_text": "Accepted; windows are always decoded independently.",
    "fp16": "Accepted; use --compute-type.",
    "vad_filter": "Accepted; speech detection is always on.",
    "vad_method": "Accepted; speech detection is always Silero's.",
    "interpolate_method": "Accepted; a word without a time gets one between its neighbors.",
    "vad_offset": "Accepted; Silero has one threshold.",
    "chunk_size": "Accepted; a window has at most 30 s, as the model needs it.",
    "segment_resolution": "Accepted; a segment ends with its sentence or at a pause.",
    "device_index": "Accepted; each worker has a GPU of its own.",
    "verbose": "Accepted; use --quiet.",
    "print_progress": "Accepted; progress is always shown on a terminal.",
}
# The options that are true or false; any other text is an error.
_BOOLEANS = {"condition_on_previous_text", "fp16", "vad_filter", "verbose", "print_progress"} | {
    name for name, field in JobOptions.model_fields.items() if field.annotation is bool
}
_NO_ALIGN = "no_align"  # whisperX's option for --aligner cross_attention
_SPEAKERS = frozenset(
    {
        "aligner", "align_model", "diarize", "diarize_model", "num_speakers", "min_speakers",
        "max_speakers", "channels", "shard_seconds",
    }
)  # fmt: skip
_MODELS = {  # and a file that a directory with such a model contains
    "model": "model.bin",
    "align_model": "config.json",
    "diarize_model": "config.yaml",
}
_OWN = frozenset({"known_speakers"})  # its value is made of files, which a command uploads first


def with_job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of `JobOptions`.

    The command gets them as `options: JobOptions`, or only the given ones as `changes: dict`.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for name, p in signature.parameters.items() if name not in ("options", "changes")]
    parameters = [*own, *_field_parameters(), *_accepted_parameters()]

    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in JobOptions.model_fields if name not in _OWN}
        if values.pop(_NO_ALIGN) and given["aligner"] is None:
            given["aligner"] = "cross_attention"
        parse_values({name: values.pop(name) for name in _ACCEPTED})
        for name in _MODELS:
            if given[name] is not None:
                given[name] = located(given[name])
        if "changes" in signature.parameters:
            command(**values, changes=parse_values(given))
            return
        if not current_settings().trial:  # which leaves alone what a job names
            given["model"] = given["model"] or located(current_settings().model)
        command(**values, options=job_options(parse_values(given)))

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapped


def parse_values(given: Mapping[str, str | bool | None]) -> dict[str, Any]:
    """Return the given options, parsed from their text.

    Raises InvalidOption for a text that is neither true nor false where one of them is needed.
    """
    values: dict[str, Any] = {}
    for name, text in given.items():
        if text is None:
            continue
        if text == "None":  # openai/whisper's text to switch off a threshold
            values[name] = None
        elif name == "suppress_tokens" and isinstance(text, str):
            values[name] = [part for part in text.split(",") if part.strip()]
        elif name in _BOOLEANS and isinstance(text, str):
            values[name] = boolean(name, text)
        else:
            values[name] = text
    return values


def located(model: str) -> str:
    """Return a model's name, or its directory as an absolute path: workers run elsewhere."""
    is_directory = any((Path(model) / name).is_file() for name in _MODELS.values())
    return str(Path(model).absolute()) if is_directory else model


def _field_parameters() -> list[inspect.Parameter]:
    return [
        _parameter(
            name,
            bool | None if name == "diarize" else str | None,
            typer.Option(
                *_switches(name),
                *_ALIASES.get(name, []),
                help=f"{field.description}{_default(name, field.get_default())}",
                metavar=None if name == "diarize" else _metavar(field.annotation),
                rich_help_panel="Words and speakers"
                if name in _SPEAKERS
                else "How it is transcribed",
            ),
            None,
        )
        for name, field in JobOptions.model_fields.items()
        if name not in _OWN
    ]


def _switches(name: str) -> list[str]:
    """Return an option's forms; like whisperX's, `--diarize` takes no value."""
    return ["--diarize/--no-diarize"] if name == "diarize" else spellings(name)


def _metavar(annotation: Any) -> str:
    kinds = {int: "INTEGER", float: "NUMBER", bool: "True|False"}
    return next(
        (word for kind, word in kinds.items() if kind in (annotation, *get_args(annotation))),
        "TEXT",
    )


def _default(name: str, default: Any) -> str:
    """Return the default for the help text; that of `model` depends on the settings."""
    if default is None or name == "model":
        return ""
    return f" [default: {','.join(map(str, default)) if isinstance(default, tuple) else default}]"


def _accepted_parameters() -> list[inspect.Parameter]:
    accepted = [
        _parameter(
            name, str | None, typer.Option(*spellings(name), help=help_text, hidden=True), None
        )
        for name, help_text in _ACCEPTED.items()
    ]
    no_align = typer.Option(
        *spellings(_NO_ALIGN), help="The same as --aligner cross_attention.", hidden=True
    )
    return [*accepted, _parameter(_NO_ALIGN, bool, no_align, False)]


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )
