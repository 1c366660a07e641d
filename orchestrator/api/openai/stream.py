"""The events of a streamed transcription, in OpenAI's shapes. Pure.

Text is sent when it is final: chunk by chunk, in the order of the file. The joined pieces are the
transcript's text. Speakers come at the end: they are known when the whole file is diarized.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gpu_worker.transcript import Segment, Transcript
from gpu_worker.words import join_texts
from orchestrator.api.openai.replies import ReplyFormat, closing, diarized_segments


class TextStream:
    """The text of one transcript that was sent so far."""

    def __init__(self, form: ReplyFormat) -> None:
        self._form = form
        self._sent: list[str] = []
        self._last = ""  # segment's text

    def more(self, segments: Iterable[Segment]) -> Iterator[dict[str, Any]]:
        """Yield one event for each of the next segments that has text.

        A delta begins with the space between two segments, if there is one.
        """
        for segment in segments:
            if text := segment.text.strip():
                yield self._delta(join_texts((self._last, text)).removeprefix(self._last))
                self._last = text

    def end(self, transcript: Transcript) -> Iterator[dict[str, Any]]:
        """Yield the last events, from the published transcript."""
        text, sent = transcript.text, "".join(self._sent)
        if text.startswith(sent) and text != sent:
            yield self._delta(text[len(sent) :])
        if self._form is ReplyFormat.DIARIZED_JSON:
            yield from diarized_segments(transcript)
        yield {"type": "transcript.text.done", "text": text, **closing(transcript)}

    def _delta(self, text: str) -> dict[str, Any]:
        self._sent.append(text)
        return {"type": "transcript.text.delta", "delta": text}
