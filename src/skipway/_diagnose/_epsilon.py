"""For how many weights Adam's epsilon, and not their gradient, sets the size of the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .._trace._numbers_at import Numbers, as_real
from ._together import Together


def measure_epsilon(numbers: Numbers, optimizer: Together) -> None:
    """Count the weights that had a gradient, "of", and those of them whose step it sets, "small".

    Args:
        numbers: where the counts are put.
        optimizer: after its step, with the gradients that it took.
    """
    index = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            if "exp_avg_sq" not in state or parameter.grad is None or "eps" not in group:
                continue
            beta = float(group["betas"][1])
            root = _root_of_squares(state, parameter.grad, beta)
            had = _had_a_gradient(state, parameter.grad)
            numbers.put("small", index, (had & (root < group["eps"])).sum())
            numbers.put("of", index, had.sum())
            index += 1


def _root_of_squares(state: Mapping[str, Any], gradient: Tensor, beta: float) -> Tensor:
    """Return what Adam adds its epsilon to, for every number that it steps."""
    squares = as_real(state["exp_avg_sq"])
    if gradient.is_sparse:
        # SparseAdam steps the rows of this gradient alone, and corrects the step, not the root.
        return torch.sqrt(squares[tuple(gradient.coalesce().indices())])
    return torch.sqrt(squares / (1 - beta ** float(state["step"])))


def _had_a_gradient(state: Mapping[str, Any], gradient: Tensor) -> Tensor:
    """Tell of every number that Adam steps whether there is a step for its epsilon to set.

    A root that is zero does not tell: the square of a gradient of 1e-23 is zero too.
    """
    mean = as_real(state.get("exp_avg", state["exp_avg_sq"]))
    if gradient.is_sparse:
        mean = mean[tuple(gradient.coalesce().indices())]
    return mean != 0
