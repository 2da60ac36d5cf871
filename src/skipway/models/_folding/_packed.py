"""Weights in the layout that oneDNN's kernels read, for a network that is folded for good.

torch's convolution brings its weight into that layout in every call, and on one thread it hands
1 × 1 convolutions of few images to the matrix library instead: a pass of ResNet-50 over one image
takes half the time without both. The operators that take a packed weight are those that torch's
own compiler uses for frozen ones. They are private, so they are tried on small numbers before they
are relied on; without them the public ones compute the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._ordinary import needs_gradient, unusual_input, unusual_weights

Made = TypeVar("Made")


class Twice(Generic[Made]):
    """Keeps what serves calls of one kind, made when two in a row are of that kind.

    Inputs whose size changes from call to call are not worth it. A copy or a file holds nothing.
    """

    def __init__(self) -> None:
        self._latest: Any = None
        self._kept: tuple[Any, Made] | None = None

    def get(self, kind: Any, make: Callable[[], Made]) -> Made | None:
        """Return what was made for calls of this kind; None for the first of them."""
        kept = self._kept
        if kept is not None and kept[0] == kind:
            return kept[1]
        if kind != self._latest:
            self._latest, self._kept = kind, None
            return None
        made = make()
        self._kept = kind, made
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Twice, ()


@dataclass(frozen=True)
class Packed:
    """The weights of one dense layer, packed.

    Attributes:
        expansion: of the bottleneck; None without one.
        convolution: of the last convolution.
        padding: of it.
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
        return convolve(image, self.convolution, None, self.padding)


def may_pack(x: Tensor, weights: Iterable[Tensor]) -> bool:
    """Tell whether packed weights serve this input and will be known to be up to date."""
    return (
        x.dim() == 4
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and bool(torch.backends.mkldnn.enabled)
        and not any(each.is_inference() for each in weights)
        and _works()
    )


def kind_of(x: Tensor, weights: Iterable[Tensor]) -> Any:
    """Return what has to be the same for packed weights to serve again.

    Whoever keeps packed weights keeps the memory that they were made from too: an address that is
    free could come back with other weights.
    """
    versions = [(each.data_ptr(), each._version) for each in weights]
    return x.shape, torch.get_num_threads(), versions


def pack_layer(expansion: Tensor | None, convolution: Tensor, padding: Any, x: Tensor) -> Packed:
    """Pack a dense layer's weights for inputs like `x`, `(batch, channels, height, width)`."""
    batch, _, *sizes = x.shape
    matrix = None
    if expansion is not None:
        rows = batch * sizes[0] * sizes[1]
        matrix = torch.ops.mkldnn._reorder_linear_weight(expansion.contiguous(), rows)
    given = (batch, convolution.shape[1], *sizes)
    return Packed(matrix, pack(convolution, given, padding), tuple(padding))


def pack(
    weight: Tensor,
    given: Iterable[int],
    padding: Iterable[int],
    stride: Iterable[int] = (1, 1),
    dilation: Iterable[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Pack the weight of a convolution for inputs of the shape `given`."""
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    plain = weight.contiguous().to_mkldnn()
    packed: Tensor = reorder(
        plain, list(padding), list(stride), list(dilation), groups, list(given)
    )
    return packed


def convolve(
    image: Tensor,
    packed: Tensor,
    bias: Tensor | None,
    padding: Iterable[int],
    stride: Iterable[int] = (1, 1),
    dilation: Iterable[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Return the convolution of an image with a packed weight."""
    options = list(padding), list(stride), list(dilation), groups
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        image, packed, bias, *options, "none", [], ""
    )
    return out


class PackedConv2d(nn.Conv2d):
    """A convolution of a folded network; its weight is packed where that serves."""

    kept: Twice[tuple[Tensor, Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        """Return the same as `nn.Conv2d`."""
        if torch.compiler.is_compiling() or not self._may_pack(x):
            return super().forward(x)
        options: Any = (self.padding, self.stride, self.dilation, self.groups)
        kept = self.kept.get(
            kind_of(x, [self.weight]),
            lambda: (pack(self.weight, x.shape, *options), self.weight.detach()),
        )
        return super().forward(x) if kept is None else convolve(x, kept[0], self.bias, *options)

    def _may_pack(self, x: Tensor) -> bool:
        own = [self.weight] if self.bias is None else [self.weight, self.bias]
        if unusual_input(x) or unusual_weights(x, own) or not may_pack(x, own):
            return False
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            return False
        return x.shape[1] == self.in_channels and not needs_gradient(x, own)


@functools.cache
def _works() -> bool:
    """Try the operators on numbers whose results are known exactly."""
    numbers = functools.partial(torch.arange, dtype=torch.float32, device="cpu")
    expansion = numbers(-12, 12).view(4, 6)
    convolution = numbers(-36, 36).view(2, 4, 3, 3)
    rows = numbers(-45, 45).view(15, 6)
    bias = numbers(4)
    try:
        image = rows.view(1, 3, 5, 6).permute(0, 3, 1, 2)
        packed = pack_layer(expansion, convolution, (1, 1), image)
        hidden = packed.expand(rows, bias)
        inside = hidden.view(1, 3, 5, 4).permute(0, 3, 1, 2)
        new = packed.convolve(inside)
    except (RuntimeError, AttributeError, TypeError, NotImplementedError):
        return False
    right = torch.equal(hidden, F.linear(rows, expansion, bias).relu())
    return right and torch.equal(new, F.conv2d(inside, convolution, padding=1))
