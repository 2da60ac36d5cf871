"""Held against what PyTorch's own addition and `nextafter` do."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from skipway.learn._marking import Wrong, function, number
from skipway.learn._picture import Picture, bars

VALUES = (0.1, 1.0, 1.5, 3.0, 0.02)
DTYPES = (torch.float32, torch.bfloat16)
RATE = 1e-4


def check(answer: ModuleType) -> None:
    """Check the three functions in the order of the file."""
    _check_spacing(function(answer, "spacing"))
    _check_moves(function(answer, "moves"))
    _check_needed(function(answer, "needed_gradient"))


def _stored(value: float, dtype: torch.dtype) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def _spacing(value: float, dtype: torch.dtype) -> float:
    # Doubles hold the difference of two neighbours exactly.
    weight = _stored(value, dtype)
    step = torch.nextafter(weight, torch.full_like(weight, math.inf))
    return float(step.double() - weight.double())


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * abs(b)


def _check_spacing(spacing: Any) -> None:
    for dtype in DTYPES:
        for value in VALUES:
            got, right = number(spacing(value, dtype), "spacing"), _spacing(value, dtype)
            if not _close(got, right):
                raise Wrong(_why_spacing(got, right, value, dtype))


def _why_spacing(got: float, right: float, value: float, dtype: torch.dtype) -> str:
    eps, case = torch.finfo(dtype).eps, f"spacing({value:g}, {dtype})"
    if _close(got, eps):
        return (
            f"{case}: you returned eps, which is the spacing at 1. Floats lie closer together "
            f"near zero and farther apart beyond 2: here it is {right:.3g}."
        )
    if _close(got, eps * value):
        return (
            f"{case}: you returned eps * value. Close, but the spacing does not grow smoothly: it "
            f"is the same between two powers of two, and doubles there. Here it is {right:.3g}."
        )
    if _close(got, torch.finfo(dtype).tiny):
        return f"{case}: you returned tiny, the smallest normal number. That is the distance at 0."
    for other, whose in ((torch.float64, "Python's own floats"), (torch.float32, "the default")):
        if dtype != other and _close(got, _spacing(value, other)):
            return (
                f"{case}: that is the spacing in {other}, {whose}. Put the value into a tensor of "
                f"{dtype} first."
            )
    if _close(got, torch.finfo(dtype).resolution):
        return f"{case}: resolution is a rule of thumb in decimal digits; it is {right:.3g}."
    if _close(got, right / 2) or _close(got, right * 2):
        return f"{case}: you are off by a factor of 2; it is {right:.3g}, you returned {got:.3g}."
    if got == 0:
        return f"{case}: you returned 0. Was the difference itself rounded away? It is {right:.3g}."
    return f"{case}: it is {right:.3g}, and you returned {got:.3g}."


def _check_moves(moves: Any) -> None:
    for dtype in DTYPES:
        for value in VALUES:
            gap = _spacing(value, dtype)
            for update in (-1e-19, 0.3 * gap, -0.2 * gap, 0.7 * gap, -0.8 * gap, 3 * gap, 0.0):
                weight = _stored(value, dtype)
                right = bool(weight + _stored(update, dtype) != weight)
                got = moves(value, update, dtype)
                if not isinstance(got, (bool, Tensor)) and not hasattr(got, "item"):
                    raise Wrong(f"moves returned {got!r}; it should be True or False.")
                if bool(got) != right:
                    raise Wrong(_why_moves(right, value, update, gap, dtype))


def _why_moves(right: bool, value: float, update: float, gap: float, dtype: torch.dtype) -> str:
    case = f"moves({value:g}, {update:.3g}, {dtype})"
    share = abs(update) / gap
    if right:
        return (
            f"{case} is True: the update is {share:.1f} spacings, more than half of one, so the "
            "sum is rounded to another number. You returned False."
        )
    if value + update != value:
        return (
            f"{case} is False: the update is {share:.2g} spacings, and the sum is rounded back to "
            "the weight. You returned True; Python's floats, which are float64, would move. Make "
            "both numbers tensors of this dtype, and then add."
        )
    return (
        f"{case} is False: the update is not zero, but the sum is rounded back to the weight. "
        "Compare the sum with the weight, not the update with zero."
    )


def _check_needed(needed: Any) -> None:
    for dtype in DTYPES:
        for value in (0.1, 1.5, 0.02):
            got = number(needed(value, RATE, dtype), "needed_gradient")
            right = _spacing(value, dtype) / 2 / RATE
            # The very boundary is a tie, which rounding decides either way.
            if not 0.98 * right <= got <= 1.02 * right:
                raise Wrong(_why_needed(got, right, value, dtype))


def _why_needed(got: float, right: float, value: float, dtype: torch.dtype) -> str:
    case = f"needed_gradient({value:g}, {RATE:g}, {dtype})"
    if _close(got, 2 * right):
        return (
            f"{case}: you asked for a whole spacing. Rounding is to the nearest number, so half a "
            f"spacing is enough: {right:.3g}."
        )
    if _close(got, right * RATE):
        return (
            f"{case}: that is the step that is needed. The step is learning_rate * gradient, so "
            f"the gradient is the step divided by the learning rate: {right:.3g}."
        )
    if _close(got, right * RATE * RATE) or _close(got, 2 * right * RATE * RATE):
        return f"{case}: divide by the learning rate, do not multiply; it is {right:.3g}."
    if got < 0:
        return f"{case}: the size of a gradient is not negative; it is {right:.3g}."
    return f"{case}: it is {right:.3g}, and you returned {got:.3g}."


def picture(answer: ModuleType) -> Picture:
    """Draw what the learner computed, beside the gradient that the early layer has."""
    names = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32,
             "float64": torch.float64}  # fmt: skip
    rows = {name: float(answer.needed_gradient(0.1, RATE, dtype)) for name, dtype in names.items()}
    return bars(
        "How large a gradient must be to move a weight of 0.1, beside the one it gets.",
        {**rows, "it gets": 1e-15}, y_name="gradient, at a learning rate of 1e-4 (log scale)",
        log=True,
    )  # fmt: skip
