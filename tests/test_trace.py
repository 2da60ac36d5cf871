"""The observed trace: what it sees, what it leaves alone."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipway._errors import ModelError
from skipway._trace import chains, observe, read_skips, record, untouched
from snapshot import snapshot
from zoo import ZOO, Exhibit, Plain, Recurrent, Residual


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_observe_finds_every_weight_layer(exhibit: Exhibit) -> None:
    graph = observe(exhibit.build(), exhibit.inputs())
    names = [unit.name for unit in graph.units]
    assert len(names) == exhibit.weight_layers, names
    assert len(set(names)) == len(names)
    assert graph.outputs
    assert all(source < node.index for node in graph.nodes for source in node.inputs)


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_every_layer_leads_to_the_output(exhibit: Exhibit) -> None:
    graph = observe(exhibit.build(), exhibit.inputs())
    for unit in graph.units:
        ends = graph.outputs
        assert unit.node in ends or any(graph.feeds(unit.node, end) for end in ends), unit.name


def test_ancestors_agree_with_a_walk() -> None:
    graph = observe(nn.Sequential(Residual(), nn.Linear(3, 3)), torch.randn(2, 4))

    def walk(index: int) -> set[int]:
        return {s for source in graph.nodes[index].inputs for s in {source, *walk(source)}}

    for node in graph.nodes:
        found = {i for i in range(len(graph.nodes)) if graph.feeds(i, node.index)}
        assert found == walk(node.index)


def test_chain_of_a_plain_net_is_the_whole_net() -> None:
    (chain,) = chains(observe(Plain(depth=3), torch.randn(2, 4)))
    assert [unit.name for unit in chain] == ["stem", "hidden.0", "hidden.1", "hidden.2", "head"]


def test_a_skip_breaks_the_chain() -> None:
    (chain,) = chains(observe(Residual(), torch.randn(2, 4)))
    assert [unit.name for unit in chain] == ["a", "b"]


def test_a_recurrent_net_is_a_chain_through_time() -> None:
    (chain,) = chains(observe(Recurrent(steps=4), torch.randn(2, 4, 3)))
    assert [unit.name for unit in chain] == [*(f"hidden#{t}" for t in range(4)), "head"]


class Kinds(nn.Module):
    """One of each: identity, projection, parallel, concatenation, merge."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("a", "b", "c", "d", "e", "f", "g", "h", "i"):
            self.add_module(name, nn.Linear(4, 4))
        self.last = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.a(x)) + x
        x = self.c(F.relu(self.b(x))) + self.d(x)
        x = self.e(x) + self.f(x)
        x = x + self.g(y)
        return self.last(torch.cat([x, self.i(F.relu(self.h(x)))], dim=1))


def test_every_kind_of_skip_is_told_apart() -> None:
    found = read_skips(observe(Kinds(), (torch.randn(2, 4), torch.randn(2, 4))))
    assert [(skip.kind, skip.branch) for skip in found] == [
        ("identity", ("a",)),
        ("projection", ("b", "c")),
        ("parallel", ("e", "f")),
        ("merge", found[3].branch),
        ("concatenation", ("h", "i")),
    ]


def test_a_skip_in_place_is_seen() -> None:
    (skip,) = read_skips(observe(Residual(), torch.randn(2, 4)))
    assert (skip.kind, skip.source, skip.branch) == ("identity", "stem", ("a", "b"))


def test_failure_names_the_layer_the_shapes_and_the_reason() -> None:
    with pytest.raises(ModelError, match=r"`stem` \(Linear\): .*mat1 and mat2.*float32 \[2, 7\]"):
        observe(Plain(), torch.randn(2, 7))


def test_hooks_are_gone_after_a_failure() -> None:
    model, wrong = Plain(), torch.randn(2, 7)
    before = snapshot(model)
    with pytest.raises(ModelError):
        observe(model, wrong)
    assert snapshot(model) == before


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_untouched_restores_what_a_run_changes(exhibit: Exhibit) -> None:
    model, inputs = exhibit.build(), exhibit.inputs()
    before = snapshot(model)
    with contextlib.suppress(ZeroDivisionError), untouched(model):
        model.train(not model.training)
        model.requires_grad_(False)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        exhibit.objective(model, inputs)
        raise ZeroDivisionError
    assert snapshot(model) == before


def test_recording_does_not_change_the_numbers() -> None:
    for exhibit in ZOO:
        model, inputs = exhibit.build(), exhibit.inputs()
        torch.manual_seed(1)
        with untouched(model):
            plain = exhibit.objective(model, inputs)
        torch.manual_seed(1)
        with untouched(model):
            _, seen = record(model, lambda e=exhibit, m=model, i=inputs: e.objective(m, i))
        assert torch.equal(plain, seen), exhibit.name


def test_compiled_model_is_seen_eagerly() -> None:
    model = torch.compile(Plain(depth=2), backend="eager")
    model(torch.randn(2, 4))
    graph = observe(model, torch.randn(2, 4))
    assert [unit.name for unit in graph.units] == ["stem", "hidden.0", "hidden.1", "head"]


def test_visit_sees_a_tensor_before_it_is_changed_in_place() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    lowest: list[float] = []

    def visit(index: int, op: str, tensor: torch.Tensor, module: str, arguments: object) -> None:
        lowest.append(float(tensor.detach().min()))

    record(model, lambda: model(torch.randn(64, 4)), visit=visit)
    assert lowest[1] < 0 <= lowest[2]


class _Noting(nn.Module):
    """Counts in a tensor that is no buffer, in an array, and in containers of containers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.average = torch.zeros(3)
        self.counts = np.zeros(2)
        self.stats: dict[str, Any] = {"means": [], "by expert": {0: [0]}, "latest": deque(maxlen=2)}
        self.pair = ([], torch.zeros(()))
        self.stats["itself"] = self.stats

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        self.average.mul_(0.9).add_(y.detach().mean(0))
        self.counts += 1
        self.stats["means"].append(1)
        self.stats["by expert"][0][0] += 1
        self.stats["by expert"][1] = []
        self.stats["latest"].append(y)
        self.pair[0].append(y)
        self.pair[1].add_(1)
        return y


def test_what_forward_notes_down_is_as_before() -> None:
    model = _Noting()
    model.stats["latest"].append("before")
    with torch.no_grad():
        model.average.copy_(torch.tensor([float("nan"), -0.0, 1.0]))
    stats, average = model.stats, model.average
    with untouched(model):
        model(torch.ones(2, 4))
        assert model.stats["means"]
    assert model.stats is stats
    assert model.average is average
    assert str(average) == "tensor([nan, -0., 1.])"
    assert model.counts.tolist() == [0, 0]
    assert stats["means"] == []
    assert stats["by expert"] == {0: [0]}
    assert list(stats["latest"]) == ["before"]
    assert model.pair[0] == []
    assert model.pair[1] == 0
