"""Building blocks of skip connections: `Skip` around one module, `Stack` around many."""

from __future__ import annotations

from ._align import Align
from ._deepnorm_sum import DeepNormSum
from ._dense_fuse import DenseFuse
from ._fuse import Fuse
from ._gate import Affine, LayerScale, ReZero
from ._highway import Highway
from ._layer_by_layer import layer_by_layer
from ._merge import Add, Concat, Merge
from ._rule import Rule
from ._rules import (
    AttentionResiduals,
    DeepNorm,
    DeltaAttentionResiduals,
    Dense,
    DenseFormer,
    Fixup,
    HyperConnections,
    ManifoldHyperConnections,
    Residual,
    Reversible,
)
from ._shortcut import Shortcut
from ._skip import Skip
from ._stack import Stack
from ._stochastic_depth import StochasticDepth
from ._stream import Streams
from ._value_residual import ValueResidual

__all__ = [
    "Add",
    "Affine",
    "Align",
    "AttentionResiduals",
    "Concat",
    "DeepNorm",
    "DeepNormSum",
    "DeltaAttentionResiduals",
    "Dense",
    "DenseFormer",
    "DenseFuse",
    "Fixup",
    "Fuse",
    "Highway",
    "HyperConnections",
    "LayerScale",
    "ManifoldHyperConnections",
    "Merge",
    "ReZero",
    "Residual",
    "Reversible",
    "Rule",
    "Shortcut",
    "Skip",
    "Stack",
    "StochasticDepth",
    "Streams",
    "ValueResidual",
    "layer_by_layer",
]
