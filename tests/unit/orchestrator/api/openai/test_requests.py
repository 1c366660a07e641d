"""OpenAI's form fields as a job's options, and which field is blamed for what."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from orchestrator.api.openai.fields import FieldRefused
from orchestrator.api.openai.names import OWN_MODEL, NoSuchModel, check_model
from orchestrator.api.openai.replies import ReplyFormat
from orchestrator.api.openai.requests import (
    AudioRequest,
    Task,
    Voice,
    audio_request,
    with_voices,
)
from tasks.runs.option_values import KnownSpeaker
from tasks.runs.options import JobOptions
from tasks.runs.stages import Lane

CLIP = b"RIFF\x00\xff"
URL = f"data:audio/wav;base64,{b64encode(CLIP).decode()}"


def parsed(*fields: tuple[str, str], task: Task = "transcribe", **more: str) -> AudioRequest:
    given = [("model", "whisper-1")] if "model" not in more else []
    return audio_request([*given, *fields, *more.items()], model="pico", task=task)


def refused(*fields: tuple[str, str], task: Task = "transcribe", **more: str) -> FieldRefused:
    with pytest.raises(FieldRefused) as caught:
        parsed(*fields, task=task, **more)
    return caught.value


@pytest.mark.parametrize("name", OWN_MODEL)
def test_openais_names_mean_the_clusters_model(name: str) -> None:
    options = parsed(model=name).options
    assert options.model == "pico"
    assert bool(options.diarize) == name.endswith("-diarize")


def test_names_of_ours_are_taken_as_they_are() -> None:
    assert parsed(model="large-v3").options.model == "large-v3"
    own = audio_request([("model", "owner/name")], model="pico", allowed={"owner/name"})
    assert own.options.model == "owner/name"


@pytest.mark.parametrize(
    "name", ["gpt-5", "/etc", "owner/name", "fake-1x", "a" * 1000, "x\x00", "../pico", "\ud800"]
)
def test_what_is_no_models_name_is_not_found(name: str) -> None:
    with pytest.raises(NoSuchModel) as caught:
        parsed(model=name)
    assert (caught.value.code, caught.value.param) == ("unknown_model", "model")
    assert len(caught.value.message) < 300


def test_the_settings_model_may_be_a_directory_which_nobody_else_may_name() -> None:
    request = audio_request([("model", "whisper-1")], model="/models/own")
    assert request.options.model == "/models/own"
    with pytest.raises(NoSuchModel):
        check_model("/models/own", {"/models/own"})


def test_a_request_without_a_model_names_the_field() -> None:
    with pytest.raises(FieldRefused, match="The field model is missing") as caught:
        audio_request([], model="pico")
    assert caught.value.param == "model"


def test_the_defaults_are_openais() -> None:
    request = parsed()
    assert request.options == JobOptions(model="pico")
    assert (request.form, request.stream, request.voices) == (ReplyFormat.JSON, False, ())
    assert request.granularities == {"segment"}


def test_openais_fields_become_options() -> None:
    request = parsed(
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("keywords[]", "Anna"),
        ("keywords", "Peter"),
        language="Spanish",
        prompt="x" * 3000,
        response_format="verbose_json",
        temperature="0.5",
    )
    options = request.options
    assert (options.language, options.temperature, options.hotwords) == ("es", 0.5, "Anna, Peter")
    assert options.initial_prompt == "x" * 2000
    assert request.granularities == {"word", "segment"}
    assert request.form is ReplyFormat.VERBOSE_JSON


def test_one_possible_language_is_the_language_and_of_several_each_part_gets_its_own() -> None:
    assert parsed(("languages[]", "es")).options.language == "es"
    several = parsed(("languages[]", "es"), ("languages[]", "en")).options
    assert (several.language, several.languages) == (None, ("en", "es"))
    assert parsed(languages="es,en").options.languages == ("en", "es")
    assert parsed(languages="any").options.languages == ("any",)


def test_every_option_of_a_job_is_a_field() -> None:
    options = parsed(
        ("suppress_tokens[]", "1"),
        ("suppress_tokens[]", "2,3"),
        chunk_seconds="30",
        hotwords="Anna",
        beam_size="5",
        word_timestamps="false",
        temperature_increment_on_fallback="None",
        lane="bulk",
        known_speakers=f'[{{"name": "anna", "clip": "{"a" * 64}"}}]',
        initial_prompt="",
        task="translate",
    ).options
    assert options == JobOptions(
        model="pico",
        suppress_tokens=(1, 2, 3),
        chunk_seconds=30.0,
        hotwords="Anna",
        beam_size=5,
        word_timestamps=False,
        temperature_increment_on_fallback=None,
        lane=Lane.BULK,
        known_speakers=(KnownSpeaker(name="anna", clip="a" * 64),),
        task="translate",
    )


def test_own_names_win_over_openais() -> None:
    assert parsed(prompt="theirs", initial_prompt="ours").options.initial_prompt == "ours"
    assert parsed(model="gpt-4o-transcribe-diarize", diarize="no").options.diarize is False


def test_the_address_of_translations_translates() -> None:
    assert parsed(task="translate").options.task == "translate"
    assert refused(("task", "transcribe"), task="translate").param == "task"


@pytest.mark.parametrize(
    ("fields", "threshold"),
    [
        ([("chunking_strategy", "auto")], 0.5),
        ([("chunking_strategy", '{"type": "server_vad", "threshold": 0.3}')], 0.3),
        ([("chunking_strategy[type]", "server_vad")], 0.5),
        (
            [
                ("chunking_strategy[type]", "server_vad"),
                ("chunking_strategy[threshold]", "0.7"),
                ("chunking_strategy[silence_duration_ms]", "200"),
                ("chunking_strategy[prefix_padding_ms]", "200"),
            ],
            0.7,
        ),
    ],
)
def test_a_chunking_strategy_is_accepted(fields: list[tuple[str, str]], threshold: float) -> None:
    assert parsed(*fields).options.vad_threshold == threshold


@pytest.mark.parametrize(
    "fields",
    [
        [("chunking_strategy", "fast")],
        [("chunking_strategy", "[" * 100_000)],
        [("chunking_strategy", "[]")],
        [("chunking_strategy", "null")],
        [("chunking_strategy", '{"type": "other"}')],
        [("chunking_strategy", '{"type": "server_vad", "speed": 1}')],
        [("chunking_strategy", '{"type": "server_vad", "threshold": 2}')],
        [("chunking_strategy", '{"type": "server_vad", "threshold": {}}')],
        [("chunking_strategy[threshold]", "0.5")],
        [("chunking_strategy", "auto"), ("chunking_strategy[type]", "server_vad")],
    ],
)
def test_another_chunking_strategy_is_refused(fields: list[tuple[str, str]]) -> None:
    assert refused(*fields).param == "chunking_strategy"


def test_diarized_json_tells_speakers_apart() -> None:
    assert parsed(response_format="diarized_json").options.diarize is True
    assert parsed(response_format="diarized_json", diarize="None").options.diarize is True
    assert refused(response_format="diarized_json", diarize="false").param == "response_format"


def test_known_speakers_come_with_their_voices() -> None:
    request = parsed(
        ("known_speaker_names[]", "anna"),
        ("known_speaker_names[]", "peter"),
        ("known_speaker_references[]", URL),
        ("known_speaker_references[]", "DATA:audio/wav,RIFF%00%ff"),
    )
    assert request.voices == (Voice("anna", CLIP), Voice("peter", CLIP))
    options = with_voices(request.options, [("anna", "a" * 64), ("peter", "b" * 64)])
    assert [known.name for known in options.known_speakers] == ["anna", "peter"]
    assert options.diarizes
    assert with_voices(request.options, []) == request.options


def test_two_voices_of_one_name_are_refused() -> None:
    names = [("known_speaker_names[]", "anna")] * 2
    error = refused(*names, *[("known_speaker_references[]", URL)] * 2)
    assert error.param == "known_speaker_names"


def test_a_voice_without_a_proper_name_is_refused() -> None:
    with pytest.raises(FieldRefused) as caught:
        with_voices(parsed().options, [("a/\x00", "a" * 64)])
    assert caught.value.param == "known_speaker_names"


@pytest.mark.parametrize(
    ("urls", "param"),
    [
        ([], "known_speaker_references"),
        ([URL, URL], "known_speaker_references"),
        (["https://example.org/a.wav"], "known_speaker_references"),
        (["data:audio/wav;base64"], "known_speaker_references"),
        (["data:audio/wav;base64,A"], "known_speaker_references"),
        (["data:audio/wav;base64,\xff"], "known_speaker_references"),
    ],
)
def test_a_voice_that_cannot_be_read_is_refused(urls: list[str], param: str) -> None:
    fields = [("known_speaker_references[]", url) for url in urls]
    assert refused(("known_speaker_names[]", "anna"), *fields).param == param


def test_more_than_four_voices_are_refused() -> None:
    names = [("known_speaker_names[]", f"s{number}") for number in range(5)]
    assert refused(*names, *[("known_speaker_references[]", URL)] * 5).param == (
        "known_speaker_names"
    )


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("response_format", "xml", "response_format"),
        ("temperature", "hot", "temperature"),
        ("temperature", "nan", "temperature"),
        ("temperature", "1e999", "temperature"),
        ("beam_size", "9" * 5000, "beam_size"),
        ("language", "klingon", "language"),
        ("languages[]", "klingon", "languages"),
        ("keywords[]", "x" * 3000, "keywords"),
        ("hotwords", "x" * 3000, "hotwords"),
        ("stream", "perhaps", "stream"),
        ("include[]", "logprobs", "include"),
        ("include", "logprobs", "include"),
        ("timestamp_granularities[]", "letter", "timestamp_granularities"),
        ("timestamp_granularities", "word", "timestamp_granularities"),
        ("known_speakers", "anna", "known_speakers"),
        ("known_speakers", "[" * 100_000, "known_speakers"),
        ("known_speakers", '[{"name": "\\ud800", "clip": ""}]', "known_speakers"),
        ("known_speakers", "5", "known_speakers"),
        ("min_speakers", "0", "min_speakers"),
        ("suppress_tokens", "a", "suppress_tokens"),
        ("task", "sing", "task"),
        ("colour", "red", "colour"),
        ("colour\x00[x]", "red", "colour\x00[x]"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str, param: str) -> None:
    assert refused((field, value)).param == param


def test_options_that_contradict_each_other_are_told_without_a_field() -> None:
    error = refused(min_speakers="3", max_speakers="2")
    assert "min_speakers (3) is more than max_speakers (2)" in error.message
    assert error.param is None


@pytest.mark.parametrize("reply", ["verbose_json", "srt", "vtt"])
def test_only_text_can_be_streamed(reply: str) -> None:
    assert refused(stream="true", response_format=reply).param == "response_format"
    assert parsed(stream="true", response_format="text").stream


@pytest.mark.parametrize("options", [{"word_timestamps": "false"}, {"aligner": "none"}])
def test_words_without_times_are_not_promised(options: dict[str, Any]) -> None:
    words = ("timestamp_granularities[]", "word")
    error = refused(words, response_format="verbose_json", **options)
    assert error.param == "timestamp_granularities"
