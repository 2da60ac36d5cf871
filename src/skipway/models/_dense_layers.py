"""The parts of a DenseNet: layer, block, transition, and the block of its plain twin."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._dense._run import ChoosesPath


class DenseLayer(nn.Module):
    """One layer `H`: norm, ReLU, 1 × 1, norm, ReLU, 3 × 3; or norm, ReLU, 3 × 3.

    Source: Huang et al. 2016, arXiv:1608.06993, section 3.

    Attributes:
        folds: the convolution whose output one norm alone reads, and that norm.
    """

    folds: ClassVar[tuple[tuple[str, str], ...]] = (("conv1", "norm2"),)

    def __init__(self, width: int, growth: int, bottleneck: int | None, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.drop_rate, self.bottleneck = drop_rate, bottleneck is not None
        if bottleneck is None:
            self.conv1 = nn.Conv2d(width, growth, 3, padding=1, bias=False)
            return
        inner = bottleneck * growth
        self.conv1 = nn.Conv2d(width, inner, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new features, `(batch, growth, height, width)`."""
        new = self.conv1(self.relu1(self.norm1(x)))
        if self.bottleneck:
            new = self.conv2(self.relu2(self.norm2(new)))
        if self.drop_rate > 0:
            new = F.dropout(new, self.drop_rate, self.training)
        out: Tensor = new
        return out


class DenseBlock(ChoosesPath):
    """Layers that each read all features before them: `x_l = H_l([x_0, ..., x_{l-1}])`.

    Source: Huang et al. 2016, arXiv:1608.06993, equation 2.
    """

    def __init__(
        self, width: int, growth: int, count: int, bottleneck: int | None, drop_rate: float
    ) -> None:
        super().__init__()
        for i in range(count):
            layer = DenseLayer(width + i * growth, growth, bottleneck, drop_rate)
            self.add_module(f"denselayer{i + 1}", layer)

    def run_modules(self, x: Tensor) -> Tensor:
        """Return `(batch, width + count * growth, height, width)`."""
        # What `skipway.nn.Dense` does, without its check of shapes, which torch.fx cannot trace.
        features = [x]
        for layer in self.children():
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class PlainBlock(nn.Sequential):
    """The same layers in a row: each reads the one before it, and nothing else."""

    def __init__(
        self, width: int, growths: list[int], bottleneck: int | None, drop_rate: float
    ) -> None:
        super().__init__()
        for i, growth in enumerate(growths):
            layer = DenseLayer(width, growth, bottleneck, drop_rate)
            self.add_module(f"denselayer{i + 1}", layer)
            width = growth


class Transition(nn.Sequential):
    """Fewer channels by a 1 × 1 convolution, fewer positions by the mean over 2 × 2."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(width, out, 1, bias=False)
        self.pool = nn.AvgPool2d(2)
