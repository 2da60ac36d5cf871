"""`DenseFuse`: read all earlier features, and mix them to one width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import SkipError


class DenseFuse(nn.Module):
    """Read all earlier features side by side, and mix them to one width: `x = W [y_0 ... y_l]`.

    `W = [I | s I | ... | s I]` at the start, with `s = scale`: training begins with the sum
    `y_0 + s (y_1 + ... + y_l)`, which is what a residual network of the same layers computes, and
    learns from there which layer is to read what. With `start="last"` it begins with `y_l` alone,
    bit for bit: `x = y_l + W [y_0 ... y_l]` and `W = 0`.

    That every layer reads all earlier ones is DenseNet's idea (Huang et al. 2016, arXiv:1608.06993,
    equation 2); the layer that mixes is its 1 × 1 bottleneck, of one width here, so that it can go
    in front of a layer that is there already.

    Args:
        width: channels of each of the features, and of the result.
        count: how many features it reads.
        dims: how many axes of positions follow the channels: 2 for images, where `W` is a 1 × 1
            convolution. With 0 the features are the last axis, as in `nn.Linear`.
        scale: of all but the first at the start.
        start: `"sum"` or `"last"`.

    Shape:
        `count` times `(batch, width, *positions)` to the same; with `dims=0` `(..., width)`.

    Raises:
        SkipError: it is built of nothing, or is given another number of features.

    Example:
        >>> a, b, c = torch.randn(3, 4, 8)
        >>> torch.equal(DenseFuse(8, 3)([a, b, c]), a + b + c)
        True
    """

    def __init__(
        self, width: int, count: int, *, dims: int = 0, scale: float = 1.0, start: str = "sum"
    ) -> None:
        super().__init__()
        if dims not in (0, 1, 2, 3):
            raise SkipError(f"There is no dims={dims!r}; give 0 for features, 1, 2 or 3.")
        if count < 1:
            raise SkipError(f"DenseFuse reads count={count!r} features; give 1 or more.")
        if start not in ("sum", "last"):
            raise SkipError(f'There is no start={start!r}; give "sum" or "last".')
        self.width, self.count, self.dims, self.start = width, count, dims, start
        eye = torch.eye(width)
        blocks = [eye, *(scale * eye for _ in range(count - 1))]
        weight = torch.cat(blocks, dim=1) * (start == "sum")
        self.weight = nn.Parameter(weight.reshape(*weight.shape, *(1,) * dims))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return all of them mixed to one."""
        if len(features) != self.count:
            raise SkipError(
                f"This DenseFuse reads {self.count} features and was given {len(features)}."
            )
        every = torch.cat(list(features), dim=1 if self.dims else -1)
        mixed = (F.linear, F.conv1d, F.conv2d, F.conv3d)[self.dims](every, self.weight)
        return mixed if self.start == "sum" else features[-1] + mixed

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.width}, {self.count}, dims={self.dims}, start={self.start!r}"
