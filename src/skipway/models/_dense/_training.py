"""The dense block in training mode as one differentiable function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._first_derivative import first_derivative_only
from ._backward import Pass, backward_layers, project
from ._forward import Features, forward
from ._matrix import Workspace, new_image, to_image
from ._plan import Plan
from ._tail import backward_tail, forward_tail


def train(plan: Plan, x: Tensor, *, lean: bool) -> Tensor:
    """Return what the block and its tail make of `x`, and update their running statistics.

    Args:
        plan: of the block.
        x: its input.
        lean: whether the bottlenecks are computed again in the backward, not kept for it.
    """
    out: Tensor = _DenseBlock.apply(  # type: ignore[no-untyped-call]
        plan, lean or not plan.needs_gradient, x, *plan.parameters()
    )
    return out


class _DenseBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, lean: bool, x: Tensor, *given: Tensor) -> Tensor:
        parameters = list(given)
        raw = new_image(x, plan.batch, plan.width, plan.sizes) if plan.tail is None else None
        features = forward(plan, x, parameters, keep=not lean, raw=raw)
        ctx.plan = plan
        ctx.kept, ctx.statistics = tuple(features.bottlenecks), len(features.statistics)
        ctx.save_for_backward(
            features.normalised,
            features.inverse,
            *features.bottlenecks.values(),
            *features.statistics,
            *parameters,
        )
        return raw if raw is not None else _read_by_tail(plan, features, parameters)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first_derivative_only("The fast path of a dense block")
        work, parameters = _restore(ctx, gradient)
        plan: Plan = ctx.plan
        needs = list(ctx.needs_input_grad[3:])
        tail = 0 if plan.tail is None else 2 + (plan.tail.convolution is not None)
        end = len(parameters) - tail
        dtail = backward_tail(work, parameters[end:], needs[end:], gradient)
        dlayers = backward_layers(work, parameters, needs)
        dx = None
        if ctx.needs_input_grad[2]:
            rows = gradient.new_empty(plan.rows, plan.given.stop - plan.given.start)
            dx = to_image(project(work, plan.given, rows), plan.batch, plan.sizes)
        return (None, None, dx, *dlayers, *dtail)


def _read_by_tail(plan: Plan, features: Features, parameters: list[Tensor]) -> Tensor:
    count = 2 + (plan.tail is not None and plan.tail.convolution is not None)
    own = parameters[len(parameters) - count :]
    return forward_tail(plan, features.normalised, own, Workspace(features.normalised))


def _restore(ctx: Any, gradient: Tensor) -> tuple[Pass, list[Tensor]]:
    """Take what the forward has saved; nothing of it is changed, so it may run twice."""
    normalised, inverse, *rest = ctx.saved_tensors
    kept, end = len(ctx.kept), len(ctx.kept) + ctx.statistics
    none = inverse.new_empty(0)
    features = Features(normalised, none, none, inverse)
    features.bottlenecks = dict(zip(ctx.kept, rest[:kept], strict=True))
    features.statistics = rest[kept:end]
    work = Pass(ctx.plan, features, torch.empty_like(normalised), Workspace(gradient))
    return work, rest[end:]
