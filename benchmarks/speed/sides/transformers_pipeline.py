"""transformers' Whisper, with the weights of the CTranslate2 files in float32, text only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.accuracy.recordings import samples
from benchmarks.speed.sides import OneAtATime, Setup
from gpu_worker.models.weights.reading import read_whisper
from gpu_worker.models.weights.whisper import WhisperWeights
from gpu_worker.pcm import SAMPLE_RATE


class TransformersPipeline(OneAtATime):
    """Its pipeline: windows of 30 s that overlap, in batches."""

    def __init__(self, setup: Setup) -> None:
        import torch
        from transformers import (
            GenerationConfig,
            WhisperFeatureExtractor,
            WhisperTokenizerFast,
            pipeline,
        )
        from transformers.pipelines import automatic_speech_recognition

        torch.set_num_threads(setup.threads)
        # The pipeline imports torchcodec where it is installed, which fails without FFmpeg. It is
        # given samples, so it needs neither.
        its_module: Any = automatic_speech_recognition
        its_module.is_torchcodec_available = lambda: False
        directory = Path(setup.directory)
        tokenizer = WhisperTokenizerFast(
            tokenizer_file=str(directory / "tokenizer.json"), pad_token="<|endoftext|>"
        )
        weights = read_whisper(directory)
        begin, end = _ids(tokenizer, "<|startoftranscript|>", "<|endoftext|>")
        model = whisper_in_torch(weights, begin, end)
        model.generation_config = GenerationConfig(**_generation(weights, tokenizer, begin, end))
        self._pipeline: Any = pipeline(
            "automatic-speech-recognition",
            model=model,
            tokenizer=tokenizer,
            feature_extractor=WhisperFeatureExtractor(feature_size=weights.dimensions["n_mels"]),
            chunk_length_s=30.0,
            device="cpu",
        )
        is_multilingual = model.generation_config.is_multilingual
        self._told = {"language": "en", "task": "transcribe"} if is_multilingual else {}

    def text(self, path: Path, batch_size: int) -> str:
        """One file's."""
        audio = {"raw": samples(path), "sampling_rate": SAMPLE_RATE}
        found = self._pipeline(
            audio, batch_size=batch_size, generate_kwargs={"num_beams": 1, **self._told}
        )
        return str(found["text"])


def whisper_in_torch(weights: WhisperWeights, begin: int, end: int) -> Any:
    """transformers' model in float32; `begin` and `end` are the tokens around a transcript."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    sizes = weights.dimensions
    config = WhisperConfig(
        vocab_size=sizes["n_vocab"],
        num_mel_bins=sizes["n_mels"],
        d_model=sizes["n_audio_state"],
        encoder_layers=sizes["n_audio_layer"],
        encoder_attention_heads=sizes["n_audio_head"],
        encoder_ffn_dim=4 * sizes["n_audio_state"],
        decoder_layers=sizes["n_text_layer"],
        decoder_attention_heads=sizes["n_text_head"],
        decoder_ffn_dim=4 * sizes["n_text_state"],
        decoder_start_token_id=begin,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = WhisperForConditionalGeneration(config)
    state = weights.transformers_state()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return model.eval()


def _generation(weights: WhisperWeights, tokenizer: Any, begin: int, end: int) -> dict[str, Any]:
    """What `generation_config.json` of the model holds on the hub."""
    english, task, silent = _ids(tokenizer, "<|en|>", "<|transcribe|>", "<|notimestamps|>")
    return {
        "is_multilingual": weights.dimensions["n_vocab"] > 51_864,  # as openai/whisper tells them
        "lang_to_id": {"<|en|>": english},
        "task_to_id": {"transcribe": task},
        "no_timestamps_token_id": silent,
        "suppress_tokens": list(weights.suppressed),
        "begin_suppress_tokens": list(weights.suppressed_at_begin),
        "alignment_heads": [list(pair) for pair in weights.alignment_heads],
        "decoder_start_token_id": begin,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "max_length": weights.dimensions["n_text_ctx"],
        "return_timestamps": False,
    }


def _ids(tokenizer: Any, *names: str) -> list[int]:
    return [int(found) for found in tokenizer.convert_tokens_to_ids(list(names))]


def load(setup: Setup) -> TransformersPipeline:
    """With its model in memory."""
    return TransformersPipeline(setup)
