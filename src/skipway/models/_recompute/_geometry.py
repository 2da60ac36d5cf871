"""A convolution's stride, padding and so on, without its weight."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Geometry:
    """What of a convolution is not a tensor."""

    size: list[int]
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Geometry:
        """Return that of a module."""
        assert not isinstance(conv.padding, str)
        size, stride, padding, dilation = map(
            list, (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        )
        return cls(size, stride, padding, dilation, conv.groups)

    @property
    def pointwise(self) -> bool:
        """Is it a matrix product at each position, and nothing else?"""
        same = self.size == self.stride == [1, 1] and self.groups == 1
        return same and self.padding == [0, 0]

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the convolution of `x`."""
        return torch.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def backward(
        self, gradient: Tensor, x: Tensor, weight: Tensor, needs: list[bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of `x` and of the weight, where needed."""
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, self.stride, self.padding, self.dilation, False, [0, 0],
            self.groups, [*needs, False],
        )  # fmt: skip
        return dx, dweight
