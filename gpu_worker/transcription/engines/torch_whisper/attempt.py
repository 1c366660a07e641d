"""One attempt at the texts of a few windows, at one temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from faster_whisper.tokenizer import Tokenizer
from torch import Tensor

from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.attempts import Attempt, attempt_of, suppressed_tokens
from gpu_worker.transcription.engines.prompts import Prompt
from gpu_worker.transcription.engines.torch_whisper.network import Network
from gpu_worker.transcription.engines.torch_whisper.rules import token_rules
from gpu_worker.transcription.engines.torch_whisper.sampling import seed
from gpu_worker.transcription.engines.torch_whisper.timing import Place, time_tokens
from gpu_worker.transcription.engines.torch_whisper.writing import Assignment, Writer, Written
from gpu_worker.transcription.engines.word_times import TokenTimes


@dataclass(frozen=True, slots=True)
class TimedAttempt(Attempt):
    """An attempt, with the times of its tokens."""

    times: TokenTimes | None  # None: there are no words, or they were not asked for


@dataclass(frozen=True, slots=True)
class Order:
    """A job's options, and what follows from them."""

    options: DecodeOptions
    tokenizer: Tokenizer
    prompt: Prompt
    room: int  # tokens of the longest text

    @property
    def start(self) -> int:
        """The position of `<|startoftranscript|>`: hot words and an initial prompt are before."""
        return self.prompt.tokens.index(self.tokenizer.sot)


def attempt_at(
    network: Network,
    writer: Writer,
    sounds: Sequence[Tensor],
    windows: Sequence[Audio],
    order: Order,
    temperature: float,
    offset: float,
) -> list[TimedAttempt]:
    """Decode windows once; of several candidates take the likeliest.

    `sounds` are their encodings, as `Writer.begin` takes them. `offset` is in seconds, and is
    added to the times of words.
    """
    options, tokenizer = order.options, order.tokenizer
    copies = options.best_of if temperature > 0.0 else 1
    suppressed = suppressed_tokens(tokenizer, options)
    at_begin, vocabulary = network.suppressed_at_begin, network.vocabulary
    rules = token_rules(suppressed, at_begin, vocabulary, network.device)
    seeds = _seeds(windows, copies, temperature)
    assignment = Assignment(order.prompt.tokens, order.room, rules, temperature, seeds)

    page = writer.begin(sounds, copies)
    states = writer.write(page, assignment)
    written, rows = writer.read(page, assignment), page.cache.slots.tolist()
    first = network.decoder.scores(states[::copies, order.start]).softmax(dim=-1)
    silences = first[:, tokenizer.no_speech].tolist()

    attempts = []
    for index, window in enumerate(windows):
        candidates = range(index * copies, (index + 1) * copies)
        slot = max(candidates, key=lambda slot: _rank(written[slot], options.length_penalty))
        found = written[slot]
        total, silence = found.log_probability, silences[index]
        attempt = attempt_of(
            found.tokens, total, silence, tokenizer, options, temperature, order.room
        )
        times = None
        if options.word_timestamps and attempt.tokens and len(window):
            place = Place(slot, rows.index(slot), order.start, len(order.prompt.tokens) - 1)
            seconds = len(window) / SAMPLE_RATE
            times = time_tokens(page.cache, place, found, tokenizer.eot, seconds, offset)
        attempts.append(TimedAttempt(attempt.tokens, attempt.text, times))
    return attempts


def _seeds(windows: Sequence[Audio], copies: int, temperature: float) -> list[int]:
    """Return a seed for each row; without chance it is of no effect, and not computed."""
    if temperature == 0.0:
        return [0] * len(windows)
    return [seed(window, copy, temperature) for window in windows for copy in range(copies)]


def _rank(text: Written, length_penalty: float) -> float:
    """Return a candidate's score, as CTranslate2 has it; an empty text comes last."""
    if not text.tokens:
        return -float("inf")
    return text.log_probability / math.pow(len(text.tokens), length_penalty)
