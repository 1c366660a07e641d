"""The windows of each language are aligned with their own language's model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_worker.alignment.by_language import align_by_language
from gpu_worker.errors import ModelUnavailable, NoAlignModel
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.pcm import Span
from gpu_worker.transcript import Segment, TranscriptWarning

CUT = TranscriptWarning("prompt_cut", "It is cut.")


def window(number: int, language: str | None) -> HeardWindow:
    return HeardWindow(
        (Span(number, number + 1),), (Segment(number, number + 1, str(number), language=language),)
    )


def chunk(*languages: str | None) -> ChunkTranscript:
    return ChunkTranscript(tuple(window(*item) for item in enumerate(languages)), (CUT,))


def aligned(heard: ChunkTranscript, language: str) -> ChunkTranscript:
    """Mark each segment with the language that it was aligned in."""
    if language == "xx":
        raise NoAlignModel("No model is known that aligns the language 'xx'.")
    return replace(
        heard,
        windows=tuple(
            replace(one, segments=tuple(replace(s, speaker=language) for s in one.segments))
            for one in heard.windows
        ),
    )


def test_each_window_is_aligned_in_its_language_and_stays_in_its_place() -> None:
    found = align_by_language(chunk("en", "de", "en", "es"), "en", aligned)
    assert [segment.speaker for segment in found.segments] == ["en", "de", "en", "es"]
    assert [segment.text for segment in found.segments] == ["0", "1", "2", "3"]
    assert found.warnings == (CUT,)


def test_a_chunk_without_languages_is_aligned_as_a_whole() -> None:
    found = align_by_language(chunk(None, None), "fr", aligned)
    assert [segment.speaker for segment in found.segments] == ["fr", "fr"]


def test_a_window_that_names_no_language_is_in_the_files() -> None:
    found = align_by_language(chunk("de", None), "fr", aligned)
    assert [segment.speaker for segment in found.segments] == ["de", "fr"]


def test_a_window_without_text_needs_no_model() -> None:
    heard = chunk("de", None, "de")
    silent = replace(heard.windows[1], segments=())
    heard = replace(heard, windows=(heard.windows[0], silent, heard.windows[2]))
    found = align_by_language(heard, "xx", aligned)  # of which there is no model
    assert [segment.speaker for segment in found.segments] == ["de", "de"]
    assert (found.windows[1], found.warnings) == (silent, (CUT,))


def test_words_of_a_language_without_a_model_keep_their_times_with_a_warning() -> None:
    found = align_by_language(chunk("en", "xx", "en"), "en", aligned)
    assert [segment.speaker for segment in found.segments] == ["en", None, "en"]
    (_, warning) = found.warnings
    assert warning.code == "words_not_aligned"
    assert "'xx'" in warning.message and "no_align_model" in warning.message


def test_a_fault_that_is_not_of_the_model_is_raised() -> None:
    def failing(heard: ChunkTranscript, language: str) -> ChunkTranscript:
        raise MemoryError

    with pytest.raises(MemoryError):
        align_by_language(chunk("en", "de"), "en", failing)


def test_a_model_that_cannot_be_fetched_ends_a_file_of_one_language_as_before() -> None:
    def away(heard: ChunkTranscript, language: str) -> ChunkTranscript:
        raise ModelUnavailable("The hub is away.")

    with pytest.raises(ModelUnavailable):
        align_by_language(chunk(None), "en", away)
