"""Dominators against their definition, and what is in series with what."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from skipway._trace import Graph, Node, Unit, observe, series
from skipway._trace._dominators import ROOT, Dominators
from zoo import Plain, Recurrent, Residual, UNet


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random weight layers, each of which reads earlier ones; one input, one output."""
    count = draw(st.integers(2, 14))
    nodes = [Node(0, "input")]
    for index in range(1, count):
        earlier = st.integers(max(0, index - 4), index - 1)
        sources = draw(st.lists(earlier, min_size=1, max_size=3, unique=True))
        nodes.append(Node(index, "linear", inputs=tuple(sources)))
    units = tuple(Unit(str(i), i, "", 0, "", ("weight",)) for i in range(count))
    return Graph(tuple(nodes), units, (count - 1,))


def _without(graph: Graph, removed: int) -> set[int]:
    """The calls that the input still reaches when one is taken away."""
    reached = {0} - {removed}
    for node in graph.nodes[1:]:
        if node.index != removed and reached & set(node.inputs):
            reached.add(node.index)
    return reached


def _chain(nearest: tuple[int, ...], node: int) -> set[int]:
    found = set()
    while (node := nearest[node]) != ROOT:
        found.add(node)
    return found


@given(graphs())
def test_dominators_are_what_every_way_has_passed(graph: Graph) -> None:
    found = Dominators(graph)
    count = len(graph.nodes)
    for node in range(count):
        passed = {a for a in range(count) if a != node and node not in _without(graph, a)}
        assert _chain(found.before, node) == passed


@given(graphs())
def test_post_dominators_are_what_every_way_on_passes(graph: Graph) -> None:
    found = Dominators(graph)
    end = len(graph.nodes) - 1
    for node in graph.used:
        later = set()
        for each in range(node + 1, end + 1):
            ways = {node}
            for other in graph.nodes[node + 1 :]:
                if other.index != each and ways & set(other.inputs):
                    ways.add(other.index)
            if end not in ways and node != end:
                later.add(each)
        # The end itself is passed by every way; it counts as one that ends there.
        assert _chain(found.after, node) == later


@given(graphs())
def test_every_call_that_counts_is_in_one_series(graph: Graph) -> None:
    runs = [[stage.node for stage in run] for run in series(graph)]
    assert sorted(node for run in runs for node in run) == sorted(graph.used)


def _layers(net: torch.nn.Module, x: torch.Tensor) -> list[list[str]]:
    graph = observe(net, x)
    found = []
    for run in series(graph):
        names = [unit.name for stage in run if (unit := graph.unit_at(stage.node)) is not None]
        found.append(names)
    return [names for names in found if names]


def test_layers_of_a_plain_net_are_one_series() -> None:
    assert _layers(Plain(2), torch.randn(2, 4)) == [["stem", "hidden.0", "hidden.1", "head"]]


def test_the_new_input_of_a_step_comes_from_the_side() -> None:
    found = _layers(Recurrent(2), torch.randn(2, 2, 3))
    assert found == [["hidden#0", "hidden#1", "head"], ["input#0"], ["input#1"]]


def test_a_branch_is_a_series_of_its_own_and_its_skip_is_seen() -> None:
    net, x = Residual(), torch.randn(2, 4)
    assert _layers(net, x) == [["stem", "head"], ["a", "b"]]
    skipped = [(stage.layers, stage.skipped) for stage in series(observe(net, x))[0]]
    assert skipped == [(0, False), (1, False), (2, True), (1, False)]
    long = [stage.skipped for stage in series(observe(UNet(), torch.randn(1, 1, 8, 8)))[0]]
    assert long == [False, False, False, True, False]


class Excited(torch.nn.Module):
    """An inverted residual: three layers in series, and a gate of two."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.middle, self.down = (torch.nn.Linear(4, 4) for _ in range(3))
        self.squeeze, self.excite = torch.nn.Linear(4, 2), torch.nn.Linear(2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.middle(torch.relu(self.up(x)))
        y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(y))))
        return x + self.down(y)


def test_a_gate_is_no_layer_of_the_stream() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), Excited(), torch.nn.Linear(4, 2))
    stages = series(observe(net, torch.randn(2, 4)))[0]
    assert [(stage.layers, stage.skipped) for stage in stages] == [
        (0, False), (1, False), (3, True), (1, False)
    ]  # fmt: skip
