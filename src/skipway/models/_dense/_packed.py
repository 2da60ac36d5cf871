"""Weights in the layout that oneDNN's kernels read, for a network that is folded for good.

torch's convolution brings its weight into that layout in every call, which takes a sixth of a pass
of DenseNet-121 over one image. The operators that take it ready-made are those that torch's own
compiler uses for frozen weights. They are private, so they are tried on small numbers before they
are relied on; without them the same is computed by the public ones.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Packed:
    """The weights of one layer, packed.

    Attributes:
        expansion: of the bottleneck; None without one.
        convolution: of the last convolution.
    """

    expansion: Tensor | None
    convolution: Tensor
    padding: tuple[int, ...]

    def expand(self, rows: Tensor, bias: Tensor | None) -> Tensor:
        """Return `relu(rows expansionᵀ + bias)`."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.expansion, bias, "relu", [], "")
        return out

    def convolve(self, image: Tensor) -> Tensor:
        """Return the convolution of an image whose channels lie last."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, self.convolution, None, self.padding, [1, 1], [1, 1], 1, "none", [], ""
        )
        return out


def may_pack(x: Tensor) -> bool:
    """Tell whether packed weights serve this input."""
    return (
        x.dim() == 4
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and bool(torch.backends.mkldnn.enabled)
        and _works()
    )


def pack(expansion: Tensor | None, convolution: Tensor, padding: Any, x: Tensor) -> Packed:
    """Pack a layer's weights for inputs like `x`, `(batch, channels, height, width)`."""
    batch, _, *sizes = x.shape
    rows, matrix = batch * sizes[0] * sizes[1], None
    if expansion is not None:
        matrix = torch.ops.mkldnn._reorder_linear_weight(expansion.contiguous(), rows)
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    packed = reorder(
        convolution.contiguous().to_mkldnn(),
        list(padding),
        [1, 1],
        [1, 1],
        1,
        [batch, convolution.shape[1], *sizes],
    )
    return Packed(matrix, packed, tuple(padding))


@functools.cache
def _works() -> bool:
    """Try the operators on numbers whose results are known exactly."""
    expansion = torch.arange(-12.0, 12.0).view(4, 6)
    convolution = torch.arange(-36.0, 36.0).view(2, 4, 3, 3)
    rows = torch.arange(-45.0, 45.0).view(15, 6)
    bias = torch.arange(4.0)
    try:
        packed = pack(expansion, convolution, (1, 1), rows.view(1, 3, 5, 6).permute(0, 3, 1, 2))
        hidden = packed.expand(rows, bias)
        image = hidden.view(1, 3, 5, 4).permute(0, 3, 1, 2)
        new = packed.convolve(image)
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return False
    right = torch.equal(hidden, F.linear(rows, expansion, bias).relu())
    return right and torch.equal(new, F.conv2d(image, convolution, padding=1))
