"""The command lines of openai/whisper and whisperX work as they are."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gpu_worker.errors import InvalidOption
from orchestrator.cli.context import remember
from orchestrator.cli.options import parse_values, with_job_options
from orchestrator.cli.spellings import spellings
from orchestrator.cli.subtitles import subtitle_options
from tasks.runs.options import JobOptions

app = typer.Typer()
app.callback()(remember)  # it reads the settings, as in the real one
given: list[JobOptions] = []


@app.command()
@with_job_options
def command(file: str, options: JobOptions) -> None:
    """Take a file and options."""
    given.append(options)


def parsed(*arguments: str) -> JobOptions:
    result = CliRunner().invoke(app, ["command", "talk.mp3", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return given.pop()


def test_no_options_are_the_defaults() -> None:
    assert parsed() == JobOptions()


@pytest.mark.parametrize("name", sorted(set(JobOptions.model_fields) - {"known_speakers"}))
def test_each_option_is_known_with_dashes_and_with_underscores(name: str) -> None:
    text = CliRunner().invoke(app, ["command", "--help"], env={"COLUMNS": "300"}).output
    assert f"--{name.replace('_', '-')}" in text
    assert set(spellings(name)) == {f"--{name}", f"--{name.replace('_', '-')}"}


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        # openai/whisper's README and help
        (
            "--model turbo --language en --task transcribe --fp16 False --verbose False",
            {"model": "turbo", "language": "en"},
        ),
        ("--task translate --beam_size 5", {"task": "translate", "beam_size": 5}),
        ("--best_of 3 --patience 2.0", {"best_of": 3, "patience": 2.0}),
        (
            "--temperature 0 --temperature_increment_on_fallback None --logprob_threshold None",
            {"temperature_increment_on_fallback": None, "logprob_threshold": None},
        ),
        ("--compression_ratio_threshold 2.6", {"compression_ratio_threshold": 2.6}),
        ("--no_speech_threshold 0.5", {"no_speech_threshold": 0.5}),
        ("--word_timestamps True", {"word_timestamps": True}),
        ("--word_timestamps False", {"word_timestamps": False}),
        ("--condition_on_previous_text True", {}),
        ("--suppress_tokens -1", {"suppress_tokens": (-1,)}),
        ("--suppress_tokens 1,2,3", {"suppress_tokens": (1, 2, 3)}),
        ("--suppress_tokens=", {"suppress_tokens": ()}),
        # whisperX's
        (
            "--model large-v3 --batch_size 4 --compute_type int8 --vad_onset 0.4 --no_align",
            {"model": "large-v3", "batch_size": 4, "compute_type": "int8", "vad_threshold": 0.4,
             "aligner": "cross_attention"},
        ),
        ("--hotwords Scriptorium --print_progress True", {"hotwords": "Scriptorium"}),
        ("--vad_method silero", {}),
        ("--align_model WAV2VEC2_ASR_LARGE_LV60K_960H --interpolate_method linear",
         {"align_model": "WAV2VEC2_ASR_LARGE_LV60K_960H"}),
        ("--diarize --min_speakers 2 --max_speakers 4 --diarize_model me/mine",
         {"diarize": True, "min_speakers": 2, "max_speakers": 4, "diarize_model": "me/mine"}),
        ("--no-diarize --aligner whisperx", {"diarize": False, "aligner": "whisperx"}),
        # and with dashes
        ("-m tiny -l es --beam-size 2 --vad-threshold 0.3",
         {"model": "tiny", "language": "es", "beam_size": 2, "vad_threshold": 0.3}),
        ("--lane bulk --chunk-seconds 60 --channel 1 --audio-track 0",
         {"lane": "bulk", "chunk_seconds": 60.0, "channel": 1, "audio_track": 0}),
    ],
)  # fmt: skip
def test_a_command_line_of_theirs_is_understood(arguments: str, changes: dict[str, Any]) -> None:
    assert parsed(*arguments.split()) == JobOptions(**changes)


@pytest.mark.parametrize(
    "arguments",
    ["--beam_size 0", "--beam_size x", "--best_of None", "--task sing", "--language 12"],
)
def test_a_wrong_value_names_its_option(arguments: str) -> None:
    name = arguments.split()[0].strip("-")
    with pytest.raises(InvalidOption, match=name):
        parsed(*arguments.split())


def test_what_was_not_given_is_not_set() -> None:
    assert parse_values({"beam_size": None, "language": "es"}) == {"language": "es"}


def test_with_a_trial_a_job_names_no_model_but_the_one_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCRIPTORIUM_MODEL", "base")
    assert parsed().model == "base"
    monkeypatch.setenv("SCRIPTORIUM_TRIAL", '{"share": 0.5, "model": "small"}')
    assert parsed().model == "auto"  # the cluster's own, or the trial's: submission decides
    assert parsed("--model", "base").model == "base"


TRUE, FALSE = ("True", "true", "yes", "1", "on", "YES"), ("False", "false", "no", "0", "off", "No")


@pytest.mark.parametrize("text", [*TRUE, *FALSE])
def test_true_and_false_are_known_by_their_usual_words(text: str) -> None:
    assert parsed("--word_timestamps", text).word_timestamps is (text in TRUE)
    assert subtitle_options(None, None, None, text).highlight_words is (text in TRUE)
    assert parsed("--fp16", text) == JobOptions()


@pytest.mark.parametrize(
    "name",
    ["word_timestamps", "fp16", "condition_on_previous_text", "vad_filter", "verbose",
     "print_progress"],
)  # fmt: skip
@pytest.mark.parametrize("text", ["nonsense", "", "2", "Tru"])
def test_what_is_neither_true_nor_false_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidOption, match=f"{name} is '{text}', but must be True or False"):
        parsed(f"--{name}={text}")


@pytest.mark.parametrize("text", ["nonsense", "", "2"])
def test_words_are_highlighted_or_not_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidOption, match="highlight_words is"):
        subtitle_options(None, None, None, text)
