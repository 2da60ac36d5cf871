"""7. Skip by concatenation: one way to write it."""

import torch
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """One convolution, whose channels are put behind those that come in."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x and `growth` new channels."""
        return torch.cat([x, self.conv(torch.relu(x))], dim=1)


class DenseBlock(nn.Module):
    """Dense layers one after another, each of which reads all before it."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(channels + i * growth, growth) for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x and what each layer added."""
        for layer in self.layers:
            x = layer(x)
        return x


def channels_after(channels: int, growth: int, layers: int) -> int:
    """Return how many channels come out of a block."""
    return channels + layers * growth


def parameters_of(channels: int, growth: int, layers: int) -> int:
    """Return how many parameters a block has."""
    return sum(9 * channels_after(channels, growth, i) * growth + growth for i in range(layers))
