"""Replay a step as one CUDA graph, since a GPU waits for Python between hundreds of small kernels.

A graph is captured when a number of rows, a span and a way to choose come for the first time, by
the recipe of PyTorch's documentation ("CUDA Graphs"). All graphs share one pool of memory, as only
one runs at a time. On a CPU, and where capture fails, steps run as they are.

This file has not been run on a GPU yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

import torch

from gpu_worker.transcription.engines.torch_whisper.steps import Page

log = logging.getLogger(__name__)
_WARM_UPS = 3  # libraries choose their kernels and allocate their memory in the first ones


class StepGraphs:
    """The graphs of one page; a new page has other addresses and needs new ones."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._captures = page.token.is_cuda
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._captures else None

    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        """Run the step, or replay the graph of its key; equal keys have equal steps."""
        if self._captures and key not in self._graphs:
            try:
                self._graphs[key] = self._captured(step)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._captures = False
                log.warning("Steps run without CUDA graphs: %s", str(error).partition("\n")[0])
        if self._captures:
            self._graphs[key].replay()
        else:
            step()

    def _captured(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Capture the step. It writes what it read, so the warm-ups begin at the same place."""
        token, position = self._page.token.clone(), self._page.position.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                try:
                    step()
                finally:  # a step that runs without a graph after all begins there too
                    self._page.token.copy_(token)
                    self._page.position.copy_(position)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, with an aligner, may use the device meanwhile: hence thread_local.
        with torch.cuda.graph(
            graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
        ):
            step()
        return graph
