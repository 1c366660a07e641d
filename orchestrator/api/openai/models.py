"""List the models that jobs may name, in the shape of OpenAI's list."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gpu_worker.models.builtin import PICO_NAME
from gpu_worker.models.parakeet import PARAKEET_MODELS
from gpu_worker.models.whisper import HUB_MODELS
from orchestrator.api.authentication import CurrentCluster, Reader
from orchestrator.api.openai.contract import MODEL_RESPONSES, Model, ModelList
from orchestrator.api.openai.names import OWN_MODEL, check_model

CREATED = 1_663_718_400  # 21 September 2022: Whisper was published; a name has no date of its own
OWNER = "scriptorium"

router = APIRouter(prefix="/v1/models", tags=["openai"], responses=MODEL_RESPONSES)


@router.get("", response_model=ModelList)
def list_models(cluster: CurrentCluster, caller: Reader) -> dict[str, Any]:
    """List every name of a model, and OpenAI's names, which mean the cluster's model.

    So are the names that the cluster's operator allows besides.
    """
    values = cluster.settings
    others = sorted(name for name in values.allowed if not name.startswith("/"))
    known = (PICO_NAME, *HUB_MODELS, *PARAKEET_MODELS)
    names = dict.fromkeys([values.model, *OWN_MODEL, *known, *others])
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/{model:path}", response_model=Model)
def show_model(model: str, cluster: CurrentCluster, caller: Reader) -> dict[str, Any]:
    """Show one model, if jobs may use its name."""
    if model != cluster.settings.model and model not in OWN_MODEL:
        check_model(model, cluster.settings.allowed)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    model = PARAKEET_MODELS.get(name)
    repository = model.repository if model else HUB_MODELS.get(name, name)
    owner, slash, _ = repository.partition("/")
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner if slash and owner else OWNER,
    }
