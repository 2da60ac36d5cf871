"""`AttentionResiduals`: every block chooses among all earlier outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._features import check_features, features_to, rms
from .._rule import Rule, same_shape

State = tuple[list[Tensor], Tensor | None]


class AttentionResiduals(Rule):
    """`h_l = sum_i a_il v_i`, `a_il = softmax_i(w_l . RMSNorm(v_i))`: attention over depth.

    Kimi Team 2026, arXiv:2603.15031. Every block reads a weighted average of the input `v_0` and
    of all earlier outputs `v_i = f_i(h_i)`, and so does the end. Where residual streams grow with
    depth, an average does not. With `block_size` `S` the sources are sums over `S` blocks each
    (and what the present one has so far): block attention residuals, whose memory grows with
    `L / S`.

    `w_l = 0` at the start, a uniform average: it does not begin with the residual network. The
    norm has no gain of its own, which `w_l` would absorb.

    Args:
        features: how many the stream has.
        block_size: how many blocks are summed to one source; 1 is the full form.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.
        eps: of the norm.

    Shape:
        `features` along `dim`, any other axes, to the same; the blocks keep it.

    Raises:
        SkipError: `block_size` is below 1; in forward, the tensor has another number of features,
            or a block changes the shape.

    Example:
        >>> import skipway
        >>> stack = skipway.nn.Stack([nn.Identity(), nn.Identity()], rule=AttentionResiduals(1))
        >>> stack(torch.ones(1)).item()  # averages of ones
        1.0
    """

    def __init__(
        self, features: int, *, block_size: int = 1, dim: int = -1, eps: float = 1e-6
    ) -> None:
        super().__init__()
        if block_size < 1:
            raise SkipError(f"block_size={block_size!r}; give 1 or more.")
        self.features, self.block_size, self.dim, self.eps = features, block_size, dim, eps

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the queries of every block but the first, which has no choice, and of the end."""
        self.queries = nn.ParameterList(torch.zeros(self.features) for _ in blocks)

    def begin(self, x: Tensor) -> State:
        """Return the first source, and an empty sum."""
        check_features(x, self.features, self.dim)
        return [x], None

    def read(self, state: State, layer: int) -> tuple[Tensor, State]:
        """Return the average of the sources under the query of `layer`."""
        if layer == 0:
            return state[0][0], state
        return attend(self.queries[layer - 1], _sources(state), self.dim, self.eps), state

    def write(self, waiting: State, layer: int, y: Tensor) -> State:
        """Return the sources with `y` in the sum of the present ones."""
        sources, partial = waiting
        y = same_shape(sources[0], layer, y)
        partial = y if partial is None else partial + y
        if (layer + 1) % self.block_size:
            return sources, partial
        return [*sources, partial], None

    def end(self, state: State) -> Tensor:
        """Return the average of the sources under the last query."""
        return attend(self.queries[-1], _sources(state), self.dim, self.eps)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.features}, block_size={self.block_size}, dim={self.dim}"


def attend(query: Tensor, sources: Sequence[Tensor], dim: int, eps: float) -> Tensor:
    """Return the average of `sources`, weighed by softmax of `query . RMSNorm(source)`."""
    values = torch.stack([source.movedim(dim, -1) for source in sources], -2)
    # RMSNorm divides each source by one number, so the product with the query may come first.
    scores = (values @ query.to(values.dtype)) / rms(values, eps).squeeze(-1)
    weights = scores.softmax(-1).to(values.dtype)
    return features_to((weights.unsqueeze(-2) @ values).squeeze(-2), dim)


def _sources(state: State) -> list[Tensor]:
    sources, partial = state
    return sources if partial is None else [*sources, partial]
