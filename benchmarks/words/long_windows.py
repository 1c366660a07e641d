"""Windows whose text needs more tokens than half of the model's room: none is cut off unnoticed.

    python -m benchmarks.words.long_windows [--model base]

Full windows of synthetic speech (espeak-ng) in languages that take many tokens. Says how many
windows of a chunk ended where the model had no room for more, in the first look and in the second,
and how many tokens a text took; before, every text ended at 224.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from faster_whisper.audio import decode_audio

from benchmarks.machine import print_machine
from gpu_worker.audio.samples import Audio
from gpu_worker.pcm import SAMPLE_RATE
from gpu_worker.transcript import TranscriptWarning
from gpu_worker.transcription.chunk import transcribe_chunk
from gpu_worker.transcription.engines import (
    DecodeOptions,
    DetectedLanguage,
    EngineRequest,
    WindowText,
)
from gpu_worker.transcription.engines.faster_whisper import FasterWhisperEngine, load
from gpu_worker.transcription.engines.features import PreparedWindow

HALF = 224  # tokens that a text could have before
SECONDS = 30
TEXTS = {
    "hi": "आज सुबह हम नदी के किनारे टहलने गए और बहुत देर तक पुराने दिनों की बातें करते रहे, "
    "फिर बाज़ार से ताज़ी सब्ज़ियाँ और फल लेकर घर लौट आए। ",
    "ta": "இன்று காலை நாங்கள் ஆற்றங்கரையில் நடந்து சென்று பழைய நாட்களைப் பற்றி நீண்ட நேரம் பேசினோம், "
    "பிறகு சந்தையில் காய்கறிகளும் பழங்களும் வாங்கிக்கொண்டு வீடு திரும்பினோம். ",
    "ka": "დღეს დილით მდინარის ნაპირზე ვისეირნეთ და დიდხანს ვისაუბრეთ ძველ დროზე, შემდეგ ბაზარში "
    "ახალი ბოსტნეული და ხილი ვიყიდეთ და სახლში დავბრუნდით. ",
    "th": "เช้าวันนี้เราไปเดินเล่นริมแม่น้ำและคุยกันเรื่องวันเก่าๆอยู่นาน จากนั้นก็ไปตลาดซื้อผักและผลไม้สดๆแล้วกลับบ้าน ",
}


class Watched:
    """An engine that keeps how long each window and each text was."""

    def __init__(self, engine: FasterWhisperEngine) -> None:
        self._engine = engine
        self.name, self.device, self.languages = engine.name, engine.device, engine.languages
        self.kind = engine.kind
        self.shares_cores, self.detects_language = engine.shares_cores, engine.detects_language
        self.max_window_seconds = engine.max_window_seconds
        self.looks: list[list[tuple[float, WindowText]]] = []

    def prepare(self, window: Audio) -> PreparedWindow:
        return self._engine.prepare(window)

    def transcribe(
        self, windows: Sequence[Audio], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        return self.decode([self.prepare(window) for window in windows], options)

    def decode(
        self, windows: Sequence[PreparedWindow], options: DecodeOptions
    ) -> tuple[WindowText, ...]:
        texts = self._engine.decode(windows, options)
        seconds = [len(window.audio) / SAMPLE_RATE for window in windows]
        self.looks.append(list(zip(seconds, texts, strict=True)))
        return texts

    def warnings(self, options: DecodeOptions) -> tuple[TranscriptWarning, ...]:
        return self._engine.warnings(options)

    def detect_languages(self, windows: Sequence[Audio]) -> tuple[DetectedLanguage, ...]:
        return self._engine.detect_languages(windows)

    def hear_languages(self, snippets: Sequence[Audio]) -> tuple[Mapping[str, float], ...]:
        return self._engine.hear_languages(snippets)


def speech(language: str) -> Audio:
    """Half a minute of one synthetic voice."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "speech.wav"
        text = TEXTS[language] * 12
        subprocess.run(["espeak-ng", "-v", language, "-w", path, text], check=True)
        return decode_audio(str(path))[: SECONDS * SAMPLE_RATE]


def main() -> None:
    """Print a row for each look at each language."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="base")
    given = parser.parse_args()
    print_machine()
    engine = load(EngineRequest(given.model, device="cpu", compute_type="int8"))
    tokenizer = engine._model.hf_tokenizer
    print(f"\n{'language, look':<18}windows  longest s  most tokens  over {HALF}  at the limit")
    for language in TEXTS:
        watched = Watched(engine)
        # Synthetic voices are taken for silence. One candidate a try: so many tokens are slow.
        options = DecodeOptions(language=language, best_of=1, no_speech_threshold=None)
        heard = transcribe_chunk(watched, speech(language), options)
        for number, look in enumerate(watched.looks, 1):
            lengths = [len(tokenizer.encode(text.text).ids) for _, text in look]
            print(
                f"{language}, {number:<14}{len(look):>7}{max(s for s, _ in look):>11.1f}"
                f"{max(lengths):>13}{sum(length > HALF for length in lengths):>10}"
                f"{sum(not text.is_whole for _, text in look):>14}"
            )
        codes = [warning.code for warning in heard.warnings]
        print(f"{language}: {len(heard.segments)} segments, warnings {codes or 'none'}")


if __name__ == "__main__":
    main()
