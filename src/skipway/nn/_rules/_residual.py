"""`Residual`: every block adds to one stream."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from ..._errors import SkipError
from .._rule import Rule, same_shape


class Residual(Rule):
    """`x_{l+1} = x_l + s f_l(x_l)`: every block adds to one stream.

    He et al. 2015, arXiv:1512.03385; with the clean path of He et al. 2016, arXiv:1603.05027,
    where no ReLU follows the sum.

    Args:
        scale: `s`. With `"depth"` it is `1 / sqrt(L)` for `L` blocks, the scale at which the
            stream neither explodes nor freezes as `L` grows, for independent initial weights
            (Marion et al., JMLR 26; Tarnowski et al. 2019).

    Shape:
        Any, to the same; the blocks keep it.

    Raises:
        SkipError: `scale` is no finite number; in forward, a block changes the shape.

    Example:
        >>> import torch, skipway
        >>> blocks = [nn.Identity() for _ in range(3)]
        >>> skipway.nn.Stack(blocks, rule=Residual())(torch.ones(1))
        tensor([8.])
        >>> skipway.nn.Stack(blocks[:1], rule=Residual(scale=0.5))(torch.ones(1))
        tensor([1.5000])
    """

    def __init__(self, scale: float | Literal["depth"] = 1.0) -> None:
        super().__init__()
        if isinstance(scale, str) and scale != "depth":
            raise SkipError(f"scale={scale!r} is neither a number nor 'depth'.")
        if not isinstance(scale, str) and not math.isfinite(scale):
            raise SkipError(f"scale={scale!r} is not finite.")
        self.by_depth = scale == "depth"
        self.scale = 1.0 if isinstance(scale, str) else scale
        self.preserves_function = self.scale == 1

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Settle the scale of `"depth"`."""
        if self.by_depth:
            self.scale = len(blocks) ** -0.5
            self.preserves_function = self.scale == 1

    def begin(self, x: Tensor) -> Tensor:
        """Return the stream, `x`."""
        return x

    def read(self, state: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Return the stream, twice."""
        return state, state

    def write(self, waiting: Tensor, layer: int, y: Tensor) -> Tensor:
        """Return the stream with `y` added."""
        y = same_shape(waiting, layer, y)
        return waiting + (y if self.scale == 1 else self.scale * y)

    def end(self, state: Tensor) -> Tensor:
        """Return the stream."""
        return state

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return "" if self.scale == 1 else f"scale={self.scale}"
