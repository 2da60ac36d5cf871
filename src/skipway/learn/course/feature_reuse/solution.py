"""8. Feature reuse: one way to write it."""

import torch
from torch import Tensor, nn


def reuse(convolutions: list[nn.Conv2d], first: int, growth: int) -> list[list[float]]:
    """Return the mean absolute weight from each source to each layer."""
    table = []
    for layer, convolution in enumerate(convolutions):
        # Channels lie in the order in which they were made: cut them into one piece a source.
        pieces = convolution.weight.detach().split([first] + [growth] * layer, dim=1)
        table.append([float(piece.abs().mean()) for piece in pieces])
    return table


def most_read(table: list[list[float]]) -> list[int]:
    """Return which source each layer reads most."""
    return [row.index(max(row)) for row in table]
