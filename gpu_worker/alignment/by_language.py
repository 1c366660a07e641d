"""Align a chunk of several languages: the windows of each with its own language's model.

Where a language's model cannot be had, its words keep the times of the engine, and the transcript
gets a warning.
"""

from __future__ import annotations

from collections.abc import Callable

from gpu_worker.errors import ModelUnavailable, PermanentError
from gpu_worker.heard import ChunkTranscript, HeardWindow
from gpu_worker.transcript import TranscriptWarning

AlignLanguage = Callable[[ChunkTranscript, str], ChunkTranscript]


def align_by_language(
    heard: ChunkTranscript, language: str, align: AlignLanguage
) -> ChunkTranscript:
    """Call `align` for the windows of each language, and return all in their order.

    `language` is that of windows that name none. If none does, all are aligned at once, and
    what `align` raises is raised; else a missing model becomes a warning.
    """
    named = list(map(_named, heard.windows))
    if not any(named):
        return align(heard, language)
    windows = list(heard.windows)
    warnings = list(heard.warnings)
    # A window without text names none, and needs no model.
    spoken = [
        (own or language) if window.segments else None
        for own, window in zip(named, windows, strict=True)
    ]
    for code in sorted({own for own in spoken if own is not None}):
        places = [index for index, own in enumerate(spoken) if own == code]
        try:
            aligned = align(ChunkTranscript(tuple(windows[index] for index in places)), code)
        except (ModelUnavailable, PermanentError) as error:
            warnings.append(
                TranscriptWarning(
                    "words_not_aligned",
                    f"Words in the language {code!r} have the times of the engine's "
                    f"cross-attention ({error.code}): {error.message} {error.advice}",
                )
            )
            continue
        for index, window in zip(places, aligned.windows, strict=True):
            windows[index] = window
    return ChunkTranscript(tuple(windows), tuple(warnings))


def _named(window: HeardWindow) -> str | None:
    return next((segment.language for segment in window.segments if segment.language), None)
