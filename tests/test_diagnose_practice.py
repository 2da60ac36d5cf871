"""What practitioners do by mistake, or on purpose, between the last layer and the step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causes import _data as data
from skipway import Diagnosis, diagnose

(INPUTS, TARGETS), _ = data.digits(64)
BATCH = INPUTS[:128], TARGETS[:128]
ONE_HOT = F.one_hot(BATCH[1], 10).float()


def network(outputs: int = 10, *last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs), *last)


def look(
    model: nn.Module,
    batch: Any = BATCH,
    loss: Any = F.cross_entropy,
    optimizer: torch.optim.Optimizer | None = None,
) -> Diagnosis:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), 3e-3)
    return diagnose(model, batch, loss, optimizer=optimizer)


def test_a_softmax_before_a_loss_that_takes_its_own_is_told_with_the_floor_of_the_loss():
    found = look(network(10, nn.Softmax(1))).findings[0]
    assert (found.cause, found.treatment) == ("saturation", "loss")
    # All weight on the right one of ten: -log(e / (e + 9)).
    floor = math.log(math.e + 9) - 1
    share = TARGETS[:128].bincount() / 128
    percent = floor / -float((share * share.log()).sum())
    assert f"below {floor:.2g}, {100 * percent:.0f} %" in found.evidence
    assert "`cross_entropy` takes its own softmax" in found.remedy


@pytest.mark.parametrize(
    ("last", "loss", "targets"),
    [
        (nn.Sigmoid(), F.binary_cross_entropy, ONE_HOT),
        (nn.Softmax(1), lambda p, y: F.nll_loss((p + 1e-8).log(), y), BATCH[1]),
        (nn.LogSoftmax(1), F.cross_entropy, BATCH[1]),  # the second one changes nothing
        (nn.Tanh(), F.mse_loss, ONE_HOT),
        (nn.ReLU(), F.mse_loss, ONE_HOT),
        (nn.Sigmoid(), F.binary_cross_entropy, 0.8 * ONE_HOT + 0.1),
    ],
)
def test_answers_of_the_range_that_the_loss_asks_for_are_no_fault(last, loss, targets):
    found = look(network(10, last), (BATCH[0], targets), loss)
    assert "loss" not in {each.treatment for each in found.findings}


def test_a_column_against_a_vector_is_told_and_a_weighted_loss_is_not():
    targets = BATCH[0].mean(1) * 5
    with pytest.warns(UserWarning, match="target size"):
        found = look(network(1), (BATCH[0], targets), F.mse_loss)
    assert (found.cause, found.treatment) == ("no-signal", "loss")
    # Targets of another shape that do belong to their sample: a value and its weight.
    weighed = torch.stack([targets, torch.ones_like(targets)], 1)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (target[:, 1] * (output[:, 0] - target[:, 0]) ** 2).mean()

    assert look(network(1), (BATCH[0], weighed), loss).cause == "healthy"


def test_a_batch_without_the_rare_one_of_two_is_not_called_empty():
    rare = torch.zeros(128, 1)
    found = look(network(1), (BATCH[0], rare), F.binary_cross_entropy_with_logits)
    assert found.cause == "healthy"
    assert found.skill is None
    assert [each.treatment for each in found.findings if each.cause == "no-signal"] == ["none"]
    same = torch.zeros(128, dtype=torch.long)
    assert look(network(), (BATCH[0], same)).cause == "no-signal"


@pytest.mark.parametrize("offset", [2.0, 10.0, 100.0])
def test_targets_far_from_zero_are_no_explosion(offset):
    targets = 5 * BATCH[0].mean(1, keepdim=True) + offset
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        model = network(1)
        found = look(model, (BATCH[0], targets), F.mse_loss, optimizer(model.parameters(), 1e-2))
        assert found.cause in ("healthy", "lr-too-small"), found.summary


def _scheduled(model: nn.Module, share: Any, steps: int) -> torch.optim.Optimizer:
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
        optimizer.step()
        schedule.step()
    return optimizer


@pytest.mark.parametrize(
    ("share", "steps", "cause"),
    [
        (lambda step: min(1.0, (step + 1) / 1000), 0, "healthy"),  # a warm-up begins
        (lambda step: min(1.0, (step + 1) / 5000), 3, "healthy"),
        (lambda step: min(1.0, (step + 1) / 1e7), 3, "lr-too-small"),  # it never arrives
        (lambda step: 1e-7 if step < 60 else 0.0, 60, "lr-too-small"),  # it ended before it began
        (lambda step: max(0.0, 1 - step / 60), 60, "healthy"),  # it has done its work
    ],
)
def test_a_small_rate_is_weighed_against_the_schedule_that_set_it(share, steps, cause):
    model = network()
    found = look(model, optimizer=_scheduled(model, share, steps))
    assert found.cause == cause
    if cause == "healthy":
        small = [each for each in found.findings if each.cause == "lr-too-small"]
        assert [each.treatment for each in small] == ["none"]


class Halving(torch.optim.SGD):
    """An optimizer that keeps something of its own, which its step needs."""

    def __init__(self, parameters: Any, rate: float) -> None:
        super().__init__(parameters, rate)
        self.left, self.every = 10, {"half": 0.5}

    def step(self, closure: Any = None) -> Any:
        self.left -= 1
        for group in self.param_groups:
            group["lr"] *= self.every["half"] ** (self.left < 0)
        return super().step(closure)


def test_what_an_optimizer_keeps_of_its_own_is_copied_with_it():
    model = network()
    optimizer = Halving(model.parameters(), 1e-8)
    found = look(model, optimizer=optimizer)
    assert found.cause == "lr-too-small"
    assert not found.notes
    assert (optimizer.left, optimizer.param_groups[0]["lr"]) == (10, 1e-8)


def test_a_trial_is_as_long_as_the_optimizers_memory():
    model = network()
    exchanged = torch.optim.Adam(model.parameters(), 1e-2, betas=(0.999, 0.9))
    found = look(model, optimizer=exchanged)
    assert found.cause == "lr-too-large"
    assert "mean goes over 1000 steps" in found.findings[0].remedy
    assert look(model, optimizer=torch.optim.Adam(model.parameters(), 1e-2)).cause == "healthy"


def test_units_that_all_start_alike_are_told():
    model = network()
    for each in model[::2]:
        nn.init.constant_(each.weight, 0.1)
    found = look(model)
    assert (found.cause, found.treatment) == ("collapsed-signal", "initialisation")
    # One layer alone is told apart again by what follows it.
    model = network()
    nn.init.constant_(model[0].weight, 0.1)
    assert look(model).cause != "collapsed-signal"


class OfNodes(nn.Module):
    """Layers that read what the model keeps; what it is given says which answers are asked for."""

    def __init__(self, deep: int) -> None:
        super().__init__()
        self.register_buffer("features", INPUTS[:300])
        self.body = nn.ModuleList(nn.Linear(64, 64) for _ in range(deep))
        self.head = nn.Linear(64, 10)

    def forward(self, nodes: Tensor) -> Tensor:
        x = self.features
        for layer in self.body:
            x = torch.relu(layer(x))
        return self.head(x)[nodes]


def test_layers_that_read_what_the_model_keeps_are_followed():
    torch.manual_seed(0)
    batch = torch.arange(128), TARGETS[:128]
    found = look(OfNodes(2), batch)
    assert found.cause == "healthy"
    assert [layer.name for layer in found.layers] == ["body.0", "body.1", "head"]
    assert look(OfNodes(30), batch).cause == "vanishing"


def test_an_objective_that_calls_the_model_twice_cuts_neither_call():
    def objective(model: nn.Module, batch: Any) -> Tensor:
        one, two = (F.normalize(model(batch[0] + shift), dim=1) for shift in (0.0, 0.1))
        return F.cross_entropy(one @ two.T / 0.2, torch.arange(len(one)))

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    found = diagnose(model, BATCH, objective=objective, optimizer=optimizer)
    assert "detached" not in {each.cause for each in found.findings}


class Beside(nn.Module):
    """Two ways from the input; one of them is computed without a gradient."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(64, 32), nn.Linear(64, 32), nn.Linear(32, 10)
        self.both = both

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x).detach() if self.both else self.one(x)
        return self.head(torch.relu(y + self.two(x).detach()))


