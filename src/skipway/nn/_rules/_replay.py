"""Backward through reversible blocks: every input is computed again from the output."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .._rule import same_shape

State = tuple[Tensor, Tensor]
Draws = dict[torch.device, Tensor]


def replayed(
    run: Callable[[int, Tensor, tuple[Any, ...]], Tensor],
    blocks: nn.ModuleList,
    state: State,
    context: tuple[Any, ...],
) -> State:
    """Return the state after all blocks, with a backward that saves only that.

    Args:
        run: runs block `layer` on a tensor and a context.
        blocks: the blocks, for their parameters and buffers.
        state: two tensors of one shape.
        context: further arguments of every block; gradients reach the tensors among them.
    """
    parameters = list(blocks.parameters())
    tensors = [value for value in context if isinstance(value, Tensor)]
    walk = _Walk(run, blocks, context, parameters)
    first, second = _Replay.apply(walk, *state, *parameters, *tensors)  # type: ignore[no-untyped-call]
    return first, second


@dataclass
class _Walk:
    """One walk through the blocks, and what is needed to go it backwards."""

    run: Callable[[int, Tensor, tuple[Any, ...]], Tensor]
    blocks: nn.ModuleList
    context: tuple[Any, ...]
    parameters: list[nn.Parameter]
    draws: list[Draws | None] = field(default_factory=list)
    autocast: tuple[str, torch.dtype, bool] | None = None

    def context_with(self, tensors: list[Tensor]) -> tuple[Any, ...]:
        """Return the context with these in place of its own tensors."""
        given = iter(tensors)
        return tuple(next(given) if isinstance(v, Tensor) else v for v in self.context)

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """Return a block under the autocast of the forward.

        Without its cache: a weight cast while gradients are off would be found in it again by a
        step that needs the gradient of the cast.
        """
        if self.autocast is None:
            return contextlib.nullcontext()
        device, dtype, enabled = self.autocast
        return torch.autocast(device, dtype, enabled, cache_enabled=False)

    def again(self, layer: int, h: Tensor, context: tuple[Any, ...]) -> Tensor:
        """Run a block as it ran before: same random numbers, same precision, same buffers."""
        with (
            torch.enable_grad(), self.precision(),
            _drawing(self.draws[layer]), _buffers_apart(self.blocks[layer]),
        ):  # fmt: skip
            return self.run(layer, h, context)


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, walk: _Walk, first: Tensor, second: Tensor, *rest: Tensor) -> State:
        walk.autocast = _autocast_of(first)
        with walk.precision():
            for layer in range(len(walk.blocks)):
                before = _generators(first)
                y = walk.run(layer, second, walk.context)
                walk.draws.append(before if _differ(before, _generators(first)) else None)
                first, second = second, first + same_shape(first, layer, y)
        ctx.walk = walk
        # Parameters too, so that autograd notices when one is overwritten before backward.
        ctx.save_for_backward(first, second, *rest)
        return first, second

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_first: Tensor, d_second: Tensor) -> tuple[Tensor | None, ...]:
        walk: _Walk = ctx.walk
        first, second, *rest = ctx.saved_tensors
        leaves = [t.detach().requires_grad_(t.requires_grad) for t in rest[len(walk.parameters) :]]
        context = walk.context_with(leaves)
        sums: dict[Tensor, Tensor] = {}
        for layer in reversed(range(len(walk.blocks))):
            h = first.detach().requires_grad_()
            y = walk.again(layer, h, context)
            dh = _collect(y, d_second, h, [*walk.blocks[layer].parameters(), *leaves], sums)
            first, second = second - y.detach(), first
            d_first, d_second = d_second, d_first + dh
        return None, d_first, d_second, *(sums.get(t) for t in (*walk.parameters, *leaves))


def _collect(
    y: Tensor, dy: Tensor, h: Tensor, others: list[Tensor], sums: dict[Tensor, Tensor]
) -> Tensor:
    """Return the gradient of `h`, and add those of the others to their sums."""
    wanted = [h, *(tensor for tensor in others if tensor.requires_grad)]
    if not y.requires_grad:
        return torch.zeros_like(h)
    gradients = torch.autograd.grad(y, wanted, dy.to(y.dtype), allow_unused=True)
    for tensor, gradient in zip(wanted[1:], gradients[1:], strict=True):
        if gradient is not None:
            sums[tensor] = sums[tensor] + gradient if tensor in sums else gradient
    return torch.zeros_like(h) if gradients[0] is None else gradients[0]


def _autocast_of(x: Tensor) -> tuple[str, torch.dtype, bool] | None:
    device = x.device.type
    if not torch.amp.is_autocast_available(device):
        return None
    return device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)


def _generators(x: Tensor) -> Draws:
    """Return the state of the generators that a block on the device of `x` may draw from."""
    states = {torch.device("cpu"): torch.get_rng_state()}
    if x.device.type == "cuda":
        states[x.device] = torch.cuda.get_rng_state(x.device)
    return states


def _differ(before: Draws, after: Draws) -> bool:
    return any(not torch.equal(state, after[device]) for device, state in before.items())


@contextlib.contextmanager
def _drawing(draws: Draws | None) -> Iterator[None]:
    """Draw the random numbers of these states, and go on as if nothing had been drawn."""
    if draws is None:
        yield
        return
    cuda = [device for device in draws if device.type == "cuda"]
    with torch.random.fork_rng(devices=cuda):
        for device, state in draws.items():
            if device.type == "cuda":
                torch.cuda.set_rng_state(state, device)
            else:
                torch.set_rng_state(state)
        yield


@contextlib.contextmanager
def _buffers_apart(block: nn.Module) -> Iterator[None]:
    """Let the block work on copies of its buffers: it has updated its own once already."""
    own = [
        (module, name, buffer)
        for module in block.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    for module, name, buffer in own:
        module._buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for module, name, buffer in own:
            module._buffers[name] = buffer
