"""Cases that are trained by several optimizers."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam, Optimizer

from causes import _data as data
from skipway import Case, cure, diagnose
from skipway._compare._settings import _optimizer
from skipway._compare._train import train
from skipway._errors import OptimizerError
from skipway._remedies import unfrozen, with_learning_rates


def network() -> nn.Sequential:
    body = [nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU()]
    return nn.Sequential(*body, nn.Linear(24, 10))


@dataclass(frozen=True)
class Two:
    """Matrices by one, biases by another."""

    matrices: float
    biases: float

    def __call__(self, parameters: Iterable[nn.Parameter]) -> list[Optimizer]:
        own = list(parameters)
        return [
            SGD([p for p in own if p.dim() == 2], lr=self.matrices, momentum=0.9),
            Adam([p for p in own if p.dim() < 2], lr=self.biases),
        ]


def case(matrices: float = 0.1, biases: float = 3e-3) -> Case:
    (inputs, targets), _ = data.digits(64)
    return Case(
        name="two", model=network, train=(inputs[:300], targets[:300]),
        test=(inputs[300:500], targets[300:500]), loss=F.cross_entropy,
        optimizer=Two(matrices, biases), batch_size=50, epochs=3, learning_rates=(1.0,),
    )  # fmt: skip


def test_a_case_trains_as_a_loop_with_both_does():
    given = case()
    torch.manual_seed(0)
    model, other = network(), network()
    other.load_state_dict(model.state_dict())
    train(given, model, given.make_optimizer(model.parameters()), seed=3)
    optimizers = Two(0.1, 3e-3)(other.parameters())
    order = torch.Generator().manual_seed(3)
    for _ in range(3):
        for index in torch.randperm(300, generator=order).split(50):
            for each in optimizers:
                each.zero_grad()
            F.cross_entropy(other(given.train[0][index]), given.train[1][index]).backward()
            for each in optimizers:
                each.step()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_factor_is_that_of_all_and_a_diagnosis_sees_them_one_by_one():
    model = network()
    joint = case().make_optimizer(model.parameters(), 10.0)
    assert [group["lr"] for group in joint.param_groups] == pytest.approx([1.0, 0.03])
    batch = case().batch()
    found = diagnose(model, batch, F.cross_entropy, optimizer=joint)
    apart = diagnose(model, batch, F.cross_entropy, optimizer=Two(1.0, 0.03)(model.parameters()))
    assert found.layers == apart.layers
    assert found.optimizer == apart.optimizer == "SGD 1, Adam 0.03"


def test_a_configuration_names_both_and_that_of_one_is_as_it_was():
    assert "SGD, Adam, learning rate 0.1" in _optimizer(case(), network())
    alone = case().replace(optimizer=one)
    assert "SGD, learning rate 0.1" in _optimizer(alone, network())


def one(parameters: Iterable[nn.Parameter]) -> list[Optimizer]:
    return [SGD(parameters, lr=0.1)]


def twice(parameters: Iterable[nn.Parameter]) -> list[Optimizer]:
    own = list(parameters)
    return [SGD(own, lr=0.1), Adam(own, lr=0.1)]


def none(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return list(parameters)


def test_what_a_case_cannot_be_trained_with_is_an_error():
    assert type(case().replace(optimizer=one).make_optimizer(network().parameters())) is SGD
    with pytest.raises(OptimizerError, match="more than one parameter group"):
        case().replace(optimizer=twice).make_optimizer(network().parameters())
    with pytest.raises(OptimizerError, match=r"returned a list, not a .* or a list of them"):
        case().replace(optimizer=none).make_optimizer(network().parameters())


def test_remedies_reach_the_optimizer_that_is_meant():
    model = network()
    treated = with_learning_rates(case(), {"SGD": 0.7})
    assert pickle.loads(pickle.dumps(treated.optimizer)) == treated.optimizer
    rates = [group["lr"] for group in treated.make_optimizer(model.parameters()).param_groups]
    assert rates == [0.7, 3e-3]
    whole = unfrozen(case().replace(optimizer=matrices_only)).make_optimizer(model.parameters())
    held = {id(p) for group in whole.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}


def matrices_only(parameters: Iterable[nn.Parameter]) -> list[Optimizer]:
    own = [p for p in parameters if p.dim() == 2]
    choosy = getattr(torch.optim, "Muon", None)
    first = SGD(own[:1], lr=0.1) if choosy is None else choosy(own[:1], lr=0.02)
    return [first, Adam(own[1:], lr=0.01)]


def test_the_rate_of_one_is_cured():
    found = cure(case(matrices=30.0).replace(epochs=15), seeds=3, workers=0, controls=False)
    assert found.diagnosis.cause == "lr-too-large"
    assert "The steps of SGD are too large" in found.diagnosis.headline
    assert found.outcome == "cured"
    assert any("(SGD)" in variant.name for variant in found.comparison.variants)


def newton(parameters: Iterable[nn.Parameter]) -> Optimizer:
    return LBFGS(parameters, lr=0.5, max_iter=4)


def newton_and_adam(parameters: Iterable[nn.Parameter]) -> list[Optimizer]:
    own = list(parameters)
    return [LBFGS(own[:4], lr=0.5, max_iter=4), Adam(own[4:], lr=0.01)]


@pytest.mark.parametrize("make", [newton, newton_and_adam])
def test_a_step_that_needs_a_closure_gets_the_loss_of_its_batch(make):
    given = case().replace(optimizer=make, epochs=2)
    torch.manual_seed(0)
    model, other = network(), network()
    other.load_state_dict(model.state_dict())
    train(given, model, given.make_optimizer(model.parameters()), seed=1)
    made = make(other.parameters())
    first, *others = made if isinstance(made, list) else [made]
    order = torch.Generator().manual_seed(1)
    for _ in range(2):
        for index in torch.randperm(300, generator=order).split(50):

            def closure(index: Tensor = index) -> Tensor:
                other.zero_grad()
                loss = F.cross_entropy(other(given.train[0][index]), given.train[1][index])
                loss.backward()
                return loss.detach()

            first.step(closure)
            for each in others:
                each.step()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