def test_a_branch_without_a_gradient_is_no_illness_while_the_other_learns():
    torch.manual_seed(0)
    found = look(Beside(both=False))
    assert found.cause == "healthy"
    assert [each.treatment for each in found.findings if each.cause == "detached"] == ["none"]
    assert look(Beside(both=True)).cause == "detached"


def test_what_no_answer_brings_down_is_not_called_healthy_with_certainty():
    def flat(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output.tanh() / 500, targets)

    found = look(network(), loss=flat)
    assert found.cause == "healthy"
    assert "stays where it is" in found.headline
    assert found.findings[0].sure.startswith("Not sure")
    assert found.findings[1].title == "The loss is flat"
    # A constant in the loss looks the same, and is no fault.
    found = look(network(), loss=lambda y, t: F.cross_entropy(y, t) + 1000)
    assert found.cause == "healthy"


def test_targets_in_another_unit_are_no_flat_loss_and_the_remedy_names_them():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    batch = BATCH[0], BATCH[1].float()[:, None] * 1e4
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    found = diagnose(model, batch, F.mse_loss, optimizer=optimizer)
    assert "The loss is flat" not in {each.title for each in found.findings}
    assert "(target - mean) / standard deviation" in found.findings[0].remedy
    # Which helps, with the optimizer as it is: what a constant leaves falls.
    targets = (batch[1] - batch[1].mean()) / batch[1].std()
    for _ in range(100):
        optimizer.zero_grad()
        F.mse_loss(model(batch[0]), targets).backward()
        optimizer.step()
    assert F.mse_loss(model(batch[0]), targets) < 0.5 * targets.var()


class Deaf(nn.Module):
    """A network that hears noise in the place of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.randn_like(x))


def test_answers_of_noise_alone_are_told_and_usual_dropout_is_not():
    found = look(Deaf())
    assert (found.cause, found.findings[0].title) == (
        "collapsed-signal", "Noise drowns what tells the samples apart",
    )  # fmt: skip
    torch.manual_seed(0)
    usual = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
    for offset in (0.0, 50.0):
        found = look(usual, loss=lambda y, t, by=offset: F.cross_entropy(y, t) + by)
        assert found.cause == "healthy"


class Halved(nn.Module):
    """Weights in float32, arithmetic in float16 by casts."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = network()[::2]

    def forward(self, x: Tensor) -> Tensor:
        x = x.half()
        for index, layer in enumerate(self.layers):
            x = F.linear(x, layer.weight.half(), layer.bias.half())
            x = x if index else torch.relu(x)
        return x.float()


def test_a_gradient_that_half_precision_loses_is_no_fault_of_depth():
    found = look(Halved(), loss=lambda y, t: 1e-6 * F.cross_entropy(y, t))
    assert (found.cause, found.treatment) == ("precision", "precision")
    assert look(Halved()).cause == "healthy"
