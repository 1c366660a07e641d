"""Decode a window again whose text fails Whisper's thresholds, or passes them and is doubtful.

The ways and the choice are those of `tries.py`. Texts that fail get all ways until one passes;
texts that pass get those without sampling, within a share of the chunk's speech.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gpu_worker.audio.samples import Audio
from gpu_worker.audio.speech import VadOptions
from gpu_worker.audio.vad import speech_spans
from gpu_worker.doubt.thresholds import DECODED_AGAIN, DECODED_AGAIN_DOUBT
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import Alternative, Flag
from gpu_worker.transcription.alternatives import different
from gpu_worker.transcription.engines import DecodeOptions, WindowText
from gpu_worker.transcription.engines.fallback import compression_ratio, is_silence
from gpu_worker.transcription.invented import invention
from gpu_worker.transcription.tries import (
    BEAM,
    GREEDY,
    NO_REPEAT,
    SAMPLED,
    SPLIT,
    Try,
    Way,
    doubts_for,
    fails,
    falls_back,
    own_way,
    sampled_way,
    sure_ways,
    taken,
    window_doubt,
)
from gpu_worker.transcription.windows import Window, pack_windows
from gpu_worker.words import join_texts

SHARE = 0.2  # of a chunk's speech, that is decoded again for doubts
PART_SECONDS = 10.0  # of a window that is split
LEAST_PART_SECONDS = 2.0
SCORE_DIGITS = 4

# How a text was decoded that is not the first one.
HOW = {
    GREEDY: "Decoded again, greedily.",
    BEAM: "Decoded again, with beams.",
    NO_REPEAT: "Decoded again, with beams that may not repeat three tokens.",
    SPLIT: "Decoded again, in parts.",
    SAMPLED: "Decoded again, sampled: another run may give another text.",
}

Decode = Callable[[Sequence[Audio], DecodeOptions], Sequence[WindowText]]


@dataclass(frozen=True, slots=True)
class Tried:
    """The text of a window that is taken, and those that are not."""

    text: WindowText
    by: str = GREEDY
    is_first: bool = True
    others: tuple[Try, ...] = ()
    invented: str | None = None  # why the text is taken for invented

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The likeliest texts that say something else."""
        likely = sorted(self.others, key=lambda one: -one.text.avg_logprob)
        found = [
            Alternative(one.text.text, one.by, round(one.text.avg_logprob, SCORE_DIGITS))
            for one in likely
            if one.text.text
        ]
        return different(self.text.text, found)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """A flag if the text is not that of the first try."""
        if self.is_first:
            return ()
        return (Flag(DECODED_AGAIN, DECODED_AGAIN_DOUBT, HOW[self.by]),)


