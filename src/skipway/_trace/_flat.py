"""Where an activation is flat: units that no sample switches on, values on its flat ends.

Flat is what has less than 1 % of the activation's steepest slope: next to no gradient comes back
through it.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ._calls import tensors
from ._numbers_at import wide

FLAT = 0.01  # of the steepest slope

# Below these inputs the slope stays under 1 % of the steepest: of GELU |Phi(x) + x phi(x)|, of
# SiLU |s(x) (1 + x (1 - s(x)))|, and so on.
_OFF_BELOW = {
    "gelu": -3.06743, "silu": -6.26139, "mish": -6.26397, "softplus": math.log(FLAT / (1 - FLAT)),
    "elu": math.log(FLAT), "selu": math.log(FLAT), "celu": math.log(FLAT), "hardswish": -3.0,
}  # fmt: skip
_ZERO_WHERE_OFF = {"relu", "relu6", "threshold"}
_SATURATE = {"tanh", "sigmoid", "hardtanh", "hardsigmoid", "softsign"}


def silent_share(op: str, tensor: Tensor, arguments: Any, channel: int) -> Tensor | None:
    """Return the share of units (along `channel`) that are flat on their lower end for all samples.

    Args:
        op: name of the call.
        tensor: its output.
        arguments: that it was called with.
        channel: dimension of the units.

    Returns:
        `None` where the call is no activation of that kind, or its input is gone.
    """
    if op in _ZERO_WHERE_OFF:
        return _share(tensor.detach() == 0, channel)
    if op not in _OFF_BELOW:
        return None
    given = tensors(arguments)
    if given and given[0].shape == tensor.shape and not _same_memory(given[0], tensor):
        limit = _OFF_BELOW[op] * _stretch(op, arguments)
        return _share(given[0].detach() < limit, channel)
    # In place the output has taken the input's memory; of these two it still tells.
    if op == "hardswish":
        return _share(tensor.detach() == 0, channel)
    if op == "elu" and _option(arguments, 1, "alpha", 1.0) == 1:
        return _share(tensor.detach() <= FLAT - 1, channel)
    return None


def saturated_share(op: str, tensor: Tensor, arguments: Any) -> Tensor | None:
    """Return the share of values that lie on the flat ends; `None` for calls without two."""
    if op not in _SATURATE:
        return None
    y = tensor.detach().to(wide(tensor))
    if op == "hardtanh":
        low, high = (
            _option(arguments, at, name, default)
            for at, name, default in ((1, "min_val", -1.0), (2, "max_val", 1.0))
        )
        share: Tensor = ((y <= low) | (y >= high)).to(y.dtype).mean()
        return share
    slopes = {
        "tanh": lambda: 1 - y * y,
        "sigmoid": lambda: 4 * y * (1 - y),
        "hardsigmoid": lambda: ((y > 0) & (y < 1)).to(y.dtype),
        "softsign": lambda: (1 - y.abs()).square(),
    }
    return (slopes[op]() < FLAT).to(y.dtype).mean()


def _share(off: Tensor, channel: int) -> Tensor:
    kind = wide(off)
    if off.dim() < 2:
        return off.to(kind).mean()
    return off.movedim(channel, 0).reshape(off.shape[channel], -1).all(1).to(kind).mean()


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a is b or a.data_ptr() == b.data_ptr()


def _stretch(op: str, arguments: Any) -> float:
    """Return how many times as far out the flat end begins, by the call's own options."""
    if op == "softplus":
        return 1 / _option(arguments, 1, "beta", 1.0)
    return _option(arguments, 1, "alpha", 1.0) if op == "celu" else 1.0


def _option(arguments: Any, position: int, name: str, default: float) -> float:
    args, options = arguments or ((), dict[str, Any]())
    return float(args[position] if len(args) > position else options.get(name, default))
