"""Skips that start closed, skips that are taken away again, and who trains the new network."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import skipway
from skipway import Plan, Rewiring, rewire
from skipway._errors import RewireError
from zoo import ZOO, DeepBranches, Exhibit, Plain

each_way = pytest.mark.parametrize("how", ["add", "cat", "dense"])
DEEP = {
    "plain", "shared layer", "recurrent", "with gradients", "blocks, narrowing",
    "data-dependent, deep", "checkpointed, deep", "keywords and dropout, deep", "narrowing",
    "in-place relu, deep",
}  # fmt: skip
each_deep = pytest.mark.parametrize(
    "exhibit", [e for e in ZOO if e.name in DEEP], ids=lambda exhibit: exhibit.name
)


def _run(model: nn.Module | None, inputs: Any) -> Tensor:
    assert model is not None
    torch.manual_seed(7)  # for dropout
    output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    return next(iter(output.values())) if isinstance(output, dict) else output


def _bits(tensor: Tensor) -> list[int]:
    return tensor.detach().contiguous().view(torch.int32).flatten().tolist()


@each_deep
@each_way
@pytest.mark.parametrize("training", [True, False])
def test_closed_skips_leave_every_bit(exhibit: Exhibit, how: Any, training: bool) -> None:
    net, inputs = exhibit.build().train(training), exhibit.inputs()
    model = rewire(net, inputs, how=how, preserve=True).model
    assert _bits(_run(model, inputs)) == _bits(_run(net, inputs))


@each_way
def test_closed_skips_open_when_trained(how: Any) -> None:
    net, x = Plain(), torch.randn(16, 4)
    rewiring = rewire(net, x, how=how, preserve=True)
    model = rewiring.model
    assert model is not None
    new = rewiring.new_parameters()
    assert all(not parameter.any() for parameter in new)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(16) % 3).backward()
        optimizer.step()
    assert all(parameter.any() for parameter in new)


def test_a_plan_made_before_can_be_applied_closed() -> None:
    net, x = Plain(), torch.randn(3, 4)
    plan = rewire(net, x, how="cat").plan
    closed = rewire(net, x, plan=plan, preserve=True)
    assert all(skip.gate for skip in closed.plan.skips)
    assert not any(skip.gate for skip in plan.skips)
    again = rewire(Plain(), x, plan=Plan.from_dict(closed.plan.to_dict()))
    assert again.plan == closed.plan


def test_infinite_numbers_on_a_tap_are_told() -> None:
    class Infinite(Plain):
        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x).masked_fill(x.new_ones(8) > 0, float("inf"))
            x = 1 / self.hidden[0](x.masked_fill(x > 0, 1e30))
            for layer in self.hidden[1:]:
                x = layer(torch.relu(x))
            return self.head(torch.relu(x))

    net = Infinite()
    with torch.no_grad():
        net.stem.bias.fill_(float("inf"))
    with pytest.raises(RewireError, match="zero times these is not zero"):
        rewire(net, torch.randn(2, 4), preserve=True)


@each_deep
@each_way
def test_without_its_skips_it_is_the_plain_network_again(exhibit: Exhibit, how: Any) -> None:
    net, inputs = exhibit.build(), exhibit.inputs()
    rewiring = rewire(net, inputs, how=how)
    plain = rewiring.plain()
    assert type(plain) is type(net)
    assert list(plain.state_dict()) == list(net.state_dict())
    assert _bits(_run(plain, inputs)) == _bits(_run(net, inputs))
    hooks = sum(len(m._forward_hooks) for m in plain.modules())
    assert hooks == sum(len(m._forward_hooks) for m in net.modules())


@each_way
@pytest.mark.parametrize("kind", [Plain, DeepBranches], ids=["by source", "by hooks"])
def test_the_plain_network_has_the_trained_weights(how: Any, kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(3, 4)
    rewiring = rewire(net, x, how=how)
    assert rewiring.model is not None
    with torch.no_grad():
        for parameter in rewiring.model.parameters():
            parameter.mul_(1.5)
    expected = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in expected.parameters():
            parameter.mul_(1.5)
    torch.testing.assert_close(rewiring.plain()(x), expected(x), rtol=0, atol=0)


@each_way
@pytest.mark.parametrize("kind", [Plain, DeepBranches], ids=["by source", "by hooks"])
def test_new_parameters_are_all_that_the_plain_network_has_not(how: Any, kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(3, 4)
    rewiring = rewire(net, x, how=how)
    assert rewiring.model is not None
    known = dict(net.named_parameters())
    expected = {id(p) for n, p in rewiring.model.named_parameters() if n not in known}
    assert {id(parameter) for parameter in rewiring.new_parameters()} == expected
    assert bool(expected) == (how != "add")


def _checked(rewiring: Rewiring, parameters: Any) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fine = rewiring.check_optimizer(torch.optim.SGD(parameters, 0.1))
    assert fine == (not caught)
    return str(caught[0].message) if caught else ""


def test_an_optimizer_of_another_network_is_told() -> None:
    net, x = Plain(), torch.randn(3, 4)
    rewiring = rewire(net, x, how="cat")
    assert rewiring.model is not None
    mine = dict(rewiring.model.named_parameters())
    assert _checked(rewiring, mine.values()) == ""
    assert "none of the rewired network's 19 parameters" in _checked(rewiring, net.parameters())
    old = [mine[name] for name, _ in net.named_parameters()]
    assert "none of what the skips added" in _checked(rewiring, old)
    assert "holds 1 of the rewired network's 19" in _checked(rewiring, old[:1])
    mine["stem.weight"].requires_grad_(False)
    rest = [parameter for name, parameter in mine.items() if name != "stem.weight"]
    assert _checked(rewiring, rest) == ""


def test_data_alone_says_what_is_missing() -> None:
    rewiring = Rewiring.from_dict(rewire(Plain(), torch.randn(3, 4)).to_dict())
    with pytest.raises(RewireError, match="Apply its plan"):
        rewiring.plain()


def test_the_gate_is_in_the_source() -> None:
    source = rewire(Plain(depth=6), torch.randn(2, 4), preserve=True).source()
    assert "self.gates = nn.ModuleList(skipway.nn.ReZero() for _ in range(3))" in source
    assert "x = self.gates[i](skip) + x" in source
    assert skipway.nn.ReZero().weight == 0