class SecondTries:
    """The tries of some windows, each with the texts that there are so far."""

    def __init__(
        self,
        sounds: Sequence[Audio],
        options: DecodeOptions,
        decode: Decode,
        vad: VadOptions | None,
    ) -> None:
        self._sounds, self._options, self._decode, self._vad = sounds, options, decode, vad
        own = own_way(options)
        self._tries = [[Try(own.by, text)] for text in decode(sounds, own.options)]
        self._invented = {
            index: why
            for index, [one] in enumerate(self._tries)
            if (why := invention(one.text, sounds[index], options))
        }

    def failing(self) -> list[int]:
        """Return the windows of which no text passes."""
        return [index for index in self._open() if not self._passing(index)]

    def doubtful(self, codes: frozenset[str]) -> list[int]:
        """Return the windows of which each text that passes is doubtful, the worst first.

        `codes` are those of the flags that count.
        """
        language = self._options.written_language
        doubts = {
            index: min(window_doubt(text, self.seconds(index), language, codes) for text in passing)
            for index in self._open()
            if (passing := self._passing(index))
        }
        return sorted((index for index in doubts if doubts[index]), key=lambda i: -doubts[i])

    def _open(self) -> list[int]:
        """Return the windows with a text that is believed to be said."""
        firsts = [tries[0].text for tries in self._tries]
        return [
            index
            for index, first in enumerate(firsts)
            if first.text and index not in self._invented and not is_silence(first, self._options)
        ]

    def _passing(self, index: int) -> list[WindowText]:
        texts = [one.text for one in self._tries[index]]
        return [text for text in texts if text.text and not fails(text, self._options)]

    def seconds(self, index: int) -> float:
        """Return the length of a window."""
        return len(self._sounds[index]) / SAMPLE_RATE

    def decode(self, indices: Sequence[int], way: Way) -> None:
        """Decode some windows in one more way."""
        if indices:
            texts = self._decode([self._sounds[index] for index in indices], way.options)
            for index, text in zip(indices, texts, strict=True):
                self._tries[index].append(Try(way.by, text))

    def split(self, indices: Sequence[int], way: Way) -> None:
        """Decode some windows as parts between their pauses, and join the texts of the parts."""
        parts = {index: self._parts(self._sounds[index]) for index in indices}
        sounds = [part.cut(self._sounds[index]) for index in indices for part in parts[index]]
        texts = iter(self._decode(sounds, way.options) if sounds else ())
        for index in indices:
            found = [
                (part, self._believed(text, part.cut(self._sounds[index])))
                for part, text in zip(parts[index], texts, strict=False)
            ]
            if found:
                self._tries[index].append(Try(SPLIT, joined(found)))

    def results(self) -> list[Tried]:
        """Return what is taken of each window."""
        results = []
        for index, tries in enumerate(self._tries):
            best = taken(tries, self._options, self.seconds(index))
            others = tuple(one for one in tries if one is not best)
            why = self._invented.get(index)
            results.append(Tried(best.text, best.by, best is tries[0], others, why))
        return results

    def _believed(self, text: WindowText, sound: Audio) -> WindowText:
        """Return a part's text, without words if it is taken for silence or for invented."""
        if is_silence(text, self._options) or invention(text, sound, self._options):
            return replace(text, text="", words=())
        return text

    def _parts(self, sound: Audio) -> tuple[Window, ...]:
        """Cut a window at its pauses; nothing for one that is too short for two parts."""
        longest = min(PART_SECONDS, len(sound) / SAMPLE_RATE / 2 + 0.5)
        if longest < LEAST_PART_SECONDS:
            return ()
        parts = pack_windows(speech_spans(sound, longest, self._vad), int(longest * SAMPLE_RATE))
        return parts if len(parts) > 1 else ()


def decode_with_tries(
    sounds: Sequence[Audio],
    options: DecodeOptions,
    decode: Decode,
    *,
    engine: str,
    vad: VadOptions | None,
    share: float,
) -> list[Tried]:
    """Decode windows, again where it is needed, and return what is taken of each.

    `engine` is its kind. `share` of the windows' seconds may be decoded again for doubts; if it is
    not 0 the worst window gets one try at least.
    """
    tries = SecondTries(sounds, options, decode, vad)
    if not falls_back(options):
        return tries.results()
    budget = share * sum(map(len, sounds)) / SAMPLE_RATE
    is_unused = share > 0.0

    def affordable(codes: frozenset[str]) -> list[int]:
        nonlocal budget, is_unused
        found = []
        for index in tries.doubtful(codes) if share > 0.0 else ():
            if is_unused or tries.seconds(index) <= budget:
                budget, is_unused = budget - tries.seconds(index), False
                found.append(index)
        return found

    for way in sure_ways(engine, options):
        tries.decode(sorted({*tries.failing(), *affordable(doubts_for(way.by))}), way)
    tries.split(sorted({*tries.failing(), *affordable(doubts_for(SPLIT))}), own_way(options))
    if engine != "parakeet":  # which cannot sample, and would give the same text again
        tries.decode(tries.failing(), sampled_way(options))
    return tries.results()


def joined(parts: Sequence[tuple[Window, WindowText]]) -> WindowText:
    """Join the texts of a window's parts; the parts count in samples of the window."""
    text = join_texts(one.text for _, one in parts)
    letters = [len(one.text) for _, one in parts]
    mean = sum(n * one.avg_logprob for n, (_, one) in zip(letters, parts, strict=True))
    return replace(
        parts[0][1],
        text=text,
        words=tuple(word for part, one in parts for word in part.place(one.words)),
        avg_logprob=mean / max(1, sum(letters)),
        no_speech_prob=min(one.no_speech_prob for _, one in parts),
        compression_ratio=compression_ratio(text),
        is_whole=all(one.is_whole for _, one in parts),
    )
