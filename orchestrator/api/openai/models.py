"""List the models that jobs may name, in the shape of OpenAI's list."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gpu_worker.models.builtin import BUILTIN_MODELS
from gpu_worker.models.whisper import HUB_MODELS
from orchestrator.api.authentication import CurrentCluster, Reader
from orchestrator.api.openai.contract import MODEL_RESPONSES, Model, ModelList
from orchestrator.api.openai.requests import OWN_MODEL, check_model

CREATED = 1_663_718_400  # 21 September 2022: Whisper was published; a name has no date of its own
OWNER = "scriptorium"

router = APIRouter(prefix="/v1/models", tags=["openai"], responses=MODEL_RESPONSES)


@router.get("", response_model=ModelList)
def list_models(cluster: CurrentCluster, caller: Reader) -> dict[str, Any]:
    """List every name of a model, and OpenAI's names, which mean the cluster's model.

    Any other `owner/name` of the hub that has a CTranslate2 model works too.
    """
    names = dict.fromkeys([cluster.settings.model, *OWN_MODEL, *BUILTIN_MODELS, *HUB_MODELS])
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/{model:path}", response_model=Model)
def show_model(model: str, cluster: CurrentCluster, caller: Reader) -> dict[str, Any]:
    """Show one model, if jobs may use its name."""
    if model != cluster.settings.model and model not in OWN_MODEL:
        check_model(model)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    owner, slash, _ = HUB_MODELS.get(name, name).partition("/")
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner if slash and owner else OWNER,
    }
