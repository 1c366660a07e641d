"""Write the texts of a batch: the loop around the steps, which runs on the host.

Rows that have ended leave the batch. On a CPU that is after any step, and any number of rows is
decoded. On a GPU it is looked at every few steps, since looking waits for the device, and rows are
decoded in one of a few numbers, each of which has its graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu_worker.transcription.engines.torch_whisper.decoder import Decoder
from gpu_worker.transcription.engines.torch_whisper.graphs import StepGraphs
from gpu_worker.transcription.engines.torch_whisper.rules import TokenRules
from gpu_worker.transcription.engines.torch_whisper.steps import (
    Page,
    new_page,
    read_prompt,
    step,
)


@dataclass(frozen=True, slots=True)
class Pace:
    """In which steps a device works best."""

    steps: int  # between two looks at which rows have ended
    rows: tuple[int, ...]  # numbers of rows that are decoded; without them any number
    span: int  # text positions are read in multiples of it
    keeps_page: bool  # for the next batch; graphs need its addresses


CPU = Pace(1, (), 1, keeps_page=False)
GPU = Pace(8, (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512), 128, keeps_page=True)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is written about a batch's sounds: a text for each of `seeds`."""

    prompt: Sequence[int]
    room: int  # tokens of the longest text
    rules: TokenRules
    temperature: float  # 0: the likeliest token
    seeds: Sequence[int]  # of the rows' chances; without effect at temperature 0


@dataclass(frozen=True, slots=True)
class Written:
    """One row's text."""

    tokens: tuple[int, ...]  # without the one that ends it
    log_probability: float  # of all of them, and of the one that ends the text, if it is there
    probabilities: tuple[float, ...]  # of each token among all


class Writer:
    """Writes batch after batch, on a page of its own. Not to be used by two threads at once."""

    def __init__(
        self,
        decoder: Decoder,
        audio_positions: int,
        heads: Sequence[tuple[int, int]],
        end: int,
        pace: Pace = CPU,
    ) -> None:
        """`heads` time words, as layer and head; `end` is the token that ends a text."""
        self._decoder, self._end, self._pace = decoder, end, pace
        self._audio_positions, self._heads = audio_positions, heads
        self._positions = len(decoder.positional_embedding)
        self._page: Page | None = None
        self._graphs: StepGraphs | None = None

    def begin(self, encoded: Sequence[Tensor], copies: int = 1) -> Page:
        """Return a page on which each sound has so many rows, one behind the other.

        A sound is encoded, (windows, 1500, width), for one or more windows.
        """
        rows = copies * sum(map(len, encoded))
        page = self._page
        if page is None or page.cache.rows < rows or not self._pace.keeps_page:
            page = None
            self.release()  # before there is another one
            page = new_page(self._decoder, self._rows(rows), self._audio_positions, self._heads)
            self._page, self._graphs = page, StepGraphs(page)
        page.cache.slots.copy_(torch.arange(page.cache.rows))
        first = 0
        for sound in encoded:
            repeated = sound.repeat_interleave(copies, dim=0) if copies > 1 else sound
            self._decoder.hear(repeated, slice(first, first + len(repeated)), page.cache)
            first += len(repeated)
        return page

    def release(self) -> None:
        """Free the page's memory."""
        self._page = self._graphs = None

    def rest(self) -> None:
        """Free the page's memory, unless the next batch is to use it."""
        if not self._pace.keeps_page:
            self.release()

    def write(self, page: Page, assignment: Assignment) -> Tensor:
        """Write the texts of the first rows of the page, to its slots.

        One step more is made than there is room for tokens: when a text ends is seen in it.
        Returns the states behind each token of the prompt, (rows, places, width).
        """
        draws, rows = assignment.temperature > 0.0, len(assignment.seeds)
        page.forbidden.copy_(assignment.rules.later)
        page.temperature.fill_(assignment.temperature)
        page.seeds[:rows, 0] = torch.tensor(assignment.seeds)
        prompt = len(assignment.prompt)
        states = read_prompt(
            self._decoder, page, assignment.prompt, rows, assignment.rules.first, draws=draws
        )
        going, seen = rows, prompt - 1
        for position in range(prompt, prompt + assignment.room):
            if position - seen >= self._pace.steps or position == prompt:
                going = self._leave_ended(page, going, seen, position)
                seen = position
            if not going:
                break
            self._step(page, self._rows(going), self._span(position), draws)
        return states

    def read(self, page: Page, assignment: Assignment) -> list[Written]:
        """Read what was written for each row that there was in the beginning."""
        first, rows = len(assignment.prompt) - 1, len(assignment.seeds)
        places = slice(first, first + assignment.room + 1)
        texts = zip(
            page.chosen[:rows, places].tolist(),
            page.log_probabilities[:rows, places].double().tolist(),
            page.probabilities[:rows, places].tolist(),
            strict=True,
        )
        found = []
        for tokens, log_probabilities, probabilities in texts:
            length = tokens.index(self._end) if self._end in tokens else assignment.room
            found.append(
                Written(
                    tuple(tokens[:length]),
                    sum(log_probabilities[: min(length + 1, assignment.room)]),
                    tuple(probabilities[:length]),
                )
            )
        return found

    def _step(self, page: Page, rows: int, span: int, draws: bool) -> None:
        assert self._graphs is not None
        self._graphs.run(
            (rows, span, draws), lambda: step(self._decoder, page, rows, span, draws=draws)
        )

    def _leave_ended(self, page: Page, going: int, first: int, end: int) -> int:
        """Bring rows that go on to the front, and return how many they are.

        A row has ended if the token that ends a text followed a position from `first` to `end`.
        """
        written = page.chosen[page.cache.slots[:going], first:end]
        ended: list[bool] = (written == self._end).any(dim=1).tolist()
        left = going - sum(ended)
        holes = [row for row in range(left) if ended[row]]
        others = [row for row in range(left, going) if not ended[row]]
        if holes:
            page.cache.swap(holes, others)
            page.token[holes] = page.token[others]
        return left

    def _rows(self, going: int) -> int:
        """Return how many rows are decoded when so many go on."""
        return next((rows for rows in self._pace.rows if rows >= going), going)

    def _span(self, position: int) -> int:
        """Return how many text positions are read at this one."""
        span = self._pace.span
        return min(-(-(position + 1) // span) * span, self._positions)
