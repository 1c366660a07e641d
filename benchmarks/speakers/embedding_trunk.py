"""What sharing the embedding model's trunk among a window's speakers saves.

    python -m benchmarks.speakers.embedding_trunk [--windows 4] [--rounds 5]

Windows of 10 s of speech in which three people speak are embedded by pyannote's own
`get_embeddings` and by `SpeakerEmbedder`, turn by turn, on one CPU thread. The models are
pyannote's WeSpeakerResNet34 and XVectorMFCC at their own sizes with random weights: the
work does not depend on them. Medians of the CPU seconds, and the greatest difference of any
number, in parts of the greatest one. Exit status 1 if a model took more than half of
pyannote's time or differed by more than 1e-4.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import print_machine
from gpu_worker.diarization.embedding import SpeakerEmbedder, speaker_masks
from gpu_worker.diarization.pretrained import load_pico_voice
from gpu_worker.diarization.pyannote_audio import (
    PyannoteAudioPretrainedSpeakerEmbedding,
    SlidingWindow,
    SlidingWindowFeature,
    SpeakerDiarization,
    XVectorMFCC,
)
from gpu_worker.pcm import SAMPLE_RATE

_SECONDS, _FRAMES, _SPEAKERS = 10.0, 589, 3
_MOST_OF_THE_TIME, _TOLERANCE = 0.5, 1e-4


def measure(model: Any, windows: int, rounds: int) -> tuple[float, float, float]:
    """CPU seconds of pyannote's way and of ours, and how much they differ."""
    embedding = PyannoteAudioPretrainedSpeakerEmbedding(model)
    pipeline = _pipeline(embedding, windows * _SPEAKERS)
    audio, active = _speech(windows)
    embedder = SpeakerEmbedder(embedding)
    embedder.silent(round(_SECONDS * SAMPLE_RATE), _FRAMES)
    theirs_seconds, ours_seconds = [], []
    for _ in range(rounds):
        begin = time.process_time()
        theirs = _theirs(pipeline, audio, active)
        middle = time.process_time()
        ours = _ours(embedder, audio, active)
        ours_seconds.append(time.process_time() - middle)
        theirs_seconds.append(middle - begin)
    difference = float(np.abs(theirs - ours).max() / np.abs(theirs).max())
    return median(theirs_seconds), median(ours_seconds), difference


def _theirs(
    pipeline: SpeakerDiarization, audio: NDArray[np.float32], active: NDArray[np.bool_]
) -> NDArray[np.float32]:
    grid = SlidingWindow(start=0.0, duration=_SECONDS, step=_SECONDS)
    file = {"waveform": torch.from_numpy(audio)[None], "sample_rate": SAMPLE_RATE}
    features = SlidingWindowFeature(active.astype(np.float32), grid)
    vectors: NDArray[np.float32] = pipeline.get_embeddings(file, features, exclude_overlap=True)
    return vectors


def _ours(
    embedder: SpeakerEmbedder, audio: NDArray[np.float32], active: NDArray[np.bool_]
) -> NDArray[np.float32]:
    samples = round(_SECONDS * SAMPLE_RATE)
    masks = speaker_masks(active, True, embedder.least_frames(_FRAMES, samples))
    return embedder.embed(torch.from_numpy(audio.reshape(-1, samples)), masks)


def _speech(windows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Noise, and three people who speak one after the other with some overlap."""
    rng = np.random.default_rng(0)
    audio = rng.normal(scale=0.1, size=windows * round(_SECONDS * SAMPLE_RATE))
    active = np.zeros((windows, _FRAMES, _SPEAKERS), dtype=np.bool_)
    for speaker in range(_SPEAKERS):
        first = speaker * _FRAMES // _SPEAKERS
        active[:, max(0, first - 20) : first + _FRAMES // _SPEAKERS, speaker] = True
    return audio.astype(np.float32), active


def _pipeline(embedding: Any, batch: int) -> SpeakerDiarization:
    """Any pipeline of pyannote's, with this embedding; all pairs in one batch, as ours."""
    from gpu_worker.builtin import PICO_VOICE

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an old checkpoint
        pipeline = load_pico_voice(PICO_VOICE)
    pipeline._embedding = embedding
    pipeline.embedding_batch_size = batch
    return pipeline


def main() -> int:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    warnings.filterwarnings("ignore", message="std")  # pyannote tries how short a clip may be
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print_machine()
    print("\nmodel              pyannote s  shared s  ratio  difference", flush=True)
    status = 0
    for name, model in _models().items():
        theirs, ours, difference = measure(model, given.windows, given.rounds)
        row = f"{name:<17}  {theirs:>10.2f}  {ours:>8.2f}  {ours / theirs:>5.2f}"
        print(f"{row}  {difference:>10.1e}", flush=True)
        if ours > theirs * _MOST_OF_THE_TIME or difference > _TOLERANCE:
            status = 1
    return status


def _models() -> dict[str, Any]:
    from pyannote.audio.models.embedding import WeSpeakerResNet34

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XVectorMFCC has more mel bands than its window holds
        return {"WeSpeakerResNet34": WeSpeakerResNet34(), "XVectorMFCC": XVectorMFCC()}


if __name__ == "__main__":
    sys.exit(main())
