"""Dense skips: every second layer reads all earlier ones of its block."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import skipway
from skipway import Plan, rewire
from skipway._errors import RewireError, SkipError
from zoo import DeepBranches, Plain


def _pairs(plan: Plan) -> set[tuple[str, str]]:
    return {(skip.source, skip.destination) for skip in plan.skips}


def _dense_by_hand(net: Plain, fuses: list[Tensor], x: Tensor) -> Tensor:
    """`Plain` in which every second hidden layer's output becomes `W [all so far]`."""
    features = [net.stem(x)]
    x = features[0]
    for number, weight in enumerate(fuses):
        y = net.hidden[2 * number](torch.relu(x))
        features.append(net.hidden[2 * number + 1](torch.relu(y)))
        x = torch.cat(features, dim=1) @ weight.T
    return net.head(torch.relu(x))


def _fuses(model: nn.Module) -> list[Tensor]:
    return [m.weight for m in model.modules() if isinstance(m, skipway.nn.DenseFuse)]


def test_every_layer_reads_all_earlier_ones() -> None:
    names = ["stem", "hidden.1", "hidden.3", "hidden.5"]
    expected = {(a, b) for at, b in enumerate(names) for a in names[:at]}
    assert _pairs(rewire(Plain(), torch.randn(2, 4), how="dense").plan) == expected


@pytest.mark.parametrize("kind", [Plain, DeepBranches], ids=["by source", "by hooks"])
def test_it_computes_what_the_dense_net_by_hand_does(kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(5, 4)
    model = rewire(net, x, how="dense").model
    assert model is not None
    with torch.no_grad():
        for weight in _fuses(model):
            weight.normal_(std=0.3)
    fuses = [weight.detach().clone().requires_grad_() for weight in _fuses(model)]
    assert [tuple(weight.shape) for weight in fuses] == [(8, 16), (8, 24), (8, 32)]
    output, expected = model(x), _dense_by_hand(net, fuses, x)
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    for mine, theirs in zip(_fuses(model), fuses, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    for name, theirs_ in net.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, theirs_.grad, msg=name)


def test_it_starts_as_the_residual_network_of_the_same_layers() -> None:
    net, x = Plain(depth=20), torch.randn(5, 4)
    dense, added = rewire(net, x, how="dense").model, rewire(net, x, how="add").model
    assert dense is not None
    assert added is not None
    torch.testing.assert_close(dense(x), added(x))


def test_a_block_ends_where_the_width_changes_or_it_grows_too_long() -> None:
    widths = [4, 8, 8, 8, 8, 8, 12, 12, 12, 12, 12, 3]
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.Tanh())]
    net, x = nn.Sequential(*layers[:-1]), torch.randn(3, 4)
    plan = rewire(net, x, how="dense").plan
    found = [(s.source, s.destination, s.merge) for s in plan.skips]
    assert found == [
        ("0", "4", "dense"), ("0", "8", "dense"), ("4", "8", "dense"),
        ("8", "12", "cat"),
        ("12", "16", "dense"),
    ]  # fmt: skip
    long = rewire(Plain(depth=140), torch.randn(2, 4), how="dense").plan
    readers = [skip.destination for skip in long.skips]
    assert max(map(readers.count, set(readers))) == 31
    assert set(map(readers.count, [f"hidden.{n}" for n in (61, 63, 65)])) == {31, 1, 2}


@pytest.mark.parametrize("kind", [Plain, DeepBranches], ids=["by source", "by hooks"])
def test_copies_are_the_same_and_apart(kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(5, 4)
    model = rewire(net, x, how="dense").model
    assert model is not None
    expected = model(x)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    for each in copies:
        torch.testing.assert_close(each(x), expected, rtol=0, atol=0)
        kept = [value for m in each.modules() for value in vars(m).values()]
        listed = [each for value in kept if isinstance(value, list) for each in value]
        assert not any(isinstance(value, Tensor) for value in [*kept, *listed])


def test_it_compiles_whole_and_exports() -> None:
    net, x = Plain(), torch.randn(5, 4)
    model = rewire(net, x, how="dense").model
    assert model is not None
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


def test_a_layer_taken_out_of_the_plan_is_read_by_none() -> None:
    net, x = Plain(), torch.randn(5, 4)
    plan = rewire(net, x, how="dense").plan
    rest = tuple(s for s in plan.skips if "hidden.1" not in (s.source, s.destination))
    model = rewire(net, x, plan=Plan.from_dict(replace(plan, skips=rest).to_dict())).model
    assert model is not None
    h = net.hidden
    first = net.stem(x)
    y = first
    for at in range(4):
        y = h[at](torch.relu(y))
    second = first + y
    third = second + h[5](torch.relu(h[4](torch.relu(second))))
    torch.testing.assert_close(model(x), net.head(torch.relu(third)))


def test_a_layer_that_reads_a_part_of_its_block_is_refused() -> None:
    net, x = Plain(), torch.randn(5, 4)
    plan = rewire(net, x, how="dense").plan
    rest = tuple(s for s in plan.skips if (s.source, s.destination) != ("hidden.1", "hidden.5"))
    with pytest.raises(RewireError, match=r"`hidden.5` reads `stem`, `hidden.3`"):
        rewire(net, x, plan=replace(plan, skips=rest))


def test_an_in_place_activation_does_not_reach_the_list() -> None:
    layers = [m for _ in range(6) for m in (nn.Linear(8, 8), nn.ReLU(inplace=True))]
    net, x = nn.Sequential(*layers), torch.randn(3, 8)
    features = [net[0](x)]
    for at in (2, 6):
        y = net[at + 2](torch.relu(net[at](torch.relu(sum(features)))))
        features.append(y)
    expected = torch.relu(net[10](torch.relu(sum(features))))
    model = rewire(net, x, how="dense").model
    assert model is not None
    torch.testing.assert_close(model(x), expected)


def test_convolutions_are_mixed_by_one_by_one_kernels() -> None:
    class Convolutions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(6))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return x.mean((2, 3))

    net, x = Convolutions(), torch.randn(2, 4, 5, 5)
    model: Any = rewire(net, x, how="dense").model
    weight = nn.init.normal_(model.fuses[1].weight.detach().requires_grad_(False))
    with torch.no_grad():
        model.fuses[1].weight.copy_(weight)
    f = [net.layers[0](x)]
    f.append(net.layers[2](torch.tanh(net.layers[1](torch.tanh(f[0])))))
    f.append(net.layers[4](torch.tanh(net.layers[3](torch.tanh(f[0] + f[1])))))
    mixed = torch.einsum("oi,nihw->nohw", weight[:, :, 0, 0], torch.cat(f, 1))
    expected = torch.tanh(net.layers[5](torch.tanh(mixed))).mean((2, 3))
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(
    ("given", "message"), [({"count": 0}, "1 or more"), ({"dims": 4}, "dims=4"),
                           ({"start": "zero"}, '"sum" or "last"')],
)  # fmt: skip
def test_a_fuse_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SkipError, match=message):
        skipway.nn.DenseFuse(8, **{"count": 2, **given})


def test_a_fuse_given_too_few_features_says_so() -> None:
    with pytest.raises(SkipError, match="reads 3 features and was given 2"):
        skipway.nn.DenseFuse(8, 3)([torch.randn(2, 8)] * 2)
