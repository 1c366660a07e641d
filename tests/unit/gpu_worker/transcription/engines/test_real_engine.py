"""The engine with a real Whisper on a real conversation: whole texts, all of the model's room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.doubt.thresholds import DECODED_AGAIN
from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import DecodeOptions, EngineRequest
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine, load
from gpu_worker.transcription.windows import pack_windows
from tests.inputs.real_models import real_model
from tests.inputs.speech import SAMPLE_RATE, read_audio, telephone_call

pytestmark = pytest.mark.slow  # it runs a real Whisper

OPTIONS = DecodeOptions(language="en", temperatures=(0.0,))


@cache
def engine(name: str) -> FasterWhisperEngine:
    real_model(name)  # fetched, or the test is skipped
    return load(EngineRequest(name, device="cpu", compute_type="int8", threads=1))


@cache
def conversation() -> Audio:
    """Thirty seconds of a telephone call, out of pyannote.audio's package."""
    return read_audio(telephone_call())


def window(seconds: float = 30.0) -> Audio:
    spans = speech_spans(conversation(), seconds)
    return pack_windows(spans, int(seconds * SAMPLE_RATE))[0].cut(conversation())


@pytest.mark.parametrize("name", ["base", "tiny.en"])
def test_a_window_s_text_is_the_tokenizer_s_own(name: str) -> None:
    model = engine(name)
    [ours] = model.transcribe([window()], OPTIONS)
    tokenizer = model._tokenizer(OPTIONS)
    prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    [generated] = model._model.model.generate(
        model._model.encode(model.prepare(window()).features[np.newaxis]),
        [prompt],
        beam_size=1,
        suppress_tokens=[-1],
        suppress_blank=True,
    )
    theirs = tokenizer.decode(generated.sequences_ids[0])
    assert ours.text == theirs.strip()
    assert len(ours.text.split()) > 40
    assert "".join(word.word for word in ours.words).replace(" ", "") == ours.text.replace(" ", "")


def test_a_chunk_s_lines_are_sentences_of_the_window_s_text() -> None:
    heard = transcribe_chunk(engine("base"), conversation(), OPTIONS)
    [text] = engine("base").transcribe([window()], OPTIONS)
    assert " ".join(segment.text for segment in heard.segments) == text.text
    assert heard.warnings == ()
    for segment in heard.segments[:-1]:
        assert segment.text.endswith((".", "?", "!")) or segment.end - segment.start > 5.0


