"""The built-in model behind the real engine: words, their times, languages, bad options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import jiwer
import numpy as np
import pytest

from benchmarks.on_gpu.equality import batch_equality
from gpu_worker.errors import DeviceFault, DevicePoisoned, InvalidOption, UnknownModel
from gpu_worker.loaded import load_engine
from gpu_worker.transcription.engines import DecodeOptions, Engine, EngineRequest, WindowText
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine
from tests.inputs.speech import Utterance, heldout

pytestmark = pytest.mark.slow  # it runs the real engine

RATE = 16_000
ENGLISH = DecodeOptions(language="en", temperatures=(0.0,))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load_engine(EngineRequest("pico", device="cpu", threads=1))


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    return heldout("en")[:6]


def test_a_batch_is_heard_in_the_order_of_its_windows(
    engine: Engine, said: list[Utterance]
) -> None:
    heard = engine.transcribe([utterance.samples for utterance in said], ENGLISH)
    texts = [text.text.lower().rstrip(".") for text in heard]
    assert jiwer.wer([utterance.text for utterance in said], texts) < 0.3
    assert all(-1.0 < text.avg_logprob <= 0 for text in heard)
    assert all(0 <= text.no_speech_prob <= 1 for text in heard)


def test_word_times_are_ordered_and_inside_the_window(
    engine: Engine, said: list[Utterance]
) -> None:
    for utterance, text in zip(
        said, engine.transcribe([one.samples for one in said], ENGLISH), strict=True
    ):
        starts = [word.start for word in text.words]
        assert starts == sorted(starts)
        assert all(0 <= w.start <= w.end <= len(utterance.samples) / RATE for w in text.words)
        assert " ".join(word.word for word in text.words) == text.text
        assert all(0 <= word.score <= 1 for word in text.words)


def test_word_times_can_be_left_out(engine: Engine, said: list[Utterance]) -> None:
    (text,) = engine.transcribe([said[0].samples], replace(ENGLISH, word_timestamps=False))
    assert text.text and text.words == ()


def test_a_batch_gives_the_same_text_as_one_by_one(engine: Engine, said: list[Utterance]) -> None:
    windows = [utterance.samples for utterance in said]
    together = engine.transcribe(windows, ENGLISH)
    alone = [engine.transcribe([window], ENGLISH)[0] for window in windows]
    assert [text.text for text in together] == [text.text for text in alone]


@pytest.mark.parametrize("compute_type", ["int8", "float32"])
def test_tokens_are_equal_in_any_batch_and_times_to_a_frame(
    said: list[Utterance], compute_type: str
) -> None:
    request = EngineRequest("pico", device="cpu", threads=1, compute_type=compute_type)
    engine = load_engine(request)
    assert isinstance(engine, FasterWhisperEngine)
    windows = [utterance.samples for utterance in said]
    for row in batch_equality(engine, windows, ENGLISH, sizes=(2, 16)):
        assert row.windows >= row.size
        assert {row.equal_tokens, row.equal_text} == {row.windows}
        # Another batch has another shape, and so another order in which products are added up.
        assert row.largest_probability_difference < 1e-5
        assert row.largest_score_difference < 1e-4
        assert row.largest_time_difference < 0.021
        if compute_type == "int8":  # of whole numbers the order does not matter
            assert row.equal_probabilities == row.windows


def test_it_tells_its_languages_apart(engine: Engine) -> None:
    spoken = [*heldout("en")[:4], *heldout("es")[:4]]
    found = engine.detect_languages([utterance.samples for utterance in spoken])
    right = [
        one.language == utterance.language for one, utterance in zip(found, spoken, strict=True)
    ]
    assert sum(right) >= 7
    assert all(0 < one.probability <= 1 for one in found)
    assert {"en", "es"} <= engine.languages


def test_it_says_how_likely_each_language_is_in_a_snippet(engine: Engine) -> None:
    spoken = [*heldout("en")[:4], *heldout("es")[:4]]
    heard = engine.hear_languages([utterance.samples for utterance in spoken])
    assert all(set(chances) == {"en", "es"} for chances in heard)
    assert all(sum(chances.values()) == pytest.approx(1.0, abs=0.01) for chances in heard)
    right = [
        chances[utterance.language] > 0.5 for chances, utterance in zip(heard, spoken, strict=True)
    ]
    assert sum(right) >= 7


def test_a_language_it_does_not_have_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidOption, match="language 'xx'"):
        engine.transcribe([np.zeros(RATE, np.float32)], replace(ENGLISH, language="xx"))


@pytest.mark.parametrize(
    "changes",
    [
        {"beam_size": 3, "patience": 1.5},
        {"initial_prompt": "Anna and Peter talk."},
        {"hotwords": "Anna"},
        {"suppress_tokens": ()},
        {"suppress_tokens": (5, 9)},
        {"max_new_tokens": 4},
        {"temperatures": (0.4,), "best_of": 2},
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3},
    ],
    ids=str,
)
def test_options_are_taken_by_the_model(
    engine: Engine, said: list[Utterance], changes: dict[str, Any]
) -> None:
    options = replace(ENGLISH, **changes)
    (text,) = engine.transcribe([said[0].samples], options)
    assert text.temperature == options.temperatures[0]


@pytest.mark.parametrize("samples", [0, 160, RATE])
def test_an_empty_or_silent_window_is_no_error(engine: Engine, samples: int) -> None:
    (text,) = engine.transcribe([np.zeros(samples, np.float32)], ENGLISH)
    assert all(word.end <= samples / RATE for word in text.words)


def test_more_new_tokens_than_the_model_has_room_for_are_refused(engine: Engine) -> None:
    with pytest.raises(
        InvalidOption, match="room for 443 of the model's 448, but max_new_tokens is 448"
    ):
        engine.transcribe([np.zeros(RATE, np.float32)], replace(ENGLISH, max_new_tokens=448))


@pytest.mark.parametrize(("beams", "patience"), [(1, 0.4), (2, 0.01), (5, 0.1)])
def test_a_small_patience_leaves_one_candidate(
    engine: Engine, beams: int, patience: float, said: list[Utterance]
) -> None:
    options = replace(ENGLISH, beam_size=beams, patience=patience)
    (text,) = engine.transcribe([said[0].samples], options)
    assert text.text


@pytest.mark.parametrize("token", [2161, 500_000_000, -2])
def test_a_token_that_the_model_does_not_have_is_refused(engine: Engine, token: int) -> None:
    options = replace(ENGLISH, suppress_tokens=(0, token))
    with pytest.raises(InvalidOption, match=f"has {token}, but the model's tokens are 0 to 2160"):
        engine.transcribe([np.zeros(RATE, np.float32)], options)


def test_a_window_that_is_not_believed_is_tried_hotter(
    engine: Engine, said: list[Utterance]
) -> None:
    impossible = replace(
        ENGLISH,
        temperatures=(0.0, 0.5),
        logprob_threshold=10.0,
        no_speech_threshold=None,
        best_of=1,
    )
    heard = engine.transcribe([said[0].samples, said[1].samples], impossible)
    assert {text.temperature for text in heard} <= {0.0, 0.5}


def test_a_compute_type_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(InvalidOption, match="cannot be loaded"):
        load_engine(EngineRequest("pico", device="cpu", compute_type="float99"))


@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_a_device_that_is_not_there_is_the_worker_s_fault(device: str) -> None:
    if device == "cuda" and ctranslate2.get_cuda_device_count():
        pytest.skip("there is one")
    with pytest.raises(DeviceFault):
        load_engine(EngineRequest("pico", device=device))


def test_a_model_that_hears_nothing_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = WindowText("", (), -0.1, 0.9, 0.0, 0.0)
    monkeypatch.setattr(FasterWhisperEngine, "transcribe", lambda *_: (silent,))
    with pytest.raises(DeviceFault, match="hears nothing"):
        load_engine(EngineRequest("pico", device="cpu"))


def test_a_directory_that_holds_no_whisper_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(UnknownModel, match="not a Whisper model"):
        load_engine(EngineRequest(str(tmp_path), device="cpu"))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("CUDA failed with error out of memory", MemoryError),
        ("an illegal memory access was encountered", DevicePoisoned),
        ("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED", DeviceFault),
        ("Unable to load any of {libcudnn_ops.so.9}", DeviceFault),
        ("CUDA failed with error unknown error", DeviceFault),
        ("something else", RuntimeError),
    ],
)
def test_what_ctranslate2_reports_is_told_apart(message: str, kind: type[Exception]) -> None:
    class Broken:
        """A model whose device fails as told."""

        device, is_multilingual = "cuda", True

        def detect_language(self, features: object) -> object:
            raise RuntimeError(message)

    loaded = load_engine(EngineRequest("pico", device="cpu"))
    assert isinstance(loaded, FasterWhisperEngine)
    loaded._model.model = Broken()
    loaded._model.encode = lambda features: features
    with pytest.raises(kind):
        loaded.detect_languages([np.zeros(RATE, np.float32)])


def test_an_english_only_model_needs_no_detection() -> None:
    class EnglishOnly:
        """What CTranslate2 says of such a model."""

        device, is_multilingual = "cpu", False

    loaded = load_engine(EngineRequest("pico", device="cpu"))
    assert isinstance(loaded, FasterWhisperEngine)
    loaded._model.model = EnglishOnly()
    (found,) = loaded.detect_languages([np.zeros(RATE, np.float32)])
    assert (found.language, found.probability) == ("en", 1.0)
