"""`DeepNorm`: post-norm that trains a thousand layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._errors import SkipError
from .._features import check_features, features_to
from .._rule import Rule, same_shape


class DeepNorm(Rule):
    """`x_{l+1} = LN(a x_l + f_l(x_l))`: post-norm that trains a thousand layers.

    Wang et al. 2022, arXiv:2203.00555, figure 2. A transformer of `M` layers has `2 M` branches,
    attention and feed-forward in turn; then `a = (2 M)^(1/4)`, and the weights of the branches
    start `b = (8 M)^(-1/4)` times as large, except the query and key projections. `M` is half the
    number of blocks here, whatever they are.

    Building the stack multiplies those weights by `b`, in place: give it blocks as they were
    initialised. Of an `nn.MultiheadAttention` the value and output projections are scaled.

    Args:
        features: how many the stream has.
        unscaled: parameters whose name contains one of these keep their weights: the query and
            key projections, as your blocks call them.
        dim: the axis of the features: -1 for tokens, 1 for `(batch, channels, *positions)`.
        eps: of the layer norm.

    Shape:
        `features` along `dim`, any other axes, to the same; the blocks keep it.

    Raises:
        SkipError: the tensor has another number of features, or a block changes the shape.

    Example:
        >>> import skipway
        >>> blocks = [nn.Linear(8, 8) for _ in range(200)]
        >>> stack = skipway.nn.Stack(blocks, rule=DeepNorm(8))
        >>> round(stack.rule.alpha, 4), round(stack.rule.beta, 4)
        (3.7606, 0.188)
    """

    def __init__(
        self,
        features: int,
        *,
        unscaled: tuple[str, ...] = ("q_proj", "k_proj", "query", "key"),
        dim: int = -1,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if isinstance(unscaled, str):
            raise SkipError(f"unscaled is a tuple of names; give ({unscaled!r},).")
        self.features, self.unscaled, self.dim, self.eps = features, unscaled, dim, eps
        self.alpha = self.beta = 1.0

    def prepare(self, blocks: nn.ModuleList) -> None:
        """Make the norms, and scale the weights of the blocks by `b`."""
        layers = len(blocks) / 2
        self.alpha, self.beta = (2 * layers) ** 0.25, (8 * layers) ** -0.25
        self.norms = nn.ModuleList(nn.LayerNorm(self.features, self.eps) for _ in blocks)
        with torch.no_grad():
            for weight in _scaled(blocks, self.unscaled):
                weight.mul_(self.beta)

    def begin(self, x: Tensor) -> Tensor:
        """Return the stream, `x`."""
        check_features(x, self.features, self.dim)
        return x

    def read(self, state: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Return the stream, twice."""
        return state, state

    def write(self, waiting: Tensor, layer: int, y: Tensor) -> Tensor:
        """Return the norm of `a x + y`."""
        stream = self.alpha * waiting + same_shape(waiting, layer, y)
        normed: Tensor = self.norms[layer](stream.movedim(self.dim, -1))
        return features_to(normed, self.dim)

    def end(self, state: Tensor) -> Tensor:
        """Return the stream."""
        return state

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.features}, dim={self.dim}, alpha={self.alpha:.4g}, beta={self.beta:.4g}"


def _scaled(blocks: nn.ModuleList, unscaled: tuple[str, ...]) -> list[Tensor]:
    """Return the weight matrices that start smaller, each once."""
    found: dict[int, Tensor] = {}
    for module in blocks.modules():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            # Query, key and value lie in one matrix; its last third is the value's.
            found[id(module.in_proj_weight)] = module.in_proj_weight[2 * module.embed_dim :]
    for name, parameter in blocks.named_parameters():
        parts = name.split(".")
        kept = any(part in own for part in unscaled for own in parts[1:])
        norm_or_bias = parameter.ndim < 2
        embedded = name.endswith("in_proj_weight")
        if not (kept or norm_or_bias or embedded) and id(parameter) not in found:
            found[id(parameter)] = parameter
    return list(found.values())
