"""6. When shapes differ.

x + F(x) needs two tensors of one shape. But networks change shapes on their way: more channels,
smaller images. Then the skip needs something on it that does the same to x, and as little else as
possible: a projection, a convolution of 1 x 1 with the body's stride. It looks at each pixel alone,
has no activation, and only mixes channels.

    y = shortcut(x) + body(x)

Block.__init__
    Set self.shortcut: nn.Identity() where body(x) has the shape of x, otherwise the projection.
    (The body gives `out_channels`, and divides height and width by `stride`.)

Block.forward(x)
    Return the sum.
"""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block that may change the number of channels and the size."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the shortcut and the body."""
        raise NotImplementedError
