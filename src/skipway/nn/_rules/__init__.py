"""The rules, one file each."""

from __future__ import annotations

from ._attention_residuals import AttentionResiduals
from ._deepnorm import DeepNorm
from ._delta_attention_residuals import DeltaAttentionResiduals
from ._dense import Dense
from ._denseformer import DenseFormer
from ._fixup import Fixup
from ._hyper_connections import HyperConnections
from ._manifold_hyper_connections import ManifoldHyperConnections
from ._residual import Residual
from ._reversible import Reversible

__all__ = [
    "AttentionResiduals",
    "DeepNorm",
    "DeltaAttentionResiduals",
    "Dense",
    "DenseFormer",
    "Fixup",
    "HyperConnections",
    "ManifoldHyperConnections",
    "Residual",
    "Reversible",
]
