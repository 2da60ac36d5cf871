"""`Highway`: a learned carry, which weighs both sides of a skip."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._features import check_features, features_to
from ._merge import Merge


class Highway(Merge):
    """`y = T f(x) + (1 - T) x` with `T = sigmoid(W x + b)`: the input says how much is carried.

    The first networks of a hundred layers that trained (Srivastava et al. 2015, arXiv:1505.00387,
    equation 3). As it weighs both sides it is a merge; `Skip(body, gate=Highway(64))` means the
    same. `b` starts below zero, so that at first nearly everything is carried.

    Args:
        features: how many `x` has.
        bias: `b` at the start, -1 to -3 in the paper: deeper networks need less.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.

    Shape:
        Two tensors of one shape, `features` along `dim`, to that shape. `x` is the shortcut.

    Example:
        >>> x = torch.randn(4, 8)
        >>> carried = Highway(8, bias=-100.0)(x, torch.randn(4, 8))
        >>> torch.allclose(carried, x)
        True
    """

    def __init__(self, features: int, bias: float = -2.0, *, dim: int = -1) -> None:
        super().__init__()
        self.features, self.dim = features, dim
        self.transform = nn.Linear(features, features)
        nn.init.constant_(self.transform.bias, bias)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the two, weighed by the transform gate of the shortcut."""
        check_features(shortcut, self.features, self.dim)
        last = shortcut.movedim(self.dim, -1)
        t = features_to(torch.sigmoid(self.transform(last)), self.dim)
        return t * branch + (1 - t) * shortcut
