"""7. Skip by concatenation.

A sum mixes x and F(x) for good. DenseNet keeps both: a dense layer puts its new channels behind
those that came in, and hands all of them on. Each layer of a block then reads the block's input and
the output of every layer before it. It need not make many channels of its own: the growth rate k
is often 12 or 32.

DenseLayer.forward(x)
    `self.conv` makes `growth` new channels from relu(x). Return x and the new channels, x first,
    concatenated along the channels: (batch, channels + growth, height, width).

DenseBlock
    A stack of `layers` dense layers. Mind how many channels each of them reads. Write both methods,
    and keep the layers in an nn.ModuleList.

channels_after(channels, growth, layers)
    Return how many channels come out of the block.

parameters_of(channels, growth, layers)
    Return how many numbers are trained in it: each convolution of 3 x 3 from a to b channels has
    9 * a * b weights and b biases.
"""

import torch
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """One convolution, whose channels are put behind those that come in."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x and `growth` new channels."""
        raise NotImplementedError


class DenseBlock(nn.Module):
    """Dense layers one after another, each of which reads all before it."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return x and what each layer added."""
        raise NotImplementedError


def channels_after(channels: int, growth: int, layers: int) -> int:
    """Return how many channels come out of a block."""
    raise NotImplementedError


def parameters_of(channels: int, growth: int, layers: int) -> int:
    """Return how many parameters a block has."""
    raise NotImplementedError
