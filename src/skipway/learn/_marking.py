"""What the checks of the exercises share: say `Wrong`, and name the mistake behind a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

Mistakes = Mapping[str, Tensor | tuple[Tensor, ...]]


class Wrong(Exception):  # noqa: N818  (a verdict on an answer, no fault of a program)
    """The answer is not right. The message says why, in words for the learner."""


def function(answer: ModuleType, name: str) -> Callable[..., Any]:
    """Return what the answer calls `name`, a function or a class.

    Raises:
        Wrong: there is none.
    """
    found = getattr(answer, name, None)
    if not callable(found):
        raise Wrong(
            f"`{name}` is missing. The exercise came with it, and the check calls it by this name."
        )
    return found  # type: ignore[no-any-return]


def tensor(value: object, what: str, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return `value`, which is to be a tensor (of a shape).

    Raises:
        Wrong: it is something else.
    """
    if value is None:
        raise Wrong(f"{what} returned None. Is a `return` missing?")
    if not isinstance(value, Tensor):
        raise Wrong(f"{what} returned a {type(value).__name__}; it should be a tensor.")
    if shape is not None and tuple(value.shape) != shape:
        raise Wrong(f"{what} returned the shape {tuple(value.shape)}; it should be {shape}.")
    return value


def number(value: object, what: str) -> float:
    """Return `value`, which is to be a number (or a tensor that holds one).

    Raises:
        Wrong: it is something else.
    """
    if value is None:
        raise Wrong(f"{what} returned None. Is a `return` missing?")
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value.detach())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"{what} returned a {type(value).__name__}; it should be a number.")
    return float(value)


def agree(got: Tensor, right: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether two tensors are equal but for rounding, measured against the largest value."""
    if got.shape != right.shape:
        return False
    a, b = got.detach().double(), right.detach().double()
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-300))


def expect(
    got: Tensor,
    right: Tensor,
    mistakes: Mistakes,
    otherwise: str,
    tolerance: float = 1e-5,
) -> None:
    """Accept `right`; else say which mistake leads to `got`.

    Args:
        got: what the answer computed.
        right: what it should be.
        mistakes: the sentence for the learner, to what that mistake computes (or the ways to
            compute it).
        otherwise: the sentence where none of them explains it.
        tolerance: relative to the largest value.

    Raises:
        Wrong: `got` is not `right`.
    """
    if agree(got, right, tolerance):
        return
    for sentence, values in mistakes.items():
        ways = values if isinstance(values, tuple) else (values,)
        if any(agree(got, value, tolerance) for value in ways):
            raise Wrong(sentence)
    if got.shape != right.shape:
        otherwise += f" The shape is {tuple(got.shape)} and should be {tuple(right.shape)}."
    raise Wrong(otherwise)


def seeded(seed: int = 172) -> torch.Generator:
    """Return a generator of random numbers that leaves the global one alone."""
    return torch.Generator().manual_seed(seed)
