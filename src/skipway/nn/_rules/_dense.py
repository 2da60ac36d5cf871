"""`Dense`: every block reads all earlier outputs, side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._errors import SkipError
from .._rule import Rule


class Dense(Rule):
    """`x_l = f_l([x_0, x_1, ..., x_{l-1}])`: every block reads all earlier outputs, side by side.

    Huang et al. 2016, arXiv:1608.06993, equation 2. With a growth rate of `k` channels a block,
    block `l` reads `k_0 + l k`, and the output, all of them, has `k_0 + L k`. Features are used
    again instead of made again, so few are needed.

    Args:
        dim: the axis of the features: 1 for `(batch, channels, *positions)`, -1 for tokens.

    Shape:
        `k_0` features along `dim` to `k_0 + L k`; the blocks change no other axis.

    Raises:
        SkipError: in forward, a block changes another axis.

    Example:
        >>> from torch import nn
        >>> import skipway
        >>> blocks = [nn.Conv2d(16 + 12 * layer, 12, 3, padding=1) for layer in range(6)]
        >>> skipway.nn.Stack(blocks, rule=Dense())(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 88, 8, 8])
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def begin(self, x: Tensor) -> list[Tensor]:
        """Return the list of what there is: `x`."""
        return [x]

    def read(self, state: list[Tensor], layer: int) -> tuple[Tensor, list[Tensor]]:
        """Return all so far, side by side, and the list of them."""
        return torch.cat(state, self.dim), state

    def write(self, waiting: list[Tensor], layer: int, y: Tensor) -> list[Tensor]:
        """Return the list with `y`."""
        if y.ndim != waiting[0].ndim or _others(y, self.dim) != _others(waiting[0], self.dim):
            raise SkipError(
                f"Block {layer} returns the shape {tuple(y.shape)}, which does not go beside "
                f"{tuple(waiting[0].shape)} along dim {self.dim}: the other axes differ."
            )
        return [*waiting, y]

    def end(self, state: list[Tensor]) -> Tensor:
        """Return all, side by side."""
        return torch.cat(state, self.dim)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"dim={self.dim}"


def _others(x: Tensor, dim: int) -> list[int]:
    return [size for axis, size in enumerate(x.shape) if axis != dim % x.ndim]