def test_words_start_and_end_with_their_sound() -> None:
    heard = transcribe_chunk(engine("base"), conversation(), OPTIONS)
    first = heard.segments[0].words[0]
    assert first.start > heard.windows[0].spans[0][0] / SAMPLE_RATE + 0.2  # behind the pad
    words = [word for segment in heard.segments for word in segment.words]
    assert all(word.start <= word.end for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


@pytest.mark.parametrize("asked", [1, 10])
def test_a_text_has_as_many_tokens_as_were_asked_for(asked: int) -> None:
    run, found = _counted(engine("tiny.en"))
    options = replace(OPTIONS, max_new_tokens=asked)
    [text] = run(lambda: engine("tiny.en").transcribe([window()], options))
    assert found == [asked]
    assert text.is_whole  # a short text was wanted


def _counted(model: FasterWhisperEngine) -> tuple[Callable[[Callable[[], Any]], Any], list[int]]:
    """Runs a call, and counts the tokens of what is generated meanwhile."""
    found: list[int] = []

    def run(call: Callable[[], Any]) -> Any:
        real = model._model.model
        generate = real.generate

        class Counting:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def generate(self, *args: Any, **kwargs: Any) -> Any:
                results = generate(*args, **kwargs)
                found.extend(len(result.sequences_ids[0]) for result in results)
                return results

        model._model.model = Counting()
        try:
            return call()
        finally:
            model._model.model = real

    return run, found


def test_a_text_has_all_the_room_that_the_model_has() -> None:
    """A silent window and a prompt that counts make the model count on until it may not."""
    options = replace(
        OPTIONS,
        initial_prompt="1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,",
        suppress_tokens=(engine("base")._tokenizer(OPTIONS).eot,),
    )
    run, found = _counted(engine("base"))
    [text] = run(lambda: engine("base").transcribe([window(6.0)], options))
    assert not text.is_whole
    assert found[0] > 350  # 224 is half of the model's 448


def test_a_prompt_longer_than_its_room_is_cut_and_told_of() -> None:
    options = replace(OPTIONS, initial_prompt="Anna and Peter. " * 90, hotwords="Scriptorium " * 90)
    [text] = engine("base").transcribe([window(8.0)], options)
    assert text.text and text.is_whole
    assert [warning.code for warning in engine("base").warnings(options)] == ["prompt_cut"]
    assert engine("base").warnings(OPTIONS) == ()


def test_the_default_on_a_cpu_is_int8() -> None:
    real_model("tiny.en")
    model = load(EngineRequest("tiny.en", device="cpu", threads=2))
    assert model._model.model.compute_type.startswith("int8")


def test_a_window_is_encoded_once_however_often_it_is_decoded() -> None:
    model = engine("tiny.en")
    encoded: list[int] = []
    encode = model._model.encode

    def counting(features: Any) -> Any:
        encoded.append(len(features))
        return encode(features)

    never = replace(
        OPTIONS, temperatures=(0.0, 0.2, 0.4), logprob_threshold=10.0, best_of=1,
        no_speech_threshold=None,
    )  # fmt: skip
    model._model.encode = counting
    try:
        found = model.transcribe([window(6.0), window(4.0)], never)
    finally:
        model._model.encode = encode
    assert encoded == [1, 1]  # one by one, on a CPU
    assert all(text.words for text in found)


def test_windows_that_are_believed_keep_their_text_while_others_are_tried_again() -> None:
    model = engine("tiny.en")
    hiss = np.random.default_rng(5).normal(0, 0.05, 8 * SAMPLE_RATE).astype(np.float32)
    windows = [window(8.0), hiss, window(5.0)]
    plain = model.transcribe(windows, OPTIONS)
    middle = sorted(text.avg_logprob for text in plain)[1]
    hotter = replace(
        OPTIONS, temperatures=(0.0, 0.2), logprob_threshold=middle - 1e-4, no_speech_threshold=None
    )
    again = model.transcribe(windows, hotter)
    for before, after in zip(plain, again, strict=True):
        if before.avg_logprob >= middle:
            assert (after.text, after.temperature) == (before.text, before.temperature)
            assert [word[:3] for word in map(astuple, after.words)] == [
                word[:3] for word in map(astuple, before.words)
            ]  # scores differ in the seventh digit now and then


@pytest.mark.parametrize("changes", [{"language": "de"}, {"task": "translate"}], ids=str)
def test_an_english_only_model_refuses_what_it_cannot(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="knows English only"):
        engine("tiny.en").transcribe([window(4.0)], replace(OPTIONS, **changes))


def test_a_window_that_fails_gets_the_same_text_in_each_run_while_nothing_is_sampled() -> None:
    model, sound = engine("tiny.en"), conversation()[: 12 * SAMPLE_RATE]
    [greedy] = model.transcribe([sound], OPTIONS)
    [beams] = model.transcribe([sound], replace(OPTIONS, beam_size=5))
    assert beams.avg_logprob > greedy.avg_logprob
    between = (greedy.avg_logprob + beams.avg_logprob) / 2
    options = DecodeOptions(language="en", logprob_threshold=between)
    everything = VadOptions(threshold=0.001, min_silence_ms=2000)
    runs = [transcribe_chunk(model, sound, options, vad=everything) for _ in range(2)]
    assert runs[0] == runs[1] and runs[0].segments
    for segment in runs[0].segments:
        assert [flag.code for flag in segment.flags] == [DECODED_AGAIN]
        assert segment.temperature == 0.0
        assert "sampled" not in {other.by for other in segment.alternatives}


@pytest.mark.parametrize("beams", [1, 5])
def test_words_have_the_same_times_alone_and_in_a_batch(beams: int) -> None:
    model = load(EngineRequest("pico", device="cpu", compute_type="int8", threads=1))
    sound, options = conversation(), replace(OPTIONS, beam_size=beams)
    windows = [sound[first : first + 6 * SAMPLE_RATE] for first in range(0, len(sound), 48_000)]
    alone = [model.transcribe([window], options)[0] for window in windows]
    assert list(model.transcribe(windows, options)) == alone
