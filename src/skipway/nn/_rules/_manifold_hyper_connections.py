"""`ManifoldHyperConnections`: hyper-connections that cannot explode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._features import check_axis, check_features, features_to, full_precision, rms
from .._rule import Rule
from ._streams import collapse, pour, spread

Waiting = tuple[Tensor, Tensor]


class ManifoldHyperConnections(Rule):
    """`X' = H_res X + H_post^T f(H_pre X)`: hyper-connections that cannot explode.

    mHC, Xie et al. 2025, arXiv:2512.24880, equations 3 to 9. `H_res` is doubly stochastic: rows
    and columns of non-negative numbers that sum to 1, so a product of any number of them is one
    too. `H_pre = sigmoid(.)`, `H_post = 2 sigmoid(.)`, `H_res = Sinkhorn(exp(.))`, each of
    `a (RMSNorm(vec X) W) + b`, where `vec X` holds all streams; `a = 0.01` and `W = 0` at the
    start. `b` makes the training begin with the residual network, to rounding: `H_res` is near
    the identity, `H_post = 1`, and `H_pre` sums to 1, three quarters of it on stream `l` modulo
    `n`, so that the streams can part. Without `features` there is only `b`.

    All of it is computed in float32 or better, also under autocast.

    Args:
        n: how many streams, two or more.
        features: how many the stream has, for ways that depend on it; without it they are static.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.
        steps: of Sinkhorn and Knopp's alternation, 20 in the paper. Rows sum to 1 exactly, columns
            the better the more steps, and the less the logits differ: with logits 27 apart and 20
            steps to within 3 %.
        eps: of the norm.

    Shape:
        Any with `features` along `dim`, to the same; the blocks keep it.

    Raises:
        SkipError: `n` is below 2; in forward, the tensor has another number of features, or a
            block changes the shape.

    Example:
        >>> import skipway
        >>> blocks = [nn.Linear(8, 8) for _ in range(3)]
        >>> stack = skipway.nn.Stack(blocks, rule=ManifoldHyperConnections(4, features=8))
        >>> x = torch.randn(2, 5, 8)
        >>> torch.allclose(stack(x), skipway.nn.Stack(blocks)(x), atol=1e-6)
        True
    """

    preserves_function = True

    def __init__(
        self,
        n: int,
        *,
        features: int | None = None,
        dim: int = -1,
        steps: int = 20,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        if not isinstance(n, int) or n < 2 or steps < 1:
            raise SkipError(
                f"Manifold-constrained hyper-connections need two streams and one step or more, "
                f"not n={n!r}, steps={steps!r}; with one stream they are Residual()."
            )
        self.n, self.features, self.dim, self.steps, self.eps = n, features, dim, steps, eps

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the ways of every block."""
        self.connections = nn.ModuleList(
            _Connection(self.n, layer, self.features, self.steps, self.eps)
            for layer in range(len(blocks))
        )

    def begin(self, x: Tensor) -> Tensor:
        """Return the streams, `(..., n, features)`: copies of `x`."""
        check_axis(x, self.dim)
        if self.features is not None:
            check_features(x, self.features, self.dim)
        return spread(x, self.n, self.dim)

    def read(self, state: Tensor, layer: int) -> tuple[Tensor, Waiting]:
        """Return `H_pre X`; the streams `H_res X` wait, with `H_post`."""
        with full_precision(state):
            pre, post, res = self.connections[layer](state)
            h = torch.einsum("...i,...id->...d", pre, state)
            streams = torch.einsum("...ij,...jd->...id", res, state)
        return features_to(h, self.dim), (streams, post)

    def write(self, waiting: Waiting, layer: int, y: Tensor) -> Tensor:
        """Return the streams with `H_post^T y` added."""
        streams, post = waiting
        return pour(y, post, streams, layer, self.dim)

    def end(self, state: Tensor) -> Tensor:
        """Return the mean of the streams."""
        return collapse(state, self.dim)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.n}, features={self.features}, dim={self.dim}, steps={self.steps}"


def sinkhorn(logits: Tensor, steps: int) -> Tensor:
    """Return `exp(logits)`, columns and rows divided by their sums in turn: doubly stochastic.

    Sinkhorn & Knopp 1967; the last two axes are rows and columns.
    """
    # Rows and columns first: small sums then run over long vectors of positions, 4 times as fast.
    matrix = logits.movedim((-2, -1), (0, 1)).contiguous()
    # The largest exponent becomes 0: one factor over all, which the first division takes out.
    matrix = (matrix - matrix.amax((0, 1), keepdim=True).detach()).exp()
    for _ in range(steps):
        matrix = matrix / matrix.sum(0, keepdim=True)
        matrix = matrix / matrix.sum(1, keepdim=True)
    # A batch of strided matrices would be multiplied one by one.
    return matrix.movedim((0, 1), (-2, -1)).contiguous()


class _Connection(nn.Module):
    """The ways of one block: `H_pre` and `H_post`, `(..., n)`, and `H_res`, `(..., n, n)`."""

    def __init__(self, n: int, layer: int, features: int | None, steps: int, eps: float) -> None:
        super().__init__()
        self.n, self.steps, self.eps = n, steps, eps
        share = torch.full((n,), 0.25 / (n - 1))
        share[layer % n] = 0.75
        self.pre = nn.Parameter(torch.logit(share))
        self.post = nn.Parameter(torch.zeros(n))
        self.res = nn.Parameter(-8 * (1 - torch.eye(n)))
        self.weight = (
            None if features is None else nn.Parameter(torch.zeros(n * features, n * (n + 2)))
        )
        self.scales = None if features is None else nn.Parameter(torch.full((3,), 0.01))

    def forward(self, streams: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `H_pre`, `H_post` and `H_res` in the precision of the streams."""
        pre, post, res = self._logits(streams)
        ways = torch.sigmoid(pre), 2 * torch.sigmoid(post), sinkhorn(res, self.steps)
        return ways[0].to(streams.dtype), ways[1].to(streams.dtype), ways[2].to(streams.dtype)

    def _logits(self, streams: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # In bfloat16, should the parameters be, sums of a row would be off by a percent.
        wide = torch.promote_types(self.res.dtype, torch.float32)
        own = self.pre.to(wide), self.post.to(wide), self.res.to(wide)
        if self.weight is None or self.scales is None:
            return own
        flat = streams.flatten(-2).to(wide)
        # The norm is one factor a position, so it may follow the product, which makes it small.
        told = (flat @ self.weight.to(wide)) / rms(flat, self.eps)
        n, (pre, post, res) = self.n, self.scales.to(wide).unbind()
        return (
            pre * told[..., :n] + own[0],
            post * told[..., n : 2 * n] + own[1],
            res * told[..., 2 * n :].reshape(*told.shape[:-1], n, n) + own[2],
        )
