"""`ValueResidual`: the values of the first layer, in the attention of every later one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._errors import SkipError


class ValueResidual(nn.Module):
    """`v' = a v_1 + b v_l`: the values of the first layer, in the attention of every later one.

    Zhou et al. 2024, arXiv:2410.17897 (ResFormer, learnable form). A skip connection that lives
    inside attention: queries and keys stay those of layer `l`, so where to look is not disturbed,
    while what is found there keeps the information of the single tokens. One of these stands in
    every attention but the first; `examples/value_residual.py` has a transformer that uses it.

    Args:
        first: `a` at the start, 0.5 as in the paper.
        own: `b` at the start. `ValueResidual(0.0, 1.0)` begins as plain attention.

    Shape:
        Two tensors of one shape, `(batch, heads, tokens, features)` or another, to that shape.

    Raises:
        SkipError: the two shapes differ.

    Example:
        >>> v_1, v = torch.zeros(2, 4, 10, 16), torch.ones(2, 4, 10, 16)
        >>> ValueResidual()(v_1, v).mean().item()
        0.5
    """

    def __init__(self, first: float = 0.5, own: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor(float(first)))
        self.own = nn.Parameter(torch.tensor(float(own)))

    def forward(self, v_1: Tensor, v: Tensor) -> Tensor:
        """Return the values `v` of a layer mixed with those of the first."""
        if v_1.shape != v.shape:
            raise SkipError(
                f"The values of the first layer have the shape {tuple(v_1.shape)}, those of this "
                f"one {tuple(v.shape)}: a value residual needs as many heads and features in both."
            )
        return self.first * v_1 + self.own * v
