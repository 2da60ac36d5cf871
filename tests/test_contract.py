"""What holds for every model under every verb."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
from typing import Any, Literal

import cloudpickle
import pytest
import torch
from torch import Tensor, nn

import skipway
from skipway._errors import LossError, RewireError
from skipway._results import CAUSES, Rewiring
from snapshot import snapshot
from zoo import ZOO, Exhibit

# The others are too shallow, or have their skips already.
REWIRED = {
    "plain", "shared layer", "recurrent", "hooked already", "with gradients", "blocks, narrowing",
    "data-dependent, deep", "checkpointed, deep", "keywords and dropout, deep", "narrowing",
    "in-place relu, deep", "lstm",
}  # fmt: skip

each_rewired = pytest.mark.parametrize(
    "exhibit", [e for e in ZOO if e.name in REWIRED], ids=lambda exhibit: exhibit.name
)
each_exhibit = pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
each_way = pytest.mark.parametrize("how", ["add", "cat", "dense"])


def _output(model: nn.Module, inputs: Any) -> Tensor:
    if isinstance(inputs, dict):
        output = model(**inputs)
    else:
        output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    return next(iter(output.values())) if isinstance(output, dict) else output


def _rewired(
    exhibit: Exhibit, how: Literal["add", "cat", "dense"]
) -> tuple[nn.Module, Any, Rewiring]:
    model, inputs = exhibit.build(), exhibit.inputs()
    return model, inputs, skipway.rewire(model, inputs, how=how)


@each_exhibit
def test_diagnose_leaves_no_trace(exhibit: Exhibit) -> None:
    model, inputs = exhibit.build(), exhibit.inputs()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    before, settings = snapshot(model), copy.deepcopy(optimizer.state_dict())
    diagnosis = skipway.diagnose(model, inputs, objective=exhibit.objective, optimizer=optimizer)
    assert snapshot(model) == before
    assert optimizer.state_dict() == settings
    assert len(diagnosis.layers) == exhibit.weight_layers
    assert diagnosis.cause in CAUSES


@each_exhibit
def test_diagnose_that_raises_leaves_no_trace(exhibit: Exhibit) -> None:
    model, inputs = exhibit.build(), exhibit.inputs()
    before = snapshot(model)

    def broken(model: nn.Module, batch: Any) -> Tensor:
        exhibit.objective(model, batch)
        raise ZeroDivisionError

    with pytest.raises(LossError, match="ZeroDivisionError"):
        skipway.diagnose(model, inputs, objective=broken)
    assert snapshot(model) == before


@each_exhibit
@each_way
def test_rewire_leaves_no_trace(exhibit: Exhibit, how: Literal["add", "cat", "dense"]) -> None:
    model, inputs = exhibit.build(), exhibit.inputs()
    before = snapshot(model)
    with contextlib.suppress(RewireError):
        skipway.rewire(model, inputs, how=how)
    skipway.skips(model, inputs)
    assert snapshot(model) == before


@pytest.mark.parametrize(
    "exhibit", [e for e in ZOO if e.name not in REWIRED], ids=lambda exhibit: exhibit.name
)
def test_a_refusal_says_what_was_seen(exhibit: Exhibit) -> None:
    with pytest.raises(RewireError, match=r"no place for a skip.* weight layers|skip connections"):
        skipway.rewire(exhibit.build(), exhibit.inputs())


@each_rewired
@each_way
def test_a_rewired_model_keeps_every_key_and_value(
    exhibit: Exhibit, how: Literal["add", "cat", "dense"]
) -> None:
    model, _, rewiring = _rewired(exhibit, how)
    assert isinstance(rewiring.model, type(model))
    kept = rewiring.model.state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(kept[key], value), key
    shared = {id(p) for p in model.parameters()} & {id(p) for p in rewiring.model.parameters()}
    assert not shared, "the rewired model has parameters of its own"


@each_rewired
@each_way
def test_every_parameter_of_a_rewired_model_gets_a_gradient(
    exhibit: Exhibit, how: Literal["add", "cat", "dense"]
) -> None:
    plain, inputs, rewiring = _rewired(exhibit, how)
    assert rewiring.model is not None
    exhibit.objective(plain, inputs).backward()
    exhibit.objective(rewiring.model, inputs).backward()
    reached = {name for name, p in plain.named_parameters() if p.grad is not None}
    for name, parameter in rewiring.model.named_parameters():
        if parameter.requires_grad and (
            name in reached or name not in dict(plain.named_parameters())
        ):
            assert parameter.grad is not None, name


@each_rewired
@each_way
def test_copies_of_a_rewired_model_are_the_same_and_apart(
    exhibit: Exhibit, how: Literal["add", "cat", "dense"]
) -> None:
    _, inputs, rewiring = _rewired(exhibit, how)
    model = rewiring.model
    assert model is not None
    model.eval()
    expected = _output(model, inputs)
    stream = io.BytesIO()
    torch.save(model.state_dict(), stream)
    copies = {
        "deepcopy": copy.deepcopy(model),
        "cloudpickle": cloudpickle.loads(cloudpickle.dumps(model)),
    }
    if exhibit.name != "hooked already":  # its own hook is a lambda
        copies["pickle"] = pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    for how_copied, other in copies.items():
        torch.testing.assert_close(_output(other, inputs), expected, rtol=0, atol=0, msg=how_copied)


@each_rewired
@each_way
def test_a_plan_fits_another_instance(
    exhibit: Exhibit, how: Literal["add", "cat", "dense"]
) -> None:
    _, inputs, rewiring = _rewired(exhibit, how)
    other = exhibit.build()
    plan = skipway.Plan.from_dict(rewiring.plan.to_dict())
    again = skipway.rewire(other, inputs, plan=plan)
    assert again.plan == rewiring.plan
    assert again.source() == rewiring.source()
