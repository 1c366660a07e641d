"""The decode options of `transcribe` and `submit`, made from the fields of `JobOptions`.

Each is known by its dashed and its underscored name, so the command lines of
openai/whisper and whisperX work as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from orchestrator.cli.context import current_settings
from tasks.manifest import JobOptions, job_options

# Other people's names for the same thing.
_ALIASES = {"vad_threshold": ["--vad_onset"], "model": ["-m"], "language": ["-l"]}
# Options of theirs that change nothing here, and why.
_ACCEPTED = {
    "condition_on_previous_text": "Accepted; windows are always decoded independently.",
    "fp16": "Accepted; use --compute-type.",
    "vad_filter": "Accepted; speech is always looked for.",
    "vad_method": "Accepted; it is Silero's.",
    "no_align": "Accepted; words are timed by cross-attention.",
    "vad_offset": "Accepted; Silero has one threshold.",
    "chunk_size": "Accepted; windows are as long as the model hears.",
    "segment_resolution": "Accepted; a line ends with its sentence or at a pause.",
    "device_index": "Accepted; each worker has a GPU of its own.",
    "verbose": "Accepted; use --quiet.",
    "print_progress": "Accepted; progress is always shown on a terminal.",
}
_FLAGS = frozenset({"no_align"})


def with_job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field; it gets them as `options: JobOptions`."""
    signature = inspect.signature(command, eval_str=True)
    own = [item for name, item in signature.parameters.items() if name != "options"]
    parameters = [*own, *_field_parameters(), *_accepted_parameters()]

    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in JobOptions.model_fields}
        given["model"] = _located(given["model"] or current_settings().model)
        for name in _ACCEPTED:
            values.pop(name)
        command(**values, options=parse_options(given))

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapped


def parse_options(given: Mapping[str, str | None]) -> JobOptions:
    """Options from their words on the command line. Raises InvalidOption."""
    values: dict[str, Any] = {}
    for name, text in given.items():
        if text is None:
            continue
        if text == "None":  # openai/whisper's way to switch a threshold off
            values[name] = None
        elif name == "suppress_tokens":
            values[name] = [part for part in text.split(",") if part.strip()]
        else:
            values[name] = text
    return job_options(values)


def _located(model: str) -> str:
    """Workers run elsewhere, so a directory goes by its absolute path."""
    return str(Path(model).absolute()) if (Path(model) / "model.bin").is_file() else model


def spellings(name: str) -> list[str]:
    """--with-dashes and --with_underscores."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def _field_parameters() -> list[inspect.Parameter]:
    return [
        _parameter(
            name,
            str | None,
            typer.Option(
                *spellings(name),
                *_ALIASES.get(name, []),
                help=f"{field.description}{_default(name, field.default)}",
                metavar=_metavar(field.annotation),
                rich_help_panel="How it is transcribed",
            ),
            None,
        )
        for name, field in JobOptions.model_fields.items()
    ]


def _metavar(annotation: Any) -> str:
    kinds = {int: "INTEGER", float: "NUMBER", bool: "True|False"}
    return next(
        (word for kind, word in kinds.items() if kind in (annotation, *get_args(annotation))),
        "TEXT",
    )


def _default(name: str, default: Any) -> str:
    """For the help; the model's comes from the settings."""
    if default is None or name == "model":
        return ""
    return f" [default: {','.join(map(str, default)) if isinstance(default, tuple) else default}]"


def _accepted_parameters() -> list[inspect.Parameter]:
    return [
        _parameter(
            name,
            bool if name in _FLAGS else str | None,
            typer.Option(*spellings(name), help=help_text, hidden=True),
            False if name in _FLAGS else None,
        )
        for name, help_text in _ACCEPTED.items()
    ]


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )
