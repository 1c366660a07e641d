"""The engine through its protocol, with the built-in model, beside faster-whisper in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpu_worker.errors import DevicePoisoned, InvalidOption
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, faster_whisper
from gpu_worker.transcription.engines.torch_whisper import loading
from gpu_worker.transcription.engines.torch_whisper.engine import TorchEngine
from tests.inputs.speech import Utterance, heldout

pytestmark = pytest.mark.slow  # it runs real engines

RATE = 16_000
ENGLISH = DecodeOptions(language="en", temperatures=(0.0,))
REQUEST = EngineRequest("pico", device="cpu", threads=1, compute_type="float32")


@pytest.fixture(scope="module", params=["torch", "onnx"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    """The engine with each of the two encoders."""
    place = str(tmp_path_factory.mktemp("models"))
    return loading.load(replace(REQUEST, encoder=request.param, model_dir=place))


@pytest.fixture(scope="module")
def peer() -> Engine:
    return faster_whisper.load(REQUEST)


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    return heldout("en")[:6]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"initial_prompt": "Anna and Peter talk.", "hotwords": "Anna"},
        {"suppress_tokens": ()},
        {"suppress_tokens": (5, 9)},
        {"max_new_tokens": 2},
        {"task": "translate"},
        {"language": "es"},
        {"word_timestamps": False},
    ],
    ids=str,
)
def test_texts_words_and_figures_are_those_of_faster_whisper(
    engine: TorchEngine, peer: Engine, said: list[Utterance], changes: dict[str, Any]
) -> None:
    options = replace(ENGLISH, **changes)
    windows = [utterance.samples for utterance in said]
    for ours, theirs in zip(
        engine.transcribe(windows, options), peer.transcribe(windows, options), strict=True
    ):
        assert ours.text == theirs.text
        assert (ours.is_whole, ours.temperature) == (theirs.is_whole, theirs.temperature)
        assert ours.compression_ratio == theirs.compression_ratio
        assert ours.avg_logprob == pytest.approx(theirs.avg_logprob, abs=1e-3)
        assert ours.no_speech_prob == pytest.approx(theirs.no_speech_prob, abs=1e-3)
        assert [word.word for word in ours.words] == [word.word for word in theirs.words]
        if changes.keys() & {"initial_prompt", "max_new_tokens"}:
            continue  # faster-whisper times words behind a prompt of its own, to the text's end
        for mine, other in zip(ours.words, theirs.words, strict=True):
            assert mine.start == pytest.approx(other.start, abs=0.061)
            assert mine.end == pytest.approx(other.end, abs=0.061)


@pytest.mark.parametrize("compute_type", ["float32", "bfloat16"])
def test_a_batch_is_heard_as_one_by_one(said: list[Utterance], compute_type: str) -> None:
    engine = loading.load(replace(REQUEST, compute_type=compute_type))
    windows = [utterance.samples for utterance in said]
    together = engine.transcribe(windows, ENGLISH)
    alone = [engine.transcribe([window], ENGLISH)[0] for window in windows]
    assert [text.text for text in together] == [text.text for text in alone]


def test_the_same_sound_is_drawn_alike_in_every_batch(
    engine: TorchEngine, said: list[Utterance]
) -> None:
    windows = [utterance.samples for utterance in said]
    hot = replace(ENGLISH, temperatures=(0.9,), best_of=3)
    together = engine.transcribe(windows, hot)
    assert {text.temperature for text in together} == {0.9}
    assert engine.transcribe(windows[2:3], hot)[0].text == together[2].text


def test_a_window_that_is_not_believed_is_tried_hotter(
    engine: TorchEngine, said: list[Utterance]
) -> None:
    impossible = replace(
        ENGLISH,
        temperatures=(0.0, 0.5),
        logprob_threshold=10.0,
        no_speech_threshold=None,
        best_of=2,
    )
    heard = engine.transcribe([said[0].samples, said[1].samples], impossible)
    assert {text.temperature for text in heard} <= {0.0, 0.5}
    assert all(text.text and text.words for text in heard)


def test_languages_are_told_apart_as_faster_whisper_does(engine: TorchEngine, peer: Engine) -> None:
    windows = [utterance.samples for utterance in (*heldout("en")[:4], *heldout("es")[:4])]
    for ours, theirs in zip(
        engine.detect_languages(windows), peer.detect_languages(windows), strict=True
    ):
        assert ours.language == theirs.language
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-3)
    assert engine.languages == peer.languages


@pytest.mark.parametrize("samples", [0, 160, RATE])
def test_an_empty_or_silent_window_is_no_error(engine: TorchEngine, samples: int) -> None:
    (text,) = engine.transcribe([np.zeros(samples, np.float32)], ENGLISH)
    assert all(word.end <= samples / RATE for word in text.words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "xx"}, "language 'xx'"),
        ({"max_new_tokens": 448}, "room for 443 of the model's 448"),
        ({"suppress_tokens": (2161,)}, "has 2161, but the model's tokens are 0 to 2160"),
        ({"beam_size": 5}, "The engine torch has no beam_size=5"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    engine: TorchEngine, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidOption, match=message):
        engine.transcribe([np.zeros(RATE, np.float32)], replace(ENGLISH, **changes))


def test_a_prompt_that_is_cut_is_warned_of(engine: TorchEngine) -> None:
    assert engine.warnings(ENGLISH) == ()
    (warning,) = engine.warnings(replace(ENGLISH, initial_prompt="Anna and Peter talk. " * 100))
    assert warning.code == "prompt_cut"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("CUDA out of memory. Tried to allocate 20 GiB", MemoryError),
        ("CUDA error: an illegal memory access was encountered", DevicePoisoned),
        ("something else", RuntimeError),
    ],
)
def test_errors_of_the_device_have_a_meaning(message: str, kind: type[Exception]) -> None:
    broken = loading.load(REQUEST)

    def fail(*_: object) -> None:
        raise RuntimeError(message)

    broken._writer.begin = fail  # type: ignore[method-assign, assignment]
    for call in _calls(broken):
        with pytest.raises(kind):
            call()


def _calls(engine: TorchEngine) -> list[Callable[[], object]]:
    windows = [np.zeros(RATE, np.float32)]
    return [
        lambda: engine.transcribe(windows, ENGLISH),
        lambda: engine.detect_languages(windows),
    ]
