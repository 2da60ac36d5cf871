"""Two 3 × 3 convolutions and the skip across them: ResNet-18, ResNet-34 and all of CIFAR's."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ._recompute import norm_add_relu, norm_relu_convolution
from ._residual_block import Option, Pairs, ResidualBlock, convolution, projection


class BasicBlock(ResidualBlock):
    """`relu(x + W₂ relu(W₁ x))`, a norm behind each `W` (arXiv:1512.03385, figure 5 on the left).

    Shape:
        `(batch, in_channels, h, w)` to `(batch, width, ceil(h / stride), ceil(w / stride))`.
    """

    folds: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(
        self, in_channels: int, width: int, stride: int, *, option: Option = "B", skip: bool = True
    ) -> None:
        super().__init__(skip)
        self.conv1 = convolution(in_channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        if skip:
            self.downsample = projection(in_channels, width, stride, option, norm=True)

    def plain(self, x: Tensor) -> Tensor:
        """Return the block's output, module by module."""
        h = self.relu1(self.bn1(self.conv1(x)))
        y: Tensor = self.relu2(self.join(x, self.bn2(self.conv2(h))))
        return y

    def lean(self, x: Tensor) -> Tensor:
        """Return the same; saved are `x`, both convolutions' outputs, and the block's."""
        h = norm_relu_convolution(self.conv1(x), self.bn1, self.conv2)
        if self.drop is not None:
            y: Tensor = self.relu2(self.join(x, self.bn2(h)))
            return y
        return norm_add_relu(h, self.bn2, self.shortcut(x))

    def branch_end(self) -> nn.Module:
        """Return the last norm."""
        return self.bn2


class PreactBasicBlock(ResidualBlock):
    """`x + W₂ relu(W₁ relu(x))`, a norm before each ReLU (arXiv:1603.05027, figure 1b).

    Nothing stands on the stream of the `x`: a gradient crosses any number of blocks unchanged.
    Where the shape changes, the projection reads `relu(norm(x))` as the branch does.

    Shape:
        `(batch, in_channels, h, w)` to `(batch, width, ceil(h / stride), ceil(w / stride))`.
    """

    folds: ClassVar[Pairs] = (("conv1", "bn2"),)

    def __init__(
        self, in_channels: int, width: int, stride: int, *, option: Option = "B", skip: bool = True
    ) -> None:
        super().__init__(skip)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = convolution(in_channels, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = convolution(width, width, 3)
        if skip:
            self.downsample = projection(in_channels, width, stride, option, norm=False)

    def plain(self, x: Tensor) -> Tensor:
        """Return the block's output, module by module."""
        h = self.relu1(self.bn1(x))
        shortcut = x if self.downsample is None else h
        return self.join(shortcut, self.conv2(self.relu2(self.bn2(self.conv1(h)))))

    def lean(self, x: Tensor) -> Tensor:
        """Return the same; saved are `x` and the first convolution's output."""
        if self.downsample is None:
            h, shortcut = norm_relu_convolution(x, self.bn1, self.conv1), x
        else:
            shortcut = self.relu1(self.bn1(x))
            h = self.conv1(shortcut)
        return self.join(shortcut, norm_relu_convolution(h, self.bn2, self.conv2))

    def branch_end(self) -> nn.Module:
        """Return the last convolution."""
        return self.conv2
