"""Import pyannote.audio without its warnings and with its telemetry off.

When it is imported it warns about torchcodec, which only its own reading of files needs,
and it would report each use to its makers. All modules import the parts of pyannote.audio
that they use from this one, so that neither happens.
"""

from __future__ import annotations

import logging
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pyannote.audio import Model, Pipeline
    from pyannote.audio.core.plda import PLDA
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.blocks.pooling import StatsPool
    from pyannote.audio.models.embedding import XVectorMFCC, XVectorSincNet
    from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet
    from pyannote.audio.models.segmentation import PyanNet
    from pyannote.audio.pipelines import SpeakerDiarization
    from pyannote.audio.pipelines.clustering import (
        AgglomerativeClustering,
        BaseClustering,
        KMeansClustering,
        VBxClustering,
    )
    from pyannote.audio.pipelines.speaker_verification import (
        PyannoteAudioPretrainedSpeakerEmbedding,
    )
    from pyannote.audio.telemetry import set_telemetry_metrics
    from pyannote.audio.utils.powerset import Powerset
    from pyannote.audio.utils.signal import binarize
    from pyannote.core import Annotation, Segment, SlidingWindow, SlidingWindowFeature
    from pyannote.core.utils.generators import string_generator

__all__ = [
    "AgglomerativeClustering",
    "Annotation",
    "BaseClustering",
    "BaseWeSpeakerResNet",
    "KMeansClustering",
    "Model",
    "Pipeline",
    "Powerset",
    "Problem",
    "PyanNet",
    "PyannoteAudioPretrainedSpeakerEmbedding",
    "Resolution",
    "Segment",
    "SlidingWindow",
    "SlidingWindowFeature",
    "SpeakerDiarization",
    "Specifications",
    "StatsPool",
    "UnusedPlda",
    "VBxClustering",
    "XVectorMFCC",
    "XVectorSincNet",
    "binarize",
    "string_generator",
]

set_telemetry_metrics(False)
# It prints for each old checkpoint how to rewrite the file, which this project does not want.
logging.getLogger("lightning.pytorch.utilities.migration").setLevel(logging.WARNING)


class UnusedPlda(PLDA):
    """A PLDA without content: a pipeline needs one, also if its clustering does not use it."""

    def __init__(self) -> None:
        pass
