"""Part `speakers`: diarization error rate and cpWER of ours, where references exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.accuracy.recordings import Recording
from gpu_worker.accuracy.scoring import by_speaker
from gpu_worker.accuracy.speaker_scores import COLLAR, cp_word_error, diarization_error
from gpu_worker.transcript import Transcript


def speakers_report(
    chosen: Sequence[Recording], transcripts: Mapping[str, Transcript], model: str
) -> dict[str, Any]:
    """A row a recording; cpWER where the reference has words. `model` told the voices apart."""
    rows = []
    errors = []
    for recording in chosen:
        heard = transcripts[recording.name]
        found = diarization_error(recording.turns, heard.turns, heard.duration)
        errors.append(found)
        rows.append(
            {
                "recording": recording.name,
                "speakers": len({turn.speaker for turn in recording.turns}),
                "speakers_found": len({turn.speaker for turn in heard.turns}),
                "der_percent": round(100 * found.rate, 1),
                "missed_percent": round(100 * found.missed / found.scored, 1),
                "false_alarm_percent": round(100 * found.false_alarm / found.scored, 1),
                "confusion_percent": round(100 * found.confusion / found.scored, 1),
                "cpwer_percent": _cp_word_error_percent(recording, heard),
            }
        )
    total = sum(errors[1:], errors[0])
    return {
        "model": model,
        "collar_seconds": COLLAR,
        "rows": rows,
        "der_percent": round(100 * total.rate, 1),
    }


def _cp_word_error_percent(recording: Recording, heard: Transcript) -> float | None:
    if not recording.texts:
        return None
    ours = [(segment.speaker or "", segment.text) for segment in heard.segments]
    error = cp_word_error(
        by_speaker(recording.texts, recording.language), by_speaker(ours, recording.language)
    )
    return round(100 * error.rate, 1)
