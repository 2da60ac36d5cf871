"""`StochasticDepth`: leave a branch out for some samples."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .._errors import SkipError


class StochasticDepth(nn.Module):
    """While training, each sample loses this branch with probability `p`: `y = b f(x) / (1 - p)`.

    Huang et al. 2016, arXiv:1603.09382. The network trained is shallow, the one used is deep, and
    the gradient finds short ways. The paper scales when the network is used instead,
    `y = (1 - p) f(x)`; torchvision and timm scale in training, as dropout does, so that the
    network used is `x + f(x)`.

    Args:
        p: of leaving the branch out.
        scaled: `"training"`, or `"inference"` as in the paper. Both have the same mean.

    Shape:
        `(batch, ...)` to the same.

    Raises:
        SkipError: `p` is no probability.

    Example:
        >>> drop = StochasticDepth(0.5)
        >>> sorted(set(drop(torch.ones(64, 1)).flatten().tolist()))
        [0.0, 2.0]
        >>> drop.eval()(torch.ones(2, 1)).flatten().tolist()
        [1.0, 1.0]
    """

    def __init__(self, p: float, *, scaled: Literal["training", "inference"] = "training") -> None:
        super().__init__()
        if not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise SkipError(f"A branch is left out with a probability from 0 to 1, not {p!r}.")
        if scaled not in ("training", "inference"):
            raise SkipError(f"scaled={scaled!r} is neither 'training' nor 'inference'.")
        self.p, self.scaled = p, scaled

    @classmethod
    def linear(
        cls, depth: int, last: float = 0.5, *, scaled: Literal["training", "inference"] = "training"
    ) -> list[StochasticDepth]:
        """Return one for each of `depth` branches: `p_l = l / depth * last`, the paper's rule.

        Early features are used by all later layers, so they are kept most often.

        Example:
            >>> [drop.p for drop in StochasticDepth.linear(4, last=0.5)]
            [0.125, 0.25, 0.375, 0.5]
        """
        return [cls(last * (layer + 1) / depth, scaled=scaled) for layer in range(depth)]

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, some samples of it zero while training."""
        keep = 1 - self.p
        if not self.training:
            return x if self.scaled == "training" else x * keep
        if self.p == 0:
            return x
        # In float32: bfloat16 tells only 256 random numbers apart.
        drawn = torch.rand(x.shape[0], *(1,) * (x.ndim - 1), device=x.device)
        kept = (drawn < keep).to(x.dtype)
        return x * (kept / keep if keep and self.scaled == "training" else kept)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"p={self.p}, scaled={self.scaled!r}"
