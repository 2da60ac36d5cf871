"""A reversible stack: the ordinary stack's numbers, from the memory of one state."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

from skipway import nn as sn
from skipway._errors import SkipError

WIDTH = 16


def _stack(
    block: object = None, depth: int = 6, *, recompute: bool = True, dim: int = -1
) -> sn.Stack:
    torch.manual_seed(3)
    make = block or (lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()))
    return sn.Stack(
        [make() for _ in range(depth)],  # type: ignore[operator]
        rule=sn.Reversible(dim=dim, recompute=recompute),
    )


def _gradients(stack: nn.Module, x: Tensor, *context: object) -> list[Tensor]:
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    stack.zero_grad()
    output = stack(x, *context)
    output.square().sum().backward()
    return [output.detach(), x.grad, *(p.grad for p in stack.parameters())]  # type: ignore[list-item]


def _saved_bytes(stack: nn.Module, x: Tensor) -> int:
    """Return the bytes that autograd keeps for backward, each storage once, parameters apart."""
    own = {p.untyped_storage().data_ptr() for p in stack.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = stack(x)
    total = sum(kept.values())
    output.sum().backward()
    return total


@pytest.mark.parametrize("depth", [2, 6, 40])
def test_the_numbers_are_those_of_the_ordinary_stack(depth: int) -> None:
    x = torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    expected = _gradients(_stack(depth=depth, recompute=False).double(), x)
    got = _gradients(_stack(depth=depth).double(), x)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_memory_does_not_grow_with_depth() -> None:
    x = torch.randn(64, 2 * WIDTH, requires_grad=True)
    saved = [_saved_bytes(_stack(depth=depth), x) for depth in (10, 100, 1000)]
    assert max(saved) <= 1.1 * min(saved)
    # Two halves of the last state: that is all there is.
    assert saved[0] == 64 * 2 * WIDTH * 4
    ordinary = [_saved_bytes(_stack(depth=depth, recompute=False), x) for depth in (10, 100)]
    assert ordinary[1] > 9 * ordinary[0]


def test_dropout_is_drawn_again_as_it_was() -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5), nn.Tanh())

    x = torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    expected = _gradients(_stack(block, recompute=False).double(), x)
    after = torch.get_rng_state()
    got = _gradients(_stack(block).double(), x)
    assert torch.equal(torch.get_rng_state(), after), "backward draws nothing of its own"
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_are_updated_once(training: bool) -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())

    x = torch.randn(5, 8, 6, 6, dtype=torch.float64)
    ordinary = _stack(block, recompute=False, dim=1).double().train(training)
    reversible = _stack(block, dim=1).double().train(training)
    for a, b in zip(_gradients(reversible, x), _gradients(ordinary, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    for (name, a), b in zip(reversible.named_buffers(), ordinary.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    assert ordinary.blocks[0][1].num_batches_tracked == int(training)


class _Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, by: Tensor, sign: int) -> Tensor:
        return sign * torch.tanh(self.layer(x)) * by


def test_context_reaches_every_block_and_gets_its_gradient() -> None:
    x = torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    results = []
    for recompute in (False, True):
        by = torch.full((WIDTH,), 0.5, dtype=torch.float64, requires_grad=True)
        gradients = _gradients(_stack(_Scaled, recompute=recompute).double(), x, by, -1)
        results.append([*gradients, by.grad])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_block_used_twice_gets_both_gradients() -> None:
    x = torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    results = []
    for recompute in (False, True):
        torch.manual_seed(3)
        block = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        rule = sn.Reversible(dim=-1, recompute=recompute)
        results.append(_gradients(sn.Stack([block] * 4, rule).double(), x))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_frozen_block_is_passed_through() -> None:
    x = torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    stacks = [_stack(recompute=recompute).double() for recompute in (False, True)]
    grads = []
    for stack in stacks:
        stack.blocks[2].requires_grad_(False)
        grads.append(_gradients(stack, x))
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_backward_inside_autocast_reaches_the_weights() -> None:
    x = torch.randn(5, 2 * WIDTH)
    stack = _stack()
    with torch.autocast("cpu", torch.bfloat16):
        got = _gradients(stack, x)
    with torch.autocast("cpu", torch.bfloat16):
        expected = _gradients(_stack(recompute=False), x)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() <= 0.02 * b.norm()


def test_backward_may_run_twice_and_in_another_thread() -> None:
    stack, x = _stack().double(), torch.randn(5, 2 * WIDTH, dtype=torch.float64)
    expected = _gradients(stack, x)[2:]
    stack.zero_grad()
    loss = stack(x).square().sum()
    loss.backward(retain_graph=True)
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()
    for parameter, gradient in zip(stack.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_a_weight_changed_before_backward_is_noticed() -> None:
    stack = _stack()
    loss = stack(torch.randn(5, 2 * WIDTH)).sum()
    with torch.no_grad():
        stack.blocks[3][0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_second_derivatives_are_refused() -> None:
    x = torch.randn(5, 2 * WIDTH, requires_grad=True)
    (gradient,) = torch.autograd.grad(_stack()(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_what_cannot_be_halved_is_refused() -> None:
    with pytest.raises(SkipError, match=r"pairs.*3 is odd"):
        _stack(depth=3)
    with pytest.raises(SkipError, match=r"halves dim -1.*\(5, 7\)"):
        _stack()(torch.randn(5, 7))
