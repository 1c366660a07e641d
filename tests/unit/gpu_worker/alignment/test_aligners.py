"""`ctc` times words as whisperX does, to the frame; and every word has a time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_worker.alignment import Aligner, AlignerRequest, SpokenWindow, align
from gpu_worker.errors import ModelUnavailable, UnknownModel
from gpu_worker.loaded import ALIGNERS, load_aligner
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Word
from tests.inputs.align_models import hub_model, register_bundle
from tests.inputs.speech import Samples, heldout, recording

pytestmark = pytest.mark.slow  # it imports torch and transformers

FRAME_SECONDS = 0.02
ROUNDING = 0.001  # whisperX gives milliseconds and scores of three digits
# What whisperX 3.8.6 with torch 2.8 says of the first utterances: word, start, end, score.
KNOWN = {
    "en": [
        ("no", 0.0, 0.162, 0.778), ("maria", 0.182, 0.466, 0.701), ("not", 0.486, 0.689, 0.814),
        ("the", 0.709, 0.79, 0.779), ("next", 0.81, 1.175, 0.837), ("ticket", 1.195, 1.661, 0.818),
    ],
    "es": [
        ("buenos", 0.0, 0.302, 0.7), ("días", 0.322, 0.584, 0.723), ("la", 0.604, 0.684, 0.839),
        ("reunión", 0.704, 1.127, 0.698), ("con", 1.167, 1.328, 0.77), ("el", 1.348, 1.449, 0.8),
        ("cliente", 1.469, 1.932, 0.743),
    ],
}  # fmt: skip


def load(aligner: str, model: str = "pico-align", language: str = "en") -> Aligner:
    if aligner == "whisperx":
        pytest.importorskip("whisperx")
    return load_aligner(AlignerRequest(aligner, model, language, device="cpu"))


@pytest.fixture(scope="module")
def ctc() -> Aligner:
    return load("ctc")


@pytest.fixture(scope="module")
def whisperx() -> Aligner:
    return load("whisperx")


def spoken(text: str, seconds: float = 3.0) -> SpokenWindow:
    """A window of speech; what was really said in it does not matter."""
    audio = heldout("en")[0].samples
    return SpokenWindow(np.resize(audio, int(seconds * SAMPLE_RATE)), tuple(text.split(" ")))


def assert_timed(window: SpokenWindow, words: tuple[Word, ...]) -> None:
    assert [word.word for word in words] == list(window.words)
    seconds = len(window.audio) / SAMPLE_RATE
    assert all(0 <= word.start <= word.end <= seconds + ROUNDING for word in words)
    assert all(before.end <= word.start + ROUNDING for before, word in pairwise(words))
    assert all(0 <= word.score <= 1 for word in words)


def assert_same(windows: list[SpokenWindow], ctc: Aligner, whisperx: Aligner) -> None:
    found, expected = align(ctc, windows), align(whisperx, windows)
    for window, ours, theirs in zip(windows, found, expected, strict=True):
        assert_timed(window, ours)
        assert_timed(window, theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one.start == pytest.approx(other.start, abs=FRAME_SECONDS)
            assert one.end == pytest.approx(other.end, abs=FRAME_SECONDS)
            assert one.score == pytest.approx(other.score, abs=0.01)
            assert one.interpolated == other.interpolated


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "es"])
def test_heldout_speech_is_timed_as_whisperx_times_it(language: str) -> None:
    said = heldout(language)[::3]
    windows = [SpokenWindow(one.samples, tuple(one.text.split())) for one in said]
    assert_same(windows, load("ctc", language=language), load("whisperx", language=language))


@pytest.mark.slow
@pytest.mark.parametrize("aligner", ALIGNERS)
@pytest.mark.parametrize("language", KNOWN)
def test_known_words_stand_where_they_always_stood(aligner: str, language: str) -> None:
    """Also with another torch and another transformers, where there is no whisperX to ask."""
    (said, *_) = heldout(language)
    window = SpokenWindow(said.samples, tuple(said.text.split()))
    [words] = align(load(aligner, language=language), [window])
    for word, (text, start, end, score) in zip(words, KNOWN[language], strict=True):
        assert word.word == text
        assert word.start == pytest.approx(start, abs=FRAME_SECONDS)
        assert word.end == pytest.approx(end, abs=FRAME_SECONDS)
        assert word.score == pytest.approx(score, abs=0.01)


@pytest.mark.slow
def test_windows_of_many_words_are_timed_as_whisperx_times_them(
    ctc: Aligner, whisperx: Aligner
) -> None:
    windows: list[SpokenWindow] = []
    for seed, seconds in enumerate((28, 11, 19)):
        audio, said = recording(seconds, seed=seed)
        windows.append(SpokenWindow(audio, tuple(" ".join(one.text for one in said).split())))
    assert_same(windows, ctc, whisperx)


@pytest.mark.parametrize(
    "text",
    [
        "the 25 of may 2024 costs 3.50€ or 10%",
        "don't say o'clock 'tis it's '",
        "a I o a a a",
        "bookkeeper llama aaa zzz sass",
        'Hello. World! (Yes?) "No." he said…',
        "U.S.A. and Mr.Smith said.)Go on",
        "¿qué pasó mañana? ÑANDÚ über",
        "— - … , .",
        "привет 你好 مرحبا",
        "İstanbul ŉ ß",
        "one | two || |",
        "emoji 👩‍🚀 nbsp\u00a0inside tab\tinside",
    ],
)
def test_odd_words_are_timed_as_whisperx_times_them(
    text: str, ctc: Aligner, whisperx: Aligner
) -> None:
    assert_same([spoken(text), spoken("good morning", 1.0)], ctc, whisperx)


def test_one_word_alone(ctc: Aligner, whisperx: Aligner) -> None:
    assert_same([spoken("morning"), spoken("a"), spoken("7")], ctc, whisperx)


def test_digits_and_symbols_alone_are_flagged_as_guesses(ctc: Aligner, whisperx: Aligner) -> None:
    window = spoken("room 7 costs $ 40 or 4th €")
    for aligner in (ctc, whisperx):
        (words,) = align(aligner, [window])
        flagged = [word.word for word in words if word.interpolated]
        assert flagged == ["7", "$", "40", "€"]
        assert all(before.end <= after.start + 0.001 for before, after in pairwise(words))


def test_no_words_and_no_windows(ctc: Aligner, whisperx: Aligner) -> None:
    wordless = SpokenWindow(spoken("x").audio, ())
    for aligner in (ctc, whisperx):
        assert align(aligner, []) == ()
        assert align(aligner, [wordless]) == ((),)
        assert [len(words) for words in align(aligner, [wordless, spoken("a b")])] == [0, 2]


def test_more_letters_than_frames_are_spread_over_the_window(
    ctc: Aligner, whisperx: Aligner
) -> None:
    window = spoken("incomprehensibilities and more", 0.2)
    assert_same([window, spoken("good")], ctc, whisperx)
    words = align(ctc, [window])[0]
    assert all(word.interpolated and word.score == 0 for word in words)
    assert (words[0].start, words[-1].end) == (0.0, 0.2)


@pytest.mark.parametrize("samples", [0, 1, 100, 399, 400, 800])
def test_hardly_any_sound(samples: int, ctc: Aligner, whisperx: Aligner) -> None:
    audio: Samples = spoken("x").audio[:samples]
    windows = [SpokenWindow(audio, ("a",)), SpokenWindow(audio, ("good", "morning"))]
    assert_same(windows, ctc, whisperx)
    assert all(word.interpolated for word in align(ctc, windows)[1])


def test_a_word_of_nothing_stands_between_its_neighbours(ctc: Aligner, whisperx: Aligner) -> None:
    window = SpokenWindow(spoken("x").audio, ("good", " ", "", "morning"))
    assert_same([window], ctc, whisperx)
    words = align(ctc, [window])[0]
    assert [word.interpolated for word in words] == [False, True, True, False]
    assert words[0].end <= words[1].start <= words[2].end <= words[3].start


@pytest.mark.parametrize("language", ["ja", "zh"])
def test_languages_without_spaces(language: str) -> None:
    window = SpokenWindow(spoken("x").audio, ("go", "od", "你", "好。", "a b", "2"))
    assert_same([window], load("ctc", language=language), load("whisperx", language=language))


def test_models_that_normalise_over_the_window_give_whisperx_times(tmp_path: Path) -> None:
    name = str(hub_model(tmp_path, norm="group"))
    windows = [spoken("good morning", 1.1), spoken("the order is urgent", 2.3)]
    assert_same(windows, load("ctc", name), load("whisperx", name))


def test_a_model_without_a_separator_gives_whisperx_times(tmp_path: Path) -> None:
    name = str(hub_model(tmp_path, separator="_"))
    window = spoken("good | morning")
    assert_same([window], load("ctc", name), load("whisperx", name))
    assert [word.interpolated for word in align(load("ctc", name), [window])[0]] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("normalised", [False, True])
def test_bundles_give_whisperx_times(
    normalised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_bundle(monkeypatch, tmp_path, "SMALL_BUNDLE", normalised=normalised)
    windows = [spoken("good morning", 1.1), spoken("the order's 2 urgent", 2.3)]
    assert_same(windows, load("ctc", "SMALL_BUNDLE"), load("whisperx", "SMALL_BUNDLE"))


def test_a_batch_does_not_change_its_windows(ctc: Aligner) -> None:
    windows = [spoken("good morning", 1.1), spoken("yes", 0.5), spoken("the order is", 2.9)]
    together = align(ctc, windows)
    for window, words in zip(windows, together, strict=True):
        [alone] = align(ctc, [window])
        assert [word.start for word in alone] == pytest.approx([word.start for word in words])
        assert [word.score for word in alone] == pytest.approx(
            [word.score for word in words], abs=1e-4
        )


@pytest.mark.parametrize("aligner", ALIGNERS)
def test_a_directory_that_holds_no_model_is_refused(aligner: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnknownModel):
        load(aligner, str(tmp_path))


@pytest.mark.parametrize("aligner", ALIGNERS)
@pytest.mark.parametrize("name", ["NO_SUCH_BUNDLE", "WAV2VEC2_BASE", "HDEMUCS_HIGH_MUSDB"])
def test_a_bundle_that_does_not_read_is_refused(aligner: str, name: str) -> None:
    with pytest.raises(UnknownModel, match=name):
        load(aligner, name)


@pytest.mark.parametrize("aligner", ALIGNERS)
def test_a_bundle_that_cannot_be_fetched_is_unavailable(
    aligner: str, no_hub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"WAV2VEC2_ASR_BASE_960H.*URLError"):
        load(aligner, "WAV2VEC2_ASR_BASE_960H")


@pytest.mark.parametrize("aligner", ALIGNERS)
def test_the_threads_are_set_only_if_asked(aligner: str) -> None:
    before = torch.get_num_threads()
    try:
        load(aligner)
        assert torch.get_num_threads() == before
        load_aligner(AlignerRequest(aligner, "pico-align", "en", "cpu", threads=before + 1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
