"""`DeltaAttentionResiduals`: the residual stream, and attention over what each block added."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._features import check_features
from .._rule import Rule, same_shape
from ._attention_residuals import attend

State = tuple[Tensor, list[Tensor]]


class DeltaAttentionResiduals(Rule):
    """`x_{l+1} = x_l + v_l`, `v_l = f_l(x_l + g_l sum_i a_il v_i)`: choose from what was added.

    Luo et al. 2026, arXiv:2605.18855. The residual stream `x` stays; beside it every block reads,
    by attention over depth, from what earlier blocks added, `v_0 ... v_{l-1}`, where `v_{-1}` is
    the input itself: `a_il = softmax_i(w_l . RMSNorm(v_i))` with `w_l = 0` at the start. The
    first block has nothing to choose from and reads the input.

    The gate `g_l` starts at 0, so that the training begins with the residual network, exactly, and
    a trained one can be continued. `gate=None` is the form without (`g_l = 1`), in which every
    block at first reads the mean of what was added besides.

    Args:
        features: how many the stream has.
        gate: `g_l` at the start, or None.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.
        eps: of the norm.

    Shape:
        `features` along `dim`, any other axes, to the same; the blocks keep it.

    Raises:
        SkipError: in forward, the tensor has another number of features, or a block changes the
            shape.

    Example:
        >>> import skipway
        >>> blocks, x = [nn.Linear(8, 8) for _ in range(3)], torch.randn(2, 8)
        >>> delta = skipway.nn.Stack(blocks, rule=DeltaAttentionResiduals(8))
        >>> torch.equal(delta(x), skipway.nn.Stack(blocks)(x))
        True
    """

    def __init__(
        self, features: int, *, gate: float | None = 0.0, dim: int = -1, eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.features, self.gate, self.dim, self.eps = features, gate, dim, eps
        self.preserves_function = gate == 0

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the queries and gates of all blocks but the first, which has no choice."""
        others = range(1, len(blocks))
        self.queries = nn.ParameterList(torch.zeros(self.features) for _ in others)
        if self.gate is not None:
            gate = float(self.gate)
            self.gates = nn.ParameterList(torch.tensor(gate) for _ in others)

    def begin(self, x: Tensor) -> State:
        """Return the stream, and the list of what made it: `x`."""
        check_features(x, self.features, self.dim)
        return x, [x]

    def read(self, state: State, layer: int) -> tuple[Tensor, State]:
        """Return the stream, and beside it what the query of `layer` chooses."""
        stream, deltas = state
        if layer == 0:
            return stream, state
        chosen = attend(self.queries[layer - 1], deltas, self.dim, self.eps)
        if self.gate is not None:
            chosen = self.gates[layer - 1] * chosen
        return stream + chosen, state

    def write(self, waiting: State, layer: int, y: Tensor) -> State:
        """Return the stream with `y` added, and the list with `y`."""
        stream, deltas = waiting
        y = same_shape(stream, layer, y)
        return stream + y, [*deltas, y]

    def end(self, state: State) -> Tensor:
        """Return the stream."""
        return state[0]

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.features}, gate={self.gate}, dim={self.dim}"
