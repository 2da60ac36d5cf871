"""`Fuse`: join by concatenation, and bring the width back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import SkipError
from ._merge import Merge


class Fuse(Merge):
    """Concatenate the skipped tensor and the branch, and mix them back to the branch's width.

    `y = W [skip, x]`, with `W = [I | scale · I]` at the start: the training begins with the sum
    `skip + scale · x` and learns from there what to take from where. A random start would put one
    more badly scaled layer into a net that already has too many: in a trial a random or orthogonal
    `W` left a net of 50 layers at chance under SGD.

    Concatenation is DenseNet's (Huang et al. 2016, arXiv:1608.06993); the layer that mixes is its
    1 × 1 bottleneck.

    With `start="branch"` it begins with the branch alone, bit for bit: `y = x + W [skip, x]` and
    `W = 0`; a trained network keeps its function while it gets a second path.

    Args:
        width: channels of the branch, and of the result.
        skip: channels of the skipped tensor, by default `width` too. Where they differ the
            identity is rectangular: the first channels meet, the others start at zero.
        dims: how many axes of positions follow the channels: 2 for images, where `W` is a 1 × 1
            convolution. With 0 the features are the last axis, as in `nn.Linear`.
        scale: of the branch at the start.
        start: `"sum"` or `"branch"`.

    Shape:
        `(batch, skip, *positions)` and `(batch, width, *positions)` to the latter; with `dims=0`
        `(..., skip)` and `(..., width)` to `(..., width)`.

    Example:
        >>> skip, x = torch.randn(4, 8), torch.randn(4, 8)
        >>> torch.equal(Fuse(8)(skip, x), skip + x)
        True
    """

    def __init__(
        self,
        width: int,
        *,
        skip: int | None = None,
        dims: int = 0,
        scale: float = 1.0,
        start: str = "sum",
    ) -> None:
        super().__init__()
        if dims not in (0, 1, 2, 3):
            raise SkipError(f"There is no dims={dims!r}; give 0 for features, 1, 2 or 3.")
        if start not in ("sum", "branch"):
            raise SkipError(f'There is no start={start!r}; give "sum" or "branch".')
        self.width, self.skip, self.dims, self.start = width, skip or width, dims, start
        weight = torch.cat([torch.eye(width, self.skip), scale * torch.eye(width)], dim=1)
        weight = weight * (start == "sum")
        self.weight = nn.Parameter(weight.reshape(*weight.shape, *(1,) * dims))

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the two mixed to the shape of `branch`."""
        both = torch.cat([shortcut, branch], dim=1 if self.dims else -1)
        mix = (F.linear, F.conv1d, F.conv2d, F.conv3d)[self.dims]
        mixed = mix(both, self.weight)
        return mixed if self.start == "sum" else branch + mixed

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.width}, skip={self.skip}, dims={self.dims}, start={self.start!r}"
