"""Read the outputs of all stages of a run, for `assemble`.

`align` and `diarize` may have failed, as a transcript can do without them: then it is published
without their output, with a warning.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gpu_worker.assembly.merging import MissingSpan
from gpu_worker.diarization import Diarization
from gpu_worker.heard import ChunkTranscript
from gpu_worker.models.capabilities import translation_notices
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning, warnings_from_json
from tasks.artifacts import ArtifactMissing, ArtifactStore
from tasks.runs import keys
from tasks.runs.manifest import Plan
from tasks.runs.options import JobOptions
from tasks.runs.records import Records
from tasks.runs.stages import Stage
from tasks.runs.units import Run

READERS = 8  # artifacts fetched at once: a read from S3 is mostly waiting

Failures = Mapping[tuple[Stage, int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Findings:
    """The outputs of a run's stages that `assemble` publishes."""

    chunks: tuple[ChunkTranscript | None, ...]  # None: given up
    missing: tuple[MissingSpan, ...]
    diarization: Diarization | None
    warnings: tuple[TranscriptWarning, ...]
    engines: Mapping[str, int]  # how many chunks each engine transcribed
    receipts: Mapping[Stage, Sequence[dict[str, Any]]]


class FindingsReader:
    """Reads one run's artifacts."""

    def __init__(self, store: ArtifactStore, records: Records, run: Run, failed: Failures) -> None:
        self._store = store
        self._records = records
        self._run = run
        self._failed = failed
        self._plan: Plan = records.plan(run.tenant, run.job)
        self._options: JobOptions = records.resolved(run).options

    def read(self) -> Findings | None:
        """Read all outputs; return None while a unit is neither done nor given up."""
        aligned = self._read_all(Stage.ALIGN) if self._options.aligns else {}
        heard = self._read_all(Stage.TRANSCRIBE)
        count = range(len(self._plan.chunks))
        if any(self._is_open(index, heard, aligned) for index in count):
            return None
        diarized = self._diarized()
        if diarized is None:
            return None
        texts = [aligned.get(index) or heard.get(index) for index in count]
        chunks = tuple(ChunkTranscript.from_json(text) if text else None for text in texts)
        return Findings(
            chunks=chunks,
            missing=tuple(self._missing(index) for index, chunk in enumerate(chunks) if not chunk),
            diarization=Diarization.from_json(diarized) if diarized else None,
            warnings=(
                *self._records.choice_warnings(self._run),
                *translation_notices(self._options.model, self._options.task),
                # Each once: all chunks give the same warnings about the job's options.
                *dict.fromkeys(warning for chunk in chunks if chunk for warning in chunk.warnings),
                *self._alignment_warnings(len(count)),
                *self._speaker_warnings(),
                *warnings_from_json(diarized.get("warnings", ())),
            ),
            # Older artifacts do not say it.
            engines=Counter(text["engine"] for text in heard.values() if "engine" in text),
            receipts={
                Stage.TRANSCRIBE: [text["receipt"] for text in heard.values()],
                Stage.ALIGN: [text["receipt"] for text in aligned.values()],
                Stage.EMBED_SPEAKERS: self._shard_receipts() if diarized else [],
                Stage.DIARIZE: [diarized["receipt"]] if diarized else [],
            },
        )

    def _is_open(self, index: int, heard: Mapping[int, Any], aligned: Mapping[int, Any]) -> bool:
        if index in aligned or (Stage.TRANSCRIBE, index) in self._failed:
            return False
        given_up = not self._options.aligns or (Stage.ALIGN, index) in self._failed
        return index not in heard or not given_up

    def _read_all(self, stage: Stage) -> dict[int, dict[str, Any]]:
        """Return the stage's artifacts that exist, by the chunk's index."""
        units = [self._run.unit(stage, index) for index in range(len(self._plan.chunks))]
        with ThreadPoolExecutor(READERS) as pool:
            found = pool.map(self._read, map(self._records.key, units))
        return {index: data for index, data in enumerate(found) if data is not None}

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            data: dict[str, Any] = json.loads(self._store.get(key))
        except ArtifactMissing:
            return None
        return data

    def _diarized(self) -> dict[str, Any] | None:
        """Return the artifact of `diarize`: {} if there will be none, None if it may still come."""
        if not self._plan.shards(self._options) or (Stage.DIARIZE, 0) in self._failed:
            return {}
        return self._read(self._records.key(self._run.unit(Stage.DIARIZE)))

    def _shard_receipts(self) -> list[dict[str, Any]]:
        audio, options = self._plan.audio, self._options
        shards = (
            keys.receipt(keys.embedded(self._run.tenant, audio, index, options))
            for index in range(self._plan.shards(options))
        )
        with ThreadPoolExecutor(READERS) as pool:
            return [receipt for receipt in pool.map(self._read, shards) if receipt]

    def _missing(self, index: int) -> MissingSpan:
        start, end = self._plan.chunks[index]
        error = self._failed[Stage.TRANSCRIBE, index]
        channels = self._plan.chunk_channels
        where = f"In channel {channels[index]}, counted from 0: " if channels else ""
        return MissingSpan(
            round(start / SAMPLE_RATE, 3),
            round(end / SAMPLE_RATE, 3),
            error["code"],
            where + error["message"],
        )

    def _alignment_warnings(self, chunks: int) -> list[TranscriptWarning]:
        """Return one warning for each error code of `align`, not one for each chunk."""
        reasons: dict[str, list[dict[str, Any]]] = {}
        for (stage, _), error in self._failed.items():
            if stage is Stage.ALIGN:
                reasons.setdefault(error["code"], []).append(error)
        return [
            TranscriptWarning(
                "words_not_aligned",
                f"In {len(errors)} of {chunks} chunks words have the times of the engine's "
                f"cross-attention ({code}): {errors[0]['message']} {errors[0]['hint']}",
            )
            for code, errors in reasons.items()
        ]

    def _speaker_warnings(self) -> list[TranscriptWarning]:
        """Return a warning with the first cause: when a shard failed, `diarize` fails too."""
        for cause in (Stage.EMBED_SPEAKERS, Stage.DIARIZE):
            for (stage, _), error in self._failed.items():
                if stage is cause:
                    return [
                        TranscriptWarning(
                            "speakers_missing",
                            f"Speakers were not told apart ({error['code']}): "
                            f"{error['message']} {error['hint']}",
                        )
                    ]
        return []
