"""What a diagnosis costs: linear in depth, counted in instructions and never in seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from effort import growth, instructions
from skipway import diagnose
from skipway._trace import chains, observe, read_skips
from skipway._trace._crossing import crossings, joins
from skipway._trace._numbers_at import moved, norm


class Chain(nn.Sequential):
    def __init__(self, depth: int) -> None:
        super().__init__(*(m for _ in range(depth) for m in (nn.Linear(8, 8), nn.ReLU())))


class Stream(nn.Module):
    """`depth` layers in blocks of two; each block is read beside its sum."""

    def __init__(self, depth: int, swapped: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.swapped = swapped

    def forward(self, x: Tensor) -> Tensor:
        for first, second in zip(self.layers[::2], self.layers[1::2], strict=True):
            # A call between the layer and the sum: what a walk back meets first is no layer.
            branch = torch.tanh(second(torch.relu(first(x))))
            x = branch + x if self.swapped else x + branch
        return x


class Loop(nn.Module):
    """A recurrence over `depth` steps."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.read, self.hidden = nn.Linear(3, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 8)
        for step in range(self.depth):
            h = torch.tanh(self.read(x[:, step]) + self.hidden(h))
        return h


NETWORKS: dict[str, Callable[[int], tuple[nn.Module, Tensor]]] = {
    "plain": lambda depth: (Chain(depth), torch.randn(4, 8)),
    "residual": lambda depth: (Stream(depth), torch.randn(4, 8)),
    "residual, swapped": lambda depth: (Stream(depth, swapped=True), torch.randn(4, 8)),
    "recurrent": lambda depth: (Loop(depth), torch.randn(4, depth, 3)),
}


def read(graph) -> None:
    chains(graph)
    read_skips(graph)
    crossings(graph)
    joins(graph)
    assert graph.read_on
    assert graph.used


@pytest.mark.parametrize("name", NETWORKS)
def test_reading_a_graph_is_linear_in_depth(name):
    def run(depth: int) -> Callable[[], object]:
        graph = observe(*NETWORKS[name](depth))
        return lambda: read(graph)

    assert growth(run, 24) < 2.2


@pytest.mark.parametrize("name", NETWORKS)
def test_a_diagnosis_is_linear_in_depth(name):
    def run(depth: int) -> Callable[[], object]:
        model, inputs = NETWORKS[name](depth)
        batch = inputs, torch.arange(len(inputs)) % 8
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        return lambda: diagnose(model, batch, F.cross_entropy, optimizer=optimizer, steps=0)

    assert growth(run, 12) < 2.2


def test_the_count_sees_a_loop_in_a_loop():
    def run(depth: int) -> Callable[[], object]:
        graph = observe(*NETWORKS["plain"](depth))
        return lambda: [chains(graph) for _ in range(depth)]

    assert growth(run, 6) > 3.5


def test_a_pass_is_one_forward_and_one_backward():
    model, (calls, passed) = Chain(3), ([], [])
    model[0].register_forward_hook(lambda *_: calls.append(1))
    model[0].weight.register_hook(lambda _: passed.append(1))
    batch = torch.randn(4, 8), torch.arange(4)
    diagnose(model, batch, F.cross_entropy)
    assert (len(calls), len(passed)) == (1, 1)
    assert instructions(lambda: None) == 0


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_sums_piece_by_piece_are_those_of_float64(kind):
    torch.manual_seed(0)
    old = torch.randn(3, 70_001).to(kind)
    new = (old.double() + 1e-3 * torch.randn(3, 70_001).double()).to(kind)
    slope = torch.randn(3, 70_001).to(kind)
    way = new.double() - old.double()
    size, product = moved(old, new, slope)
    assert float(size) == pytest.approx(float(way.norm()), rel=1e-12)
    assert float(product) == pytest.approx(float((way * slope.double()).sum()), rel=1e-9)
    assert float(moved(old, new, None)[0]) == float(size)
    assert float(norm(old)) == pytest.approx(float(old.double().norm()), rel=1e-12)
    assert float(norm(old.t())) == pytest.approx(float(old.double().norm()), rel=1e-12)
    tiny = 1e-30 * torch.ones(200_000)  # its squares are 0 in float32
    assert float(norm(tiny)) == pytest.approx(float(tiny[0]) * 200_000**0.5, rel=1e-9)
