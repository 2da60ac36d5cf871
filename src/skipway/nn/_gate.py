"""Learned weights for one side of a skip: `ReZero`, `LayerScale` and `Affine`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._features import along


class ReZero(nn.Module):
    """One learned number: `y = a x`, zero at the start.

    On the branch, `Skip(body, gate=ReZero())` is `x + a f(x)`: at the start the identity, bit for
    bit, whatever finite numbers the body gives (ReZero, Bachlechner et al. 2020, arXiv:2003.04887;
    SkipInit, De & Smith 2020, arXiv:2002.10444, which also says why: batch norm makes branches
    small in just this way).

    On the shortcut, `Skip(body, shortcut=ReZero())` is `a x + f(x)`: at the start the plain body,
    so a trained network keeps its function while it gets a second path.

    Args:
        init: of the number.

    Shape:
        Any, to the same.

    Example:
        >>> x = torch.randn(2, 8)
        >>> ReZero()(x).abs().max().item()
        0.0
    """

    def __init__(self, init: float = 0.0) -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.tensor(float(init)))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` times the learned number."""
        return self.weight * x

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"init={self.init}"


class LayerScale(nn.Module):
    """One learned number for every feature: `y = diag(l) x`, small at the start.

    CaiT's (Touvron et al. 2021, arXiv:2103.17239, equation 4): with `l` near zero a deep
    transformer starts close to the identity, and each feature finds its own weight. The paper
    starts at 0.1 up to 18 blocks, at 1e-5 up to 24 and at 1e-6 beyond.

    Args:
        features: how many.
        init: of every number.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.

    Shape:
        `features` along `dim`, any other axes, to the same.

    Example:
        >>> LayerScale(3, 0.5)(torch.ones(1, 3))
        tensor([[0.5000, 0.5000, 0.5000]], grad_fn=<MulBackward0>)
    """

    def __init__(self, features: int, init: float = 1e-5, *, dim: int = -1) -> None:
        super().__init__()
        self.features, self.init, self.dim = features, init, dim
        self.weight = nn.Parameter(torch.full((features,), float(init)))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, each feature times its learned number."""
        return along(self.weight, x, self.dim) * x

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.features}, init={self.init}, dim={self.dim}"


class Affine(nn.Module):
    """Two learned numbers: `y = a x + c`, one and zero at the start.

    Fixup's, on the branch (Zhang et al. 2019, arXiv:1901.09321, section 3): `x + a f(x) + c`. Its
    `b` before the branch's first layer is left to the biases that the layer has.

    Shape:
        Any, to the same.

    Example:
        >>> x = torch.randn(2, 8)
        >>> torch.equal(Affine()(x), x)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return `a x + c`."""
        return self.weight * x + self.bias
