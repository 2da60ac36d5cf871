"""The loss of the best constant output: what a network gets that looks at nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from .._case import Loss
from .._trace._alter import replaced
from .._trace._calls import tensors

_LARGE = 1_000_000  # numbers in the output above which the constant is not refined


def best_constant_loss(loss_fn: Loss, output: Any, targets: Any) -> float | None:
    """Return the lowest loss that one output for all samples can get on these targets.

    For classes that is the entropy of the labels, for a squared error the variance of the
    targets, times whatever factor the loss has. It is found through the loss itself: good
    guesses first, then refined by L-BFGS.

    Of an output of several tensors (a tuple, a dict) it is asked which one the loss reads.

    Returns:
        `None` where the loss reads several tensors of the output, the targets are no tensor, or no
        guess fits the loss.
    """
    if isinstance(output, (tuple, list, Mapping)):
        read = _read_by(loss_fn, output, targets)
        if read is None:
            return None

        def of_one(guess: Tensor, targets: Any) -> Tensor:
            return loss_fn(replaced(output, {id(read): guess}), targets)

        return best_constant_loss(of_one, read, targets)
    if not isinstance(output, Tensor) or not isinstance(targets, Tensor) or output.dim() == 0:
        return None
    output = output.detach()
    best, start = math.inf, None
    for guess in _guesses(output.float(), targets):
        value = _value(loss_fn, guess.to(output.dtype), output, targets)
        if value < best:
            best, start = value, guess
    if start is None:
        return None
    if output.numel() <= _LARGE:
        best = min(best, _refined(loss_fn, start, output, targets))
    return best


def _read_by(loss_fn: Loss, output: Any, targets: Any) -> Tensor | None:
    """Return the one tensor of an output that the loss depends on, if it is one."""
    found = [each for each in tensors(output) if each.is_floating_point()]
    copies = [each.detach().clone().requires_grad_() for each in found]
    swap = {id(own): each for own, each in zip(found, copies, strict=True)}
    try:
        with torch.enable_grad():
            loss = loss_fn(replaced(output, swap), targets)
            slopes = torch.autograd.grad(loss, copies, allow_unused=True)
    except Exception:
        # An output of a kind of its own, or a loss without a slope: there is nothing to guess.
        return None
    read = [own for own, slope in zip(found, slopes, strict=True) if slope is not None]
    return read[0] if len(read) == 1 else None


def _guesses(output: Tensor, targets: Tensor) -> Iterator[Tensor]:
    """Yield constants, each with the shape of one sample's output."""
    shape = output.shape[1:]
    yield output.new_zeros(shape)
    if targets.is_floating_point():
        if targets.shape == output.shape:
            mean = targets.float().mean(0)
            yield mean
            yield torch.logit(mean.clamp(1e-6, 1 - 1e-6))
        return
    for dim in {1, output.dim() - 1} if output.dim() > 1 else set():
        classes = output.shape[dim]
        if int(targets.min()) >= -100 and int(targets.max()) < classes:
            seen = targets[targets >= 0].reshape(-1)
            share = torch.bincount(seen, minlength=classes).float() / max(len(seen), 1)
            room = [classes if d == dim - 1 else 1 for d in range(len(shape))]
            yield share.clamp_min(1e-6).log().reshape(room).expand(shape)


def _value(loss_fn: Loss, constant: Tensor, output: Tensor, targets: Tensor) -> float:
    try:
        with torch.no_grad():
            value = float(loss_fn(constant.expand(output.shape).contiguous(), targets))
    except Exception:
        # A guess that does not fit this loss (a class index too many, say) is only left out.
        return math.inf
    return value if math.isfinite(value) else math.inf


def _refined(loss_fn: Loss, start: Tensor, output: Tensor, targets: Tensor) -> float:
    constant = start.detach().float().clone().requires_grad_()
    search = torch.optim.LBFGS([constant], max_iter=20, line_search_fn="strong_wolfe")
    best = math.inf

    def closure() -> Tensor:
        nonlocal best
        search.zero_grad()
        value = loss_fn(constant.to(output.dtype).expand(output.shape), targets)
        if math.isfinite(value.item()):
            best = min(best, value.item())
        (constant.grad,) = torch.autograd.grad(value, [constant])
        return value

    try:
        with torch.enable_grad():
            search.step(closure)  # type: ignore[no-untyped-call]
    except Exception:
        # Not every loss can be differentiated in this way; the best guess stands.
        return best
    return best
