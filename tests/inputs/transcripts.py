"""Transcripts for tests: well-formed ones, and ones as hostile as their type allows."""

from __future__ import annotations

from hypothesis import strategies as st

from gpu_worker.transcript import Segment, Transcript, TranscriptWarning, Word

FORGED = "one\n\n00:00:05 --> 00:00:06\nforged"
HOSTILE_TEXTS = (
    "",
    " \t\n",
    "\x00\x1b",
    FORGED,
    "a --> b",
    "a ---> b",
    "-\x00->",
    "<v Eve>hi</v>",
    "AT&T &lt;b&gt;",
    "tab\there",
    "line\u2028break\x85next\x0bpage",
    "half \ud800 pair",
    "WEBVTT",
    "NOTE x",
    "1",
    "=1+1",
    "今日は良い天気",
)

seconds = st.floats(0, 400_000, allow_nan=False).map(lambda value: round(value, 3))
wild_seconds = st.floats() | st.sampled_from([-1.0, 0.0, 360_000.0, 1e300])
texts = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=30)
speakers = st.none() | st.sampled_from(["SPEAKER_00", "Ann <&> Bob", "a\nb", "-->", " "])
portions = st.floats(0, 1)


def words(times: st.SearchStrategy[float]) -> st.SearchStrategy[Word]:
    return st.builds(
        Word,
        word=texts,
        start=times,
        end=times,
        score=portions,
        speaker=speakers,
        interpolated=st.booleans(),
    )


def segments(times: st.SearchStrategy[float]) -> st.SearchStrategy[Segment]:
    return st.builds(
        Segment,
        start=times,
        end=times,
        text=texts,
        words=st.lists(words(times), max_size=4).map(tuple),
        avg_logprob=st.floats(-10, 0),
        no_speech_prob=portions,
        compression_ratio=portions,
        temperature=portions,
        speaker=speakers,
    )


def transcripts(times: st.SearchStrategy[float]) -> st.SearchStrategy[Transcript]:
    warnings = st.builds(
        TranscriptWarning, code=texts, message=texts, start=st.none() | times, end=st.none() | times
    )
    return st.builds(
        Transcript,
        language=st.none() | st.sampled_from(["en", "ja"]),
        duration=times,
        segments=st.lists(segments(times), max_size=4).map(tuple),
        warnings=st.lists(warnings, max_size=2).map(tuple),
    )


def spoken(
    *words_and_starts: tuple[str, float], speaker: str | None = None, seconds_a_word: float = 0.5
) -> Segment:
    """A segment that says these words from these times on."""
    timed = tuple(
        Word(word, start, start + seconds_a_word, 0.9, speaker) for word, start in words_and_starts
    )
    text = " ".join(word for word, _ in words_and_starts)
    return Segment(timed[0].start, timed[-1].end, text, timed, speaker=speaker)


def transcript(*segments: Segment) -> Transcript:
    return Transcript("en", 3600.0, segments)
