"""`DeepNormSum`: one sum of a network under DeepNorm, where its blocks are written already."""

from __future__ import annotations

from torch import Tensor, nn

from ._features import check_features, features_to
from ._merge import Merge


class DeepNormSum(Merge):
    """`y = LN(a x + f(x))` with `a = L^(1/4)`, where `L` branches follow each other.

    Wang et al. 2022, arXiv:2203.00555, figure 2: a transformer of `M` layers has `L = 2 M`
    branches. `DeepNorm` is the same for a `Stack`, and scales the initial weights besides.

    Args:
        features: how many the stream has.
        count: `L`.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.
        eps: of the layer norm.

    Shape:
        Two tensors of one shape, `features` along `dim`, to that shape.

    Example:
        >>> import torch
        >>> y = DeepNormSum(8, 24)(torch.randn(2, 8), torch.randn(2, 8))
        >>> bool(y.mean(-1).abs().max() < 1e-6)
        True
    """

    def __init__(self, features: int, count: int, *, dim: int = -1, eps: float = 1e-5) -> None:
        super().__init__()
        self.features, self.count, self.dim = features, count, dim
        self.alpha: float = count**0.25
        self.norm = nn.LayerNorm(features, eps)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the norm of `a` times the shortcut and the branch."""
        check_features(shortcut, self.features, self.dim)
        stream = self.alpha * shortcut + branch
        return features_to(self.norm(stream.movedim(self.dim, -1)), self.dim)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.features}, {self.count}, dim={self.dim}"
