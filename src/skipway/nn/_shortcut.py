"""`Shortcut`: what lies on a skip whose two ends have different shapes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import SkipError

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Shortcut(nn.Module):
    """Bring the skipped tensor to the shape of the tensor it joins: `y = x + f(x)` needs one.

    With stride `s` and in the terms of He et al. 2015, section 3.3:

    - `"A"`: every `s`-th position, and zeros for the new channels; no parameter;
    - `"B"`: the identity where nothing changes, otherwise `W x`, a 1 × 1 convolution of stride `s`;
    - `"C"`: `W x` everywhere, also where nothing changes;
    - `"D"`: the mean over `s` × `s` positions, then the identity or `W x`, so that no position is
      skipped over (He et al. 2018, arXiv:1812.01187, figure 2c).

    `W` starts with orthonormal rows or columns, so at the start a shortcut neither amplifies the
    gradient nor makes it fade.

    Args:
        in_features: channels of the skipped tensor.
        out_features: channels of the tensor it joins.
        stride: how many positions become one, along every axis.
        kind: `"A"`, `"B"`, `"C"` or `"D"`.
        dims: how many axes of positions follow the channels: 2 for images. With 0 the features
            are the last axis, as in `nn.Linear`.

    Shape:
        `(batch, in_features, *positions)` to `(batch, out_features, *ceil(positions / stride))`;
        with `dims=0` `(..., in_features)` to `(..., out_features)`.

    Raises:
        SkipError: option A with fewer channels than before, or a stride without positions.

    Example:
        >>> import torch
        >>> Shortcut(16, 32, 2, kind="D")(torch.randn(4, 16, 8, 8)).shape
        torch.Size([4, 32, 4, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        stride: int = 1,
        *,
        kind: Literal["A", "B", "C", "D"] = "B",
        dims: int = 2,
    ) -> None:
        super().__init__()
        _check(in_features, out_features, stride, kind, dims)
        self.in_features, self.out_features = in_features, out_features
        self.stride, self.kind, self.dims = stride, kind, dims
        self.pool: nn.Module = nn.Identity()
        self.project: nn.Module = nn.Identity()
        if kind == "D" and stride > 1:
            self.pool = _pool(stride, dims)
        if _projects(in_features, out_features, stride, kind):
            self.project = _projection(
                in_features, out_features, 1 if kind == "D" else stride, dims
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut of `x`."""
        if self.kind == "A":
            return self._pad(x)
        shortcut: Tensor = self.project(self.pool(x))
        return shortcut

    def _pad(self, x: Tensor) -> Tensor:
        for axis in range(2, 2 + self.dims):
            x = x[(slice(None),) * axis + (slice(None, None, self.stride),)]
        new = self.out_features - self.in_features
        return F.pad(x, (0, 0) * self.dims + (0, new)) if new else x

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return (
            f"{self.in_features}, {self.out_features}, {self.stride}, kind={self.kind!r}, "
            f"dims={self.dims}"
        )


class _AvgPool3d(nn.Module):
    """The mean over what lies under each window, also where an axis is shorter than the window.

    `nn.AvgPool3d` refuses such an axis (a clip of one frame, say), `nn.AvgPool2d` does not.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the means."""
        window = [min(self.stride, size) for size in x.shape[2:]]
        return F.avg_pool3d(x, window, self.stride, ceil_mode=True, count_include_pad=False)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"stride={self.stride}"


def _pool(stride: int, dims: int) -> nn.Module:
    if dims == 3:
        return _AvgPool3d(stride)
    pool = nn.AvgPool1d if dims == 1 else nn.AvgPool2d
    return pool(stride, ceil_mode=True, count_include_pad=False)


def _projects(in_features: int, out_features: int, stride: int, kind: str) -> bool:
    if kind in ("A", "C"):
        return kind == "C"
    return in_features != out_features or (kind == "B" and stride > 1)


def _projection(in_features: int, out_features: int, stride: int, dims: int) -> nn.Module:
    layer: nn.Linear | nn.modules.conv._ConvNd
    if dims == 0:
        layer = nn.Linear(in_features, out_features, bias=False)
    else:
        layer = _CONVOLUTIONS[dims](in_features, out_features, 1, stride, bias=False)
    nn.init.orthogonal_(layer.weight)
    return layer


def _check(in_features: int, out_features: int, stride: int, kind: str, dims: int) -> None:
    if kind not in ("A", "B", "C", "D"):
        raise SkipError(f"A shortcut has no kind {kind!r}; the kinds are A, B, C and D.")
    if dims not in (0, *_CONVOLUTIONS):
        raise SkipError(f"A shortcut has no dims={dims!r}; give 0 for features, 1, 2 or 3.")
    if dims == 0 and stride != 1:
        raise SkipError("A shortcut over features (dims=0) has no positions; leave stride at 1.")
    if kind == "A" and out_features < in_features:
        raise SkipError(
            f"Option A only adds channels, and {in_features} → {out_features} takes some away; "
            'take kind="B".'
        )
