"""`Reversible`: a stack whose memory does not grow with its depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._rule import Rule, same_shape

State = tuple[Tensor, Tensor]


class Reversible(Rule):
    """`y_1 = x_1 + F(x_2)`, `y_2 = x_2 + G(y_1)`: memory that does not grow with depth.

    RevNet, Gomez et al. 2017, arXiv:1707.04585. The input is split in two along `dim`; blocks are
    `F` and `G` in turn, each on half of the features. As `x_2 = y_2 - G(y_1)` and
    `x_1 = y_1 - F(x_2)`, backward computes the inputs again from the outputs: only the last state
    is saved, for one more forward of time. Random numbers are drawn again as they were, autocast
    is as it was, and buffers (the running statistics of a norm) are updated once.

    The inputs computed again differ from the true ones by rounding, which branches that amplify
    can let grow over hundreds of blocks in float32. Each block that draws random numbers saves the
    generator's state, 5 KB on a CPU. The blocks' gradients reach their parameters, the input and
    tensors in `context`, not other tensors that a block closes over. Hooks on blocks run twice;
    second derivatives give an error.

    Compiled, exported, under `torch.func` or without gradients, the stack runs as it is written,
    and with `recompute=False` always.

    Args:
        dim: the axis that is split, 1 for `(batch, channels, *positions)`, -1 for tokens.
        recompute: compute inputs again instead of saving them.

    Shape:
        An even number of features along `dim`, any other axes, to the same; the blocks keep the
        half.

    Raises:
        SkipError: the stack has an odd number of blocks; in forward, the features cannot be
            halved, or a block changes the shape.

    Example:
        >>> import skipway
        >>> blocks = [nn.Linear(4, 4) for _ in range(6)]
        >>> skipway.nn.Stack(blocks, rule=Reversible())(torch.randn(2, 8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, *, dim: int = 1, recompute: bool = True) -> None:
        super().__init__()
        self.dim, self.recompute = dim, recompute

    def prepare(self, blocks: nn.ModuleList) -> None:
        """See that the blocks come in pairs."""
        if len(blocks) % 2:
            raise SkipError(
                "A reversible stack takes its blocks in pairs, F and G in turn, and "
                f"{len(blocks)} is odd. Add one or leave one out."
            )

    def begin(self, x: Tensor) -> State:
        """Return the two halves."""
        if not -x.ndim <= self.dim < x.ndim or x.shape[self.dim] % 2:
            raise SkipError(
                f"A reversible stack halves dim {self.dim}, and the tensor has the shape "
                f"{tuple(x.shape)}. Give it an even number of features there, or another dim."
            )
        first, second = x.chunk(2, self.dim)
        return first, second

    def read(self, state: State, layer: int) -> tuple[Tensor, State]:
        """Return the second half; both wait."""
        return state[1], state

    def write(self, waiting: State, layer: int, y: Tensor) -> State:
        """Return the halves, the first one with `y` added, in turned order."""
        first, second = waiting
        return second, first + same_shape(first, layer, y)

    def end(self, state: State) -> Tensor:
        """Return the halves, side by side."""
        return torch.cat(state, self.dim)

    def recomputes(self, state: State) -> bool:
        """Tell whether backward is to compute the inputs of the blocks again."""
        return (
            self.recompute
            and torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and not torch._C._are_functorch_transforms_active()
        )

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"dim={self.dim}, recompute={self.recompute}"
