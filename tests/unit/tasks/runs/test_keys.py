"""What an artifact's key depends on, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_worker.transcription.engines import DecodeOptions
from tasks.artifacts.names import checked_key
from tasks.runs import keys
from tasks.runs.options import JobOptions
from tasks.runs.stages import Stage
from tests.inputs.examples import a_unit

OTHER: dict[str, Any] = {
    "model": "tiny", "revision": "v2", "compute_type": "int8", "language": "es",
    "languages": ("en", "es"),
    "task": "translate", "lane": "bulk", "channel": 1, "chunk_seconds": 60, "batch_size": 2,
    "beam_size": 5, "best_of": 3, "patience": 2.0, "length_penalty": 0.5,
    "repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "temperature": 0.4,
    "temperature_increment_on_fallback": None, "compression_ratio_threshold": None,
    "logprob_threshold": None, "no_speech_threshold": None, "second_tries": 0.5,
    "initial_prompt": "Hello.",
    "hotwords": "Anna", "suppress_tokens": (5,), "max_new_tokens": 9, "word_timestamps": False,
    "vad_threshold": 0.4, "aligner": "whisperx", "align_model": "mine", "diarize": True,
    "diarize_model": "me/mine", "num_speakers": 2, "min_speakers": 2, "max_speakers": 3,
    "known_speakers": ({"name": "Anna", "clip": "a" * 64},), "channels": "split",
    "shard_seconds": 64, "audio_track": 1, "vocabulary": "legal@3",
}  # fmt: skip
# Scheduling, and what the audio's hash, the span or the language in the key say already.
OF_THE_WORDS = {"aligner", "align_model"}
OF_THE_VOICES = {"diarize_model", "shard_seconds"}
OF_THE_SPEAKERS = {"num_speakers", "min_speakers", "max_speakers", "known_speakers"}
NOT_OF_THE_TEXT = {
    "lane", "batch_size", "channel", "chunk_seconds", "language", "channels", "diarize",
    "audio_track", "vocabulary",
    *OF_THE_WORDS, *OF_THE_VOICES, *OF_THE_SPEAKERS,
}  # fmt: skip


def transcribed(spoken: str | None = "en", **options: Any) -> str:
    return keys.of_chunk(Stage.TRANSCRIBE, "t", "aa", (0, 160), JobOptions(**options), spoken)


def aligned(tenant: str, audio: str, options: JobOptions) -> str:
    return keys.of_chunk(Stage.ALIGN, tenant, audio, (0, 160), options, "en")


def shard(tenant: str, audio: str, options: JobOptions) -> str:
    return keys.embedded(tenant, audio, 0, options)


def test_every_option_has_another_value_here() -> None:
    assert OTHER.keys() == JobOptions.model_fields.keys()
    usual, other = JobOptions().model_dump(), {}
    for name, value in OTHER.items():
        other[name] = JobOptions(**{name: value}).model_dump()[name]
    assert all(usual[name] != value for name, value in other.items())


@pytest.mark.parametrize("name", sorted(OTHER.keys() - NOT_OF_THE_TEXT))
def test_what_changes_the_text_changes_the_key(name: str) -> None:
    assert transcribed(**{name: OTHER[name]}) != transcribed()


@pytest.mark.parametrize("name", sorted(NOT_OF_THE_TEXT))
def test_what_does_not_change_the_text_does_not_change_the_key(name: str) -> None:
    assert transcribed(**{name: OTHER[name]}) == transcribed()


def test_everything_the_engine_is_told_is_in_the_key() -> None:
    told = set(DecodeOptions.__slots__) - {"temperatures", "language"}
    assert told <= OTHER.keys() - NOT_OF_THE_TEXT


def test_the_language_counts_as_spoken_not_as_submitted() -> None:
    assert transcribed("en") != transcribed("es")
    assert transcribed("en", language="en") == transcribed("en")


def test_the_key_of_a_text_changes_with_its_version_and_not_with_options_that_are_unset() -> None:
    pico = JobOptions(model="pico")
    assert keys.chunk_mark(Stage.TRANSCRIBE, pico, "en") == "aea3f6969f0c7a6a"


def test_tenant_audio_and_span_are_in_the_key() -> None:
    options = JobOptions()
    found = {
        keys.of_chunk(Stage.TRANSCRIBE, tenant, audio, span, options, "en")
        for tenant in "tu"
        for audio in ("aa", "bb")
        for span in ((0, 160), (0, 161), (1, 160))
    }
    assert len(found) == 12


@pytest.mark.parametrize(
    ("key", "used"),
    [
        (keys.prepared, {"audio_track", "channel", "channels"}),
        (keys.chunks, {"chunk_seconds"}),
        (keys.language, {"model", "revision", "compute_type", "vad_threshold"}),
        (shard, {"model"} | OF_THE_VOICES),
        (keys.diarized, {"model"} | OF_THE_VOICES | OF_THE_SPEAKERS),
        (aligned, set(OTHER) - NOT_OF_THE_TEXT | OF_THE_WORDS),
    ],
)
def test_other_artifacts_depend_on_their_options_alone(key: Any, used: set[str]) -> None:
    # pico has a model of its own for the speakers, so that another model is another for them too.
    usual = key("t", "aa", JobOptions(model="pico"))
    changing = {
        name
        for name, value in OTHER.items()
        if key("t", "aa", JobOptions(**{"model": "pico", name: value})) != usual
    }
    assert changing == used


@pytest.mark.parametrize(
    ("stages", "used"),
    [
        ((Stage.PREPARE,), {"audio_track", "channel", "channels"}),
        ((Stage.FAN_OUT,), {"chunk_seconds"}),
        ((Stage.DETECT_LANGUAGE,), {"model", "revision", "compute_type", "vad_threshold"}),
        ((Stage.TRANSCRIBE,), set(OTHER) - NOT_OF_THE_TEXT),
        ((Stage.TRANSCRIBE, Stage.ALIGN), set(OTHER) - NOT_OF_THE_TEXT | OF_THE_WORDS),
        ((Stage.EMBED_SPEAKERS,), {"model"} | OF_THE_VOICES),
        ((Stage.EMBED_SPEAKERS, Stage.DIARIZE), {"model"} | OF_THE_VOICES | OF_THE_SPEAKERS),
    ],
)
def test_the_table_of_stages_names_the_options_that_the_keys_depend_on(
    stages: tuple[Stage, ...], used: set[str]
) -> None:
    assert set().union(*(stage.definition.options for stage in stages)) == used


def test_a_digest_is_the_same_on_every_machine_and_day() -> None:
    assert keys.digest(Stage.PREPARE, {"channel": None}) == "e5fe4c0c6f5ea548"


def test_the_order_of_options_does_not_matter() -> None:
    assert keys.digest(Stage.PREPARE, {"a": 1, "b": 2}) == keys.digest(
        Stage.PREPARE, {"b": 2, "a": 1}
    )


def test_the_digest_of_a_stage_is_its_own() -> None:
    assert keys.digest(Stage.PREPARE, {}) != keys.digest(Stage.TRANSCRIBE, {})


def test_every_key_is_one_that_all_stores_take_and_no_two_are_equal() -> None:
    unit, options = a_unit(index=3), JobOptions()
    made = [
        keys.open_run(unit.run), keys.dead_letter(unit), keys.source("t", "aa"),
        keys.manifest("t", "j"), keys.plan("t", "j"), keys.of_run(unit.run, keys.RESULT),
        keys.failed(unit), keys.prepared("t", "aa", options), keys.pcm("t", "aa"),
        keys.chunks("t", "aa", options), keys.language("t", "aa", options), transcribed(),
        aligned("t", "aa", options), shard("t", "aa", options), keys.diarized("t", "aa", options),
        keys.receipt(shard("t", "aa", options)),
    ]  # fmt: skip
    assert len({checked_key(key) for key in made}) == len(made)


def test_the_files_of_a_run_are_below_it() -> None:
    unit = a_unit(Stage.TRANSCRIBE, 3, run=2)
    below = keys.runs(unit.run.tenant, unit.run.job)
    assert keys.of_run(unit.run, keys.RESULT) == f"{below}2/result.json"
    assert keys.failed(unit) == f"{below}2/failed/transcribe/3.json"
