"""`DenseFormer`: after every block, a learned average of all earlier outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._rule import Rule, same_shape

State = tuple[Tensor, list[Tensor]]


class DenseFormer(Rule):
    """`y_i = sum_{j<=i} a_ij x_j` with `x_{i+1} = y_i + f_i(y_i)`: a learned average over depth.

    Pagliardini et al. 2024, arXiv:2402.02622, section 3. `x_0` is the input; `a_ii` starts at 1,
    all others at 0, so the training begins with the residual network, exactly.

    Args:
        dilation: block `i` averages only the `x_j` with `j = i` modulo this.
        period: the average is taken after every so many blocks.
        residual: the blocks are branches, and `x + f(x)` is averaged. With False a block is a
            whole transformer block with skips of its own, as in the paper: `x_{i+1} = B_i(y_i)`;
            the training then begins with these blocks, one after the other.

    Shape:
        Any, to the same; the blocks keep it.

    Raises:
        SkipError: dilation or period is below 1; in forward, a block changes the shape.

    Example:
        >>> import skipway
        >>> stack = skipway.nn.Stack([nn.Tanh() for _ in range(3)], rule=DenseFormer())
        >>> [weights.tolist() for weights in stack.rule.weights]
        [[0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
    """

    def __init__(self, *, dilation: int = 1, period: int = 1, residual: bool = True) -> None:
        super().__init__()
        for name, value in (("dilation", dilation), ("period", period)):
            if value < 1:
                raise SkipError(f"{name}={value!r}; give 1 or more.")
        self.dilation, self.period, self.residual = dilation, period, residual
        self.preserves_function = residual

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the weights: a one for the newest, zeros for the others."""
        self.weights = nn.ParameterList(
            torch.eye(len(self._averaged(i)))[-1] for i in self._averages(len(blocks))
        )

    def begin(self, x: Tensor) -> State:
        """Return the input, and the list of it."""
        return x, [x]

    def read(self, state: State, layer: int) -> tuple[Tensor, State]:
        """Return the average, and it with all `x` so far."""
        return state[0], state

    def write(self, waiting: State, layer: int, y: Tensor) -> State:
        """Return the next average, and the list with the new `x`."""
        average, xs = waiting
        x = same_shape(average, layer, y)
        xs = [*xs, average + x if self.residual else x]
        i = layer + 1
        if i % self.period:
            return xs[-1], xs
        weights = self.weights[i // self.period - 1].unbind()
        terms = [a * xs[j] for a, j in zip(weights, self._averaged(i), strict=True)]
        return sum(terms[1:], terms[0]), xs

    def end(self, state: State) -> Tensor:
        """Return the last average."""
        return state[0]

    def _averages(self, depth: int) -> range:
        return range(self.period, depth + 1, self.period)

    def _averaged(self, i: int) -> range:
        return range(i % self.dilation, i + 1, self.dilation)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"dilation={self.dilation}, period={self.period}, residual={self.residual}"
