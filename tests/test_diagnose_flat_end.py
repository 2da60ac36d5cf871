"""A loss that is flat where the answers are, and gets far lower elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Diagnosis, diagnose
from skipway._diagnose._floor import lowest_loss

BATCH = torch.linspace(-1, 1, 64).reshape(32, 2)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))


def probability(model: nn.Module, batch: Tensor) -> Tensor:
    """A probability, not its logarithm, of what is below 10^-20 at the start."""
    return -torch.sigmoid(50 * (model(batch) - 1)).mean()


def logarithm(model: nn.Module, batch: Tensor) -> Tensor:
    return -F.logsigmoid(50 * (model(batch) - 1)).mean()


def reached(model: nn.Module, batch: Tensor) -> Tensor:
    """As low as it gets, which is flat too."""
    return -torch.sigmoid(50 * (model(batch) + 2)).mean()


def nothing(model: nn.Module, batch: Tensor) -> Tensor:
    """Nothing, and no answer gets less."""
    return F.relu(model(batch) - 5).mean()


def underflowing(model: nn.Module, batch: Tensor) -> Tensor:
    """So small that float32 makes nothing of it."""
    return -torch.sigmoid(200 * (model(batch) - 1)).mean()


def look(objective: Callable[[nn.Module, Tensor], Tensor], rate: float = 0.01) -> Diagnosis:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    return diagnose(model, BATCH, objective=objective, optimizer=optimizer)


def trained(objective: Callable[[nn.Module, Tensor], Tensor], rate: float = 0.01) -> float:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(200):
        optimizer.zero_grad()
        objective(model, BATCH).backward()
        optimizer.step()
    return probability(model, BATCH).item()


@pytest.mark.parametrize("objective", [probability, underflowing])
@pytest.mark.parametrize("rate", [1e-3, 0.01, 0.1])
def test_a_flat_end_is_named_and_nothing_beside_it(objective, rate):
    found = look(objective, rate)
    assert (found.cause, found.treatment) == ("saturation", "loss")
    assert "flat end" in found.headline
    assert not {"solved", "lr-too-small"} & {
        each.cause for each in found.findings[1:] if not each.remedy.startswith("None")
    }
    assert trained(objective, rate) > -1e-3  # no rate gets it to where a probability can be


def test_what_is_proposed_trains():
    assert look(logarithm).cause == "healthy"
    assert trained(logarithm) < -0.9


@pytest.mark.parametrize("objective", [reached, nothing])
def test_the_lowest_end_is_flat_too_and_not_meant(objective):
    found = look(objective)
    assert "flat end" not in found.headline
    assert "one answer" not in found.headline


@pytest.mark.parametrize("start", [0.0, 3.0, -20.0])
@pytest.mark.parametrize(
    "loss",
    [
        lambda y, t: F.mse_loss(y, t),
        lambda y, t: F.huber_loss(y, t),
        lambda y, t: F.binary_cross_entropy_with_logits(y, (t > 0).to(y.dtype)),
        lambda y, t: F.poisson_nll_loss(y, t.abs()),
        lambda y, t: F.cross_entropy(torch.cat([y, -y], 1), (t[:, 0] > 0).long()),
    ],
)
def test_a_convex_loss_is_as_steep_as_on_the_way_down(loss, start):
    model = network()
    with torch.no_grad():
        model[2].bias.add_(start)
    targets = BATCH.sum(1, keepdim=True).double()
    found = lowest_loss(model, lambda each: loss(each(BATCH.double()), targets), wide=True)
    assert found is not None
    # L(y*) >= L(y) + <slope, y* - y>, so the slope times the way is no less than what is gained.
    assert found.steepness is not None
    assert found.steepness >= 1 - 1e-9


def test_the_steepness_of_a_tail_by_hand():
    model = network()
    found = lowest_loss(model, lambda each: probability(each, BATCH.double()), wide=True)
    assert found is not None
    assert found.steepness is not None
    with torch.no_grad():
        answers = model(BATCH).double()
    sure = torch.sigmoid(50 * (answers - 1))
    slope = (50 * sure * (1 - sure) / len(BATCH)).norm()
    gained = -sure.mean() - found.lowest
    # To be sure of its share, the surest has to come to where the tail ends, at one.
    assert found.steepness >= (slope * (0.9 - answers.max()) / gained).item()
    assert found.steepness < 1e-15
