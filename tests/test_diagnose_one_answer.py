"""An objective that one answer for all samples fulfils, and networks that give it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causes import held_out_in_practice
from causes._patient import start, train
from skipway import Diagnosis, diagnose
from skipway._diagnose._exchanged import one_for_all

BATCH = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))


def after_training(name: str, rate: float, steps: int) -> Diagnosis:
    case = held_out_in_practice()[name].case()
    model, optimizer = start(case, 0, 0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    train(case, model, optimizer, 0, steps)
    return diagnose(model, case.batch(), objective=case.objective, optimizer=optimizer)


def test_two_views_that_have_collapsed_are_told():
    found = after_training("agreement-without-a-stop", 0.5, 400)
    assert (found.cause, found.treatment) == ("collapsed-signal", "loss")
    assert "one answer for all" in found.headline
    assert found.loss < -0.99  # and the loss alone looks perfect


def test_two_views_that_agree_and_differ_between_samples_are_not_meant():
    assert after_training("agreement", 0.5, 1000).cause != "collapsed-signal"


def network(blank: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
    if blank:
        with torch.no_grad():
            model[2].weight.zero_()
    return model


def agreement(model: nn.Module, batch: Tensor) -> Tensor:
    """Two views that are all but the same."""
    return -F.cosine_similarity(model(batch), model(batch + 1e-4)).mean()


def offset(model: nn.Module, batch: Tensor) -> Tensor:
    return agreement(model, batch) + 100


def contrast(model: nn.Module, batch: Tensor) -> Tensor:
    """Samples are told from each other by their own second view."""
    one, two = (F.normalize(model(batch + shift), dim=1) for shift in (0, 1e-4))
    return F.cross_entropy(one @ two.T / 0.01, torch.arange(len(batch)))


def lengths(model: nn.Module, batch: Tensor) -> Tensor:
    """Whose answer it is makes no difference, and the mean of several is too short."""
    return (model(batch).norm(dim=1) - 1).square().mean()


Objective = Callable[[nn.Module, Tensor], Tensor]


@pytest.mark.parametrize(
    ("objective", "lowest", "blank", "expected"),
    [
        (agreement, -1.0, True, -1.0),
        (agreement, -1.0, False, None),  # low, and each sample has an answer of its own
        (offset, 99.0, True, 99.0),
        (offset, 99.0, False, None),
        (contrast, 0.0, True, None),  # not low: they cannot be told apart
    ],
)
def test_what_is_called_one_answer(
    objective: Objective, lowest: float, blank: bool, expected: float | None
):
    model = network(blank)
    weights = copy.deepcopy(model.state_dict())
    loss = objective(model, BATCH).item()
    found = one_for_all(model, lambda each: objective(each, BATCH), lambda: None, loss, lowest)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-4))
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


def test_answers_whose_owner_makes_no_difference_still_need_their_mean_to_do():
    class Unit(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.normalize(x, dim=1)

    directions = nn.Sequential(network(), Unit())
    loss = lengths(directions, BATCH).item()
    assert loss < 1e-10
    found = one_for_all(directions, lambda each: lengths(each, BATCH), lambda: None, loss, 0.0)
    assert found is None


def test_draws_are_brought_back_before_each_pass():
    def noisy(model: nn.Module, batch: Tensor) -> Tensor:
        return agreement(model, batch) + torch.randn(())

    model, state = network(blank=True), torch.get_rng_state()
    loss = noisy(model, BATCH).item()
    lowest = loss - agreement(model, BATCH).item() - 1.0

    def again() -> None:
        torch.set_rng_state(state)

    found = one_for_all(model, lambda each: noisy(each, BATCH), again, loss, lowest)
    assert found == pytest.approx(loss, abs=1e-4)
