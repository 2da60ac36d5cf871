"""8. Feature reuse.

Does a dense block use what it was given long ago? Its weights say so. The convolution of layer l
reads the block's input (source 0) and the output of each of the layers before it (sources 1 to l).
If it needs a source, the weights that read it are large; if not, training lets them be small.

Take a trained block, given as the list of its convolutions. Convolution l has a weight of the shape

    (growth, first + l * growth, 3, 3)        that is (output channels, input channels, ...)

and its input channels are, in this order: `first` channels of the block's input, `growth` channels
that layer 0 made, `growth` that layer 1 made, and so on.

reuse(convolutions, first, growth)
    Return a list with one row for each convolution: row l is a list of l + 1 numbers, the mean
    absolute weight with which layer l reads source 0, source 1, ... source l.

most_read(table)
    For each row of such a table return the number of the source that is read most: [0, 1, ...].
"""

import torch
from torch import Tensor, nn


def reuse(convolutions: list[nn.Conv2d], first: int, growth: int) -> list[list[float]]:
    """Return the mean absolute weight from each source to each layer."""
    raise NotImplementedError


def most_read(table: list[list[float]]) -> list[int]:
    """Return which source each layer reads most."""
    raise NotImplementedError
