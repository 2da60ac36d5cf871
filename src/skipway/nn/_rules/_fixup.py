"""`Fixup`: residual branches that need no norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._rule import Rule, same_shape

_WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


class Fixup(Rule):
    """`x_{l+1} = x_l + a_l f_l(x_l + b_l) + c_l`, with weights that start small: no norm needed.

    Zhang et al. 2019, arXiv:1901.09321, section 3. With `L` branches of `m` weight layers each,
    the weights of all but a branch's last layer (the one registered last) start `L^(-1/(2m-2))`
    times as large, those of the last at zero; `a_l` is a scalar that starts at 1, `b_l` and `c_l`
    are scalars that start at 0. The scalar biases before the inner layers are the blocks' own:
    vector biases hold them.

    Building the stack scales and zeroes those weights, in place: give it blocks as they were
    initialised (He et al.'s for ReLU, as in the paper).

    Shape:
        Any, to the same; the blocks keep it.

    Raises:
        SkipError: in forward, a block changes the shape.

    Example:
        >>> import skipway
        >>> blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(9)]
        >>> x = torch.randn(2, 8)
        >>> torch.equal(skipway.nn.Stack(blocks, rule=Fixup())(x), x)
        True
    """

    preserves_function = True

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the scalars, and scale the weights of the blocks."""
        self.scales = nn.ParameterList(torch.ones(()) for _ in blocks)
        self.biases_before = nn.ParameterList(torch.zeros(()) for _ in blocks)
        self.biases_after = nn.ParameterList(torch.zeros(()) for _ in blocks)
        scaled: set[int] = set()
        for block in blocks:
            _scale(block, len(blocks), scaled)

    def begin(self, x: Tensor) -> Tensor:
        """Return the stream, `x`."""
        return x

    def read(self, state: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Return `x + b`, and `x`."""
        h: Tensor = state + self.biases_before[layer]
        return h, state

    def write(self, waiting: Tensor, layer: int, y: Tensor) -> Tensor:
        """Return `x + a y + c`."""
        y = same_shape(waiting, layer, y)
        added: Tensor = self.scales[layer] * y + self.biases_after[layer]
        return waiting + added

    def end(self, state: Tensor) -> Tensor:
        """Return the stream."""
        return state


def _scale(block: nn.Module, depth: int, scaled: set[int]) -> None:
    """Scale and zero the weights of a block, but for those that another block has scaled."""
    layers = [module for module in block.modules() if isinstance(module, _WEIGHTED)]
    if not layers:
        return
    *inner, last = layers
    with torch.no_grad():
        for layer in inner:
            if id(layer.weight) not in scaled:
                layer.weight.mul_(depth ** (-1 / (2 * len(layers) - 2)))
            scaled.add(id(layer.weight))
        last.weight.zero_()
        if last.bias is not None:
            last.bias.zero_()
