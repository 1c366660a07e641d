"""Options are checked when a job is submitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.language_runs import LanguageChoice
from tasks.runs.options import JobOptions
from tasks.runs.submitted_options import changed_options, job_options

CLIP = "a" * 64


def test_defaults_are_those_of_the_engine() -> None:
    assert JobOptions(model="large-v3").decode_options(None) == DecodeOptions()


def test_the_number_of_beams_goes_with_the_model_unless_it_is_chosen() -> None:
    base, turbo = job_options({"model": "base"}), job_options({"model": "large-v3-turbo"})
    assert (base.beam_size, turbo.beam_size, JobOptions().beam_size) == (5, 1, None)
    assert changed_options(base, {"model": "large-v3-turbo"}) == turbo
    assert changed_options(turbo, {"model": "base", "language": "de"}).beam_size == 5
    assert changed_options(JobOptions(), {"model": "base"}).beam_size == 5
    assert changed_options(JobOptions(beam_size=1), {"model": "base"}).beam_size == 1
    chosen = job_options({"model": "base", "beam_size": 3})
    assert changed_options(chosen, {"model": "large-v3-turbo"}).beam_size == 3
    assert JobOptions.model_validate_json(chosen.model_dump_json()) == chosen


def test_a_revision_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidOption, match="revision='abc' is of a model, and none is named"):
        job_options({"revision": "abc"})


def test_a_wrong_model_is_told_as_that_alone() -> None:
    with pytest.raises(InvalidOption) as refused:
        job_options({"model": 5})
    assert "model" in refused.value.message and "beam" not in refused.value.message


@pytest.mark.parametrize(
    ("name", "low", "high", "outside"),
    [
        ("chunk_seconds", 5, 600, [4.9, 600.1]),
        ("batch_size", 1, 512, [0, 513, 1.5]),
        ("beam_size", 1, 20, [0, 21]),
        ("best_of", 1, 20, [0, 21]),
        ("temperature", 0, 1, [-0.1, 1.1]),
        ("temperature_increment_on_fallback", 0.1, 1, [0, 1e-9, 0.09, 1.1]),
        ("max_new_tokens", 1, 448, [0, 449]),
        ("channel", 0, 15, [-1, 16]),
        ("audio_track", 0, 63, [-1, 64]),
        ("vad_threshold", 0.01, 0.99, [0, 1]),
        ("patience", 0.1, 10, [0, -1, 11]),
        ("length_penalty", -10, 10, [-11, 11, 1e300]),
        ("repetition_penalty", 0.1, 10, [0, 1e-300, 11]),
        ("no_repeat_ngram_size", 0, 448, [-1, 449, 2**63]),
        ("compression_ratio_threshold", -1000, 1000, [-1001, 1e300]),
        ("logprob_threshold", -1000, 1000, [-1e300, 1001]),
        ("no_speech_threshold", -1000, 1000, [-1001, 1001]),
        ("second_tries", 0, 1, [-0.1, 1.1]),
        ("num_speakers", 1, 100, [0, 101]),
        ("min_speakers", 1, 100, [0, 101]),
        ("max_speakers", 1, 100, [0, 101]),
        ("shard_seconds", 8, 3600, [7.9, 3601]),
    ],
)
def test_a_number_has_bounds(name: str, low: float, high: float, outside: list[float]) -> None:
    for value in (low, high):
        assert getattr(job_options({name: value}), name) == value
    for value in outside:
        with pytest.raises(InvalidOption, match=name):
            job_options({name: value})


def _unbounded(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Iterator[str]:
    """Yield each number, text and list in a JSON schema that has no bounds."""
    kind = schema.get("type")
    if "enum" in schema or "const" in schema or schema.get("format") == "binary":
        return
    if kind in ("integer", "number"):
        least = schema.keys() & {"minimum", "exclusiveMinimum"}
        most = schema.keys() & {"maximum", "exclusiveMaximum"}
        if not (least and most):
            yield kind
    if kind == "string" and not schema.keys() & {"maxLength", "pattern"}:
        yield kind
    if kind == "array" and "maxItems" not in schema:
        yield kind
    inner = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    inner += [schema[name] for name in ("items",) if name in schema]
    if "$ref" in schema:
        inner.append(defs[schema["$ref"].rpartition("/")[2]])
    for part in inner:
        yield from _unbounded(part, defs)


def test_every_number_text_and_list_of_a_job_has_bounds() -> None:
    schema = JobOptions.model_json_schema()
    found = {
        name: list(_unbounded(option, schema["$defs"]))
        for name, option in schema["properties"].items()
    }
    assert {name: kinds for name, kinds in found.items() if kinds} == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("suppress_tokens", [500_000_000]),
        ("suppress_tokens", [-2]),
        ("suppress_tokens", [1] * 1001),
        ("model", "a" * 256),
        ("model", "a\nb"),
        ("model", ""),
        ("revision", "../../secret"),
        ("revision", "a/b"),
        ("align_model", "a" * 256),
        ("diarize_model", "a" * 256),
        ("language", "e" * 65),
    ],
)
def test_lists_and_texts_have_bounds(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=name):
        job_options({"model": "pico", name: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "-inf"])
@pytest.mark.parametrize("name", ["length_penalty", "patience", "logprob_threshold"])
def test_a_number_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=name):
        job_options({name: value})


@pytest.mark.parametrize(
    "values",
    [
        {"no_such_option": 1},
        {"language": "EN!"},
        {"languages": ["en", "klingon"]},
        {"languages": ["en", "auto"]},
        {"languages": ["en", "any"]},
        {"languages": ["en", 5]},
        {"languages": []},
        {"task": "sing"},
        {"compute_type": "float99"},
        {"lane": "fast"},
        {"initial_prompt": "x" * 2001},
        {"suppress_tokens": ["x"]},
        {"model": None},
        {"word_timestamps": "perhaps"},
        {"aligner": "magic"},
        {"channels": "all"},
        {"known_speakers": [{"name": "", "clip": CLIP}]},
        {"known_speakers": [{"name": "a/b", "clip": "../../etc"}]},
        {"known_speakers": [{"name": "a\nb", "clip": CLIP}]},
    ],
    ids=str,
)
def test_other_values_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(values))):
        job_options(values)


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(InvalidOption) as caught:
        job_options({"beam_size": 0, "batch_size": 0})
    assert "beam_size" in caught.value.message and "batch_size" in caught.value.message


@pytest.mark.parametrize(
    ("first", "step", "temperatures"),
    [
        (0.0, 0.2, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (0.0, None, (0.0,)),
        (0.5, 0.2, (0.5, 0.7, 0.9)),
        (0.0, 0.3, (0.0, 0.3, 0.6, 0.9)),
        (1.0, 0.2, (1.0,)),
        (0.0, 1.0, (0.0, 1.0)),
    ],
)
def test_temperatures_go_up_in_steps_to_one(
    first: float, step: float | None, temperatures: tuple[float, ...]
) -> None:
    options = JobOptions(temperature=first, temperature_increment_on_fallback=step)
    assert options.temperatures == pytest.approx(temperatures)


def test_the_speech_detection_is_told_its_threshold() -> None:
    assert JobOptions(vad_threshold=0.3).vad_options().threshold == 0.3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_speakers": 3, "max_speakers": 2}, "min_speakers .3. is more than max_speakers .2."),
        ({"num_speakers": 5, "min_speakers": 7}, "num_speakers .5. is less than min_speakers .7."),
        ({"num_speakers": 5, "max_speakers": 3}, "num_speakers .5. is more than max_speakers .3."),
        ({"channels": "split", "channel": 0}, "leave channel out"),
        ({"language": "fr", "languages": "en,de"}, "language .fr. is none of languages"),
        ({"known_speakers": [{"name": "Anna", "clip": CLIP}] * 2}, "the same name"),
    ],
)
def test_options_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=f"^Options are not valid: .*{words}"):
        job_options(values)


@pytest.mark.parametrize(
    "values", [{"min_speakers": 5}, {"max_speakers": 5}, {"min_speakers": 2, "max_speakers": 9}]
)
def test_a_number_of_speakers_within_its_bounds_is_taken(values: dict[str, int]) -> None:
    assert job_options({"num_speakers": 5, **values}).num_speakers == 5


def test_a_manifest_from_before_this_rule_is_read() -> None:
    assert JobOptions.model_validate({"num_speakers": 5, "min_speakers": 7}).num_speakers == 5


@pytest.mark.parametrize(
    ("values", "diarizes"),
    [
        ({}, False),
        ({"diarize": True}, True),
        ({"max_speakers": 3}, True),
        ({"num_speakers": 2}, True),
        ({"diarize_model": "me/mine"}, True),
        ({"known_speakers": [{"name": "Anna", "clip": CLIP}]}, True),
        ({"diarize": False, "max_speakers": 3}, False),
        ({"diarize": True, "channels": "split"}, False),
    ],
)
def test_who_asks_for_speakers_gets_them(values: dict[str, Any], diarizes: bool) -> None:
    assert job_options(values).diarizes is diarizes


@pytest.mark.parametrize(
    ("values", "aligns"),
    [
        ({}, True),
        ({"aligner": "whisperx"}, True),
        ({"aligner": "cross_attention"}, False),
        ({"aligner": "none"}, False),
        ({"word_timestamps": False}, False),
        ({"task": "translate"}, False),
    ],
)
def test_words_are_aligned_where_there_is_something_to_align(
    values: dict[str, Any], aligns: bool
) -> None:
    assert job_options(values).aligns is aligns


def test_what_contradicts_each_other_is_said_without_the_librarys_words() -> None:
    with pytest.raises(InvalidOption) as caught:
        job_options({"min_speakers": 3, "max_speakers": 2})
    assert caught.value.message == (
        "Options are not valid: min_speakers (3) is more than max_speakers (2)."
    )
    assert caught.value.option is None


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"beam_size": 0}, "beam_size"),
        ({"known_speakers": [{}]}, "known_speakers"),
        ({"language": "zz"}, "language"),
        ({"languages": "de,zz"}, "languages"),
        ({"language": "fr", "languages": "en,de"}, "languages"),
        ({"language": "fr", "languages": (5, "de")}, "languages"),
        ({"revision": "a"}, "revision"),
    ],
)
def test_an_error_of_one_option_names_it(values: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        job_options(values)
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"language": "German"}, "language=de: leave the language out"),
        ({"languages": "en,de"}, "language=de,en"),
        ({"languages": "any"}, "language=any"),
        ({"task": "translate"}, "cannot translate"),
    ],
)
@pytest.mark.parametrize("model", ["tiny.en", "Systran/faster-whisper-base.en"])
def test_what_an_english_only_model_cannot_do_is_refused_at_submission(
    model: str, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidOption, match=words):
        job_options({"model": model} | values)
    assert job_options({"model": model, "language": "en"}).model == model
    assert job_options({"model": "tiny"} | values)


@pytest.mark.parametrize(
    ("model", "languages", "words"),
    [
        ("parakeet-tdt-0.6b-v3", "en,de", "does not say which one it hears"),
        ("parakeet-tdt-0.6b-v3", "any", "does not say which one it hears"),
        ("parakeet-tdt-0.6b-v3", "en,ja", "does not know language=ja"),
        ("parakeet-tdt-0.6b-v2", "en,de", "does not know language=de"),
    ],
)
def test_several_languages_are_refused_at_submission_for_a_model_that_cannot_tell_them_apart(
    model: str, languages: str, words: str
) -> None:
    with pytest.raises(InvalidOption, match=words):
        job_options({"model": model, "languages": languages})
    assert job_options({"model": model, "languages": "en"}).language == "en"


@pytest.mark.parametrize("given", ["German, en", ["en", "de-AT"], ("DE", "English", "en")])
def test_languages_are_read_in_any_spelling_and_order(given: Any) -> None:
    options = job_options({"languages": given, "language": "en"})
    assert (options.languages, options.language) == (("de", "en"), "en")
    assert options.language_choice() == LanguageChoice(("de", "en"), "en")


def test_one_language_of_a_list_is_the_same_as_language() -> None:
    assert job_options({"languages": ["German"]}) == job_options({"language": "de"})
    assert job_options({"language": "de"}).language_choice() is None


def test_any_language_is_any_that_the_model_knows() -> None:
    assert job_options({"languages": "any"}).language_choice() == LanguageChoice(())


def test_a_job_that_was_accepted_before_the_rule_can_still_be_read() -> None:
    assert JobOptions.model_validate({"model": "tiny.en", "language": "de"}).language == "de"


@pytest.mark.parametrize("name", ["max_speakers", "batch_size", "temperature", "channel"])
def test_a_number_is_not_true_or_false(name: str) -> None:
    with pytest.raises(InvalidOption, match=f"{name} is neither true nor false"):
        job_options({name: True})
