"""The settings of the models that a process loads, a part of `Settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings


class ModelSettings(BaseSettings):
    """Which models, where their files are, and what runs them."""

    model: str = Field(
        default="auto",
        description="Model of jobs that name none. auto: the best for the hardware.",
    )
    language_models: dict[str, str] = Field(
        default={},
        description="As JSON: the model of a language's jobs that name none, by code, * for all "
        "other languages. What it cannot do, the model does that was chosen without this.",
    )
    trial: dict[str, Any] = Field(
        default={},
        description="As JSON: share of new jobs (0 to 1) that get another model, revision or "
        "compute_type, if they name none.",
    )
    shadow: dict[str, Any] = Field(
        default={},
        description="As JSON: share of completed jobs (0 to 1) that are transcribed again in the "
        "shadow, and the options that differ; seed.",
    )
    model_dir: Path | None = Field(default=None, description="Where fetched models are kept.")
    device: str = Field(default="auto", description="auto, cpu or cuda.")
    engine: Literal["auto", "faster_whisper", "torch"] = Field(
        default="auto", description="What a worker runs Whisper with; auto is faster_whisper."
    )
    torch_encoder: Literal["torch", "onnx"] = Field(
        default="torch",
        description="What runs the encoder of the engine torch; onnx: ONNX Runtime, with TensorRT.",
    )
    hf_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SCRIPTORIUM_HF_TOKEN", "HF_TOKEN")
    )
    align_compute_type: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="Of align models. auto: float16 on a GPU, float32 on a CPU.",
    )
    cpu_threads: int = Field(default=0, ge=0, description="Threads a model uses; 0: all cores.")
    loaded_models: int = Field(default=1, ge=1, description="Models a worker keeps in memory.")
    prefetch_models: str = Field(
        default="",
        description="Models that a GPU worker loads before a job asks for them, by comma.",
    )
    hub_spread_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="Most seconds that a worker waits, at random, before it fetches from the hub.",
    )
