"""Linear layers for a CPU: oneDNN's product, on weights that lie in memory as it reads them best.

PyTorch's own linear layer calls MKL in float32, which on a processor of AMD takes two to three
times as long (docs/torch_engine.md). PyTorch compiles models to these operators itself (inductor),
but does not document them: where they are missing, layers stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def can_pack() -> bool:
    """Return whether this build of PyTorch has the operators."""
    operators = torch.ops.mkldnn
    return torch.backends.mkldnn.is_available() and all(
        hasattr(operators, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    )


class PackedLinear(nn.Module):
    """What a linear layer computes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
        self._bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, width), in and out."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, "none", [], ""
        )
        return found


def pack(part: nn.Module) -> None:
    """Replace all linear layers in `part` by packed ones, if this build has them."""
    if not can_pack():
        return
    for name, child in part.named_children():
        if isinstance(child, nn.Linear):
            setattr(part, name, PackedLinear(child))
        else:
            pack(child)
