"""A 3 × 3 convolution between two of 1 × 1, and the skip across them: ResNet-50 and deeper."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ._recompute import norm_relu_convolution, norm_relu_convolution_norm_add_relu
from ._residual_block import Option, Pairs, ResidualBlock, convolution, projection


class Bottleneck(ResidualBlock):
    """`relu(x + W₃ relu(W₂ relu(W₁ x)))`, a norm behind each `W` (arXiv:1512.03385, figure 5).

    The stride is the 3 × 3 convolution's, as in torchvision and most of what came after the paper,
    where it is the first's.

    Args:
        in_channels: of the input.
        width: a quarter of the output's channels.
        stride: of the 3 × 3 convolution.
        option: what the skip does where the shape changes, `"A"` or `"B"`.
        skip: whether there is one.
        groups: of the 3 × 3 convolution: ResNeXt's cardinality (Xie et al. 2016, 1611.05431).
        base_width: channels of each group in a stage of width 64.

    Shape:
        `(batch, in_channels, h, w)` to `(batch, 4 width, ceil(h / stride), ceil(w / stride))`.
    """

    expansion: ClassVar[int] = 4
    folds: ClassVar[Pairs] = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        option: Option = "B",
        skip: bool = True,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__(skip)
        inner, out = width * base_width // 64 * groups, 4 * width
        self.conv1 = convolution(in_channels, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = convolution(inner, inner, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = convolution(inner, out, 1)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu3 = nn.ReLU(inplace=True)
        if skip:
            self.downsample = projection(in_channels, out, stride, option, norm=True)

    def plain(self, x: Tensor) -> Tensor:
        """Return the block's output, module by module."""
        h = self.relu1(self.bn1(self.conv1(x)))
        h = self.relu2(self.bn2(self.conv2(h)))
        y: Tensor = self.relu3(self.join(x, self.bn3(self.conv3(h))))
        return y

    def lean(self, x: Tensor) -> Tensor:
        """Return the same; saved are `x`, two convolutions' outputs, and the block's."""
        h = norm_relu_convolution(self.conv1(x), self.bn1, self.conv2)
        if self.drop is not None:
            h = norm_relu_convolution(h, self.bn2, self.conv3)
            y: Tensor = self.relu3(self.join(x, self.bn3(h)))
            return y
        return norm_relu_convolution_norm_add_relu(
            h, self.bn2, self.conv3, self.bn3, self.shortcut(x)
        )

    def branch_end(self) -> nn.Module:
        """Return the last norm."""
        return self.bn3


class PreactBottleneck(ResidualBlock):
    """`x + W₃ relu(W₂ relu(W₁ relu(x)))`, a norm before each ReLU (arXiv:1603.05027).

    Nothing stands on the stream of the `x`: a gradient crosses any number of blocks unchanged.
    Where the shape changes, the projection reads `relu(norm(x))` as the branch does. The arguments
    are those of `Bottleneck`.

    Shape:
        `(batch, in_channels, h, w)` to `(batch, 4 width, ceil(h / stride), ceil(w / stride))`.
    """

    expansion: ClassVar[int] = 4
    folds: ClassVar[Pairs] = (("conv1", "bn2"), ("conv2", "bn3"))

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        option: Option = "B",
        skip: bool = True,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__(skip)
        inner, out = width * base_width // 64 * groups, 4 * width
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = convolution(in_channels, inner, 1)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = convolution(inner, inner, 3, stride, groups)
        self.bn3 = nn.BatchNorm2d(inner)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv3 = convolution(inner, out, 1)
        if skip:
            self.downsample = projection(in_channels, out, stride, option, norm=False)

    def plain(self, x: Tensor) -> Tensor:
        """Return the block's output, module by module."""
        h = self.relu1(self.bn1(x))
        shortcut = x if self.downsample is None else h
        h = self.conv2(self.relu2(self.bn2(self.conv1(h))))
        return self.join(shortcut, self.conv3(self.relu3(self.bn3(h))))

    def lean(self, x: Tensor) -> Tensor:
        """Return the same; saved are `x` and the first two convolutions' outputs."""
        if self.downsample is None:
            h, shortcut = norm_relu_convolution(x, self.bn1, self.conv1), x
        else:
            shortcut = self.relu1(self.bn1(x))
            h = self.conv1(shortcut)
        h = norm_relu_convolution(h, self.bn2, self.conv2)
        return self.join(shortcut, norm_relu_convolution(h, self.bn3, self.conv3))

    def branch_end(self) -> nn.Module:
        """Return the last convolution."""
        return self.conv3
