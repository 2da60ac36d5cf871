"""`HyperConnections`: several streams, and learned ways between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._features import check_axis, check_features, features_to, full_precision
from .._rule import Rule
from ._streams import collapse, pour, spread


class HyperConnections(Rule):
    """`X' = A_r^T X + B^T f(A_m^T X)`: `n` streams, and learned ways between them and the branch.

    Zhu et al. 2024, arXiv:2409.19606, equations 1 to 5. `X` holds `n` copies of the input. The
    branch of block `l` reads stream `l` modulo `n` at the start, and writes to all of them:
    `A_m = e_l`, `A_r = I`, `B = 1`. With `features` the ways depend on what flows (dynamic
    hyper-connections): to `A_m`, `A_r` and `B` come `s tanh(norm(X) W)`, with `W = 0` and
    `s = 0.01` at the start.

    The output is the mean of the streams, not their sum as in the paper: so the training begins
    with the residual network, exactly (to the last bit where `n` is a power of two).

    Args:
        n: how many streams.
        features: how many the stream has, for dynamic ways; without it they are static.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.

    Shape:
        Any with `features` along `dim`, to the same; the blocks keep it.

    Raises:
        SkipError: `n` is below 1; in forward, the tensor has another number of features, or a
            block changes the shape.

    Example:
        >>> import skipway
        >>> blocks = [nn.Linear(8, 8) for _ in range(3)]
        >>> stack = skipway.nn.Stack(blocks, rule=HyperConnections(2))
        >>> stack.rule.connections[1].alpha  # [A_m | A_r]
        Parameter containing:
        tensor([[0., 1., 0.],
                [1., 0., 1.]], requires_grad=True)
    """

    preserves_function = True

    def __init__(self, n: int, *, features: int | None = None, dim: int = -1) -> None:
        super().__init__()
        if not isinstance(n, int) or n < 1:
            raise SkipError(f"Hyper-connections need one stream or more, not {n!r}.")
        self.n, self.features, self.dim = n, features, dim

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the ways of every block."""
        self.connections = nn.ModuleList(
            _Static(self.n, layer)
            if self.features is None
            else _Dynamic(self.n, layer, self.features)
            for layer in range(len(blocks))
        )

    def begin(self, x: Tensor) -> Tensor:
        """Return the streams, `(..., n, features)`: copies of `x`."""
        check_axis(x, self.dim)
        if self.features is not None:
            check_features(x, self.features, self.dim)
        return spread(x, self.n, self.dim)

    def read(self, state: Tensor, layer: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return `A_m^T X`; the streams `A_r^T X` wait, with `B`."""
        with full_precision(state):
            alpha, beta = self.connections[layer](state)
            mixed = torch.einsum("...ij,...id->...jd", alpha, state)
        return features_to(mixed[..., 0, :], self.dim), (mixed[..., 1:, :], beta)

    def write(self, waiting: tuple[Tensor, Tensor], layer: int, y: Tensor) -> Tensor:
        """Return the streams with `B^T y` added."""
        streams, beta = waiting
        return pour(y, beta, streams, layer, self.dim)

    def end(self, state: Tensor) -> Tensor:
        """Return the mean of the streams."""
        return collapse(state, self.dim)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.n}, features={self.features}, dim={self.dim}"


class _Static(nn.Module):
    """The ways of one block: `alpha = [A_m | A_r]`, `(n, n + 1)`, and `beta = B`, `(n,)`."""

    def __init__(self, n: int, layer: int) -> None:
        super().__init__()
        reads = torch.eye(n)[:, [layer % n]]
        self.alpha = nn.Parameter(torch.cat([reads, torch.eye(n)], 1))
        self.beta = nn.Parameter(torch.ones(n))

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Return `alpha` and `beta`."""
        return self.alpha, self.beta


class _Dynamic(nn.Module):
    """The same, with what the streams themselves say added: `(..., n, n + 1)` and `(..., n)`."""

    def __init__(self, n: int, layer: int, features: int) -> None:
        super().__init__()
        self.static = _Static(n, layer)
        self.norm = nn.LayerNorm(features)
        # One product makes all: n + 1 columns for alpha, the last one for beta.
        self.weight = nn.Parameter(torch.zeros(features, n + 2))
        self.scale_alpha = nn.Parameter(torch.tensor(0.01))
        self.scale_beta = nn.Parameter(torch.tensor(0.01))

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor]:
        """Return `alpha` and `beta` for every position."""
        told = torch.tanh(self.norm(streams) @ self.weight)
        alpha, beta = self.static(streams)
        return (
            self.scale_alpha * told[..., :-1] + alpha,
            self.scale_beta * told[..., -1] + beta,
        )
