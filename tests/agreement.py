"""Hold a block to a slow, literal transcription of its formula: the output and every gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True)
class Layout:
    """The shape of a tensor, and the axis of its features: -1, or 1 with positions behind it."""

    shape: tuple[int, ...]
    dim: int

    @property
    def features(self) -> int:
        return self.shape[self.dim]

    @property
    def dims(self) -> int:
        return 0 if self.dim == -1 else len(self.shape) - 2

    def input(self) -> Tensor:
        return torch.randn(self.shape, dtype=torch.float64)

    def branch(self, before: int | None = None, after: int | None = None) -> nn.Module:
        """Smooth, not linear, and no two positions alike where there are positions."""
        before, after = before or self.features, after or self.features
        if not self.dims:
            return nn.Sequential(nn.Linear(before, after), nn.Tanh()).double()
        layer = CONVOLUTIONS[self.dims](before, after, 3, padding=1)
        return nn.Sequential(layer, nn.Tanh()).double()

    def branches(self, depth: int) -> list[nn.Module]:
        return [self.branch() for _ in range(depth)]


@st.composite
def layouts(draw: st.DrawFn, *, even: bool = False) -> Layout:
    """One of `(batch, d)`, `(batch, length, d)` and `(batch, channels, *positions)`; seeded."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    batch, features = draw(st.integers(1, 3)), draw(st.integers(1, 4)) * (2 if even else 1)
    positions = draw(st.lists(st.integers(1, 3), max_size=3))
    if len(positions) < 2 and draw(st.booleans()):
        return Layout((batch, *positions, features), -1)
    return Layout((batch, features, *(positions or [2])), 1)


def random_(module: nn.Module, std: float = 0.5) -> nn.Module:
    """Take a block away from its start, where zeros and identities hide faults."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)
    return module


def agree(
    block: Callable[..., Tensor],
    literal: Callable[..., Tensor],
    *inputs: Tensor,
    parameters_of: nn.Module | None = None,
) -> None:
    """Compare the outputs, and the gradients by every input and every parameter of the block.

    A parameter that the block's output does not depend on is an error of its own. Where the
    block is a function, `parameters_of` says whose parameters are meant.
    """
    inputs = tuple(x.detach().clone().requires_grad_() for x in inputs)
    copies = [x.detach().clone() for x in inputs]
    owner = block if isinstance(block, nn.Module) else parameters_of
    leaves = [*inputs, *(owner.parameters() if owner else ())]
    actual, expected = block(*inputs), literal(*inputs)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(actual, expected, **close)
    weights = torch.randn_like(expected)
    got = torch.autograd.grad(actual, leaves, weights)
    wanted = torch.autograd.grad(expected, leaves, weights, materialize_grads=True)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, **close)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))
