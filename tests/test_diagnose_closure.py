"""Optimizers whose step asks for loss and gradient anew: LBFGS, sharpness-aware minimization."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Optimizer

from skipway import diagnose
from skipway._diagnose._closure import Asked
from skipway._diagnose._step import Taken, summed, take_step
from skipway._diagnose._together import Together
from skipway._diagnose._trial import try_steps


class Sharpness(Optimizer):
    """Foret et al. 2021 (2010.01412): the gradient at the worst place near the weights."""

    def __init__(self, params: Any, lr: float, rho: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        assert closure is not None, "a closure is required"
        held = [(p, group) for group in self.param_groups for p in group["params"]]
        size = math.sqrt(sum(p.grad.double().square().sum().item() for p, _ in held))
        ways = [p.grad * (group["rho"] / size) for p, group in held]
        for (p, _), way in zip(held, ways, strict=True):
            p.add_(way)
        loss = torch.enable_grad()(closure)()
        for (p, group), way in zip(held, ways, strict=True):
            p.sub_(way).sub_(group["lr"] * (p.grad + group["weight_decay"] * p))
        return loss


def line(dtype: torch.dtype = torch.float64) -> tuple[nn.Linear, tuple[Tensor, Tensor]]:
    """A linear regression that can be solved exactly."""
    torch.manual_seed(0)
    inputs = torch.randn(32, 3, dtype=dtype)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=dtype)
    return nn.Linear(3, 1, bias=False, dtype=dtype), (inputs, targets)


def asked(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Asked:
    wide = batch[0].double(), batch[1].double()
    return Asked(
        model,
        lambda network: F.mse_loss(network(batch[0]), batch[1]),
        lambda network: F.mse_loss(network(wide[0]), wide[1]),
    )


def slope(weight: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient of the mean of squares, by hand."""
    inputs, targets = batch
    return 2 / len(inputs) * (inputs @ weight.T - targets).T @ inputs


def taken(model: nn.Linear, batch: tuple[Tensor, Tensor], *optimizers: Optimizer) -> Taken:
    gradients = {"weight": slope(model.weight.detach(), batch)}
    together = Together(optimizers, range(len(optimizers)))
    return take_step(model, together, gradients, asked(model, batch))


def test_the_first_step_of_lbfgs_by_hand():
    model, batch = line()
    gradient = slope(model.weight.detach(), batch)
    found = taken(model, batch, LBFGS(model.parameters(), lr=0.3, max_iter=1))
    # Steepest descent, no further than a way of size one in the sum of its parts.
    way = -gradient * 0.3 * min(1.0, 1 / gradient.abs().sum().item())
    assert found.calls == 1
    assert found.moves["weight"].step == pytest.approx(way.norm().item(), rel=1e-12)
    progress = -(gradient * way).sum().item()
    assert found.moves["weight"].progress == pytest.approx(progress, rel=1e-12)
    assert found.moves["weight"].moved == 3


def test_the_second_step_of_lbfgs_by_hand():
    model, batch = line()
    optimizer = LBFGS(model.parameters(), lr=0.3, max_iter=1)
    start = model.weight.detach().clone()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        return loss.detach()

    optimizer.step(closure)
    before = model.weight.detach().clone()
    old, new = slope(start, batch), slope(before, batch)
    # Nocedal and Wright 2006, algorithm 7.4, with one pair.
    s, y = (before - start).flatten(), (new - old).flatten()
    rho, q = 1 / y.dot(s), new.flatten()
    alpha = rho * s.dot(q)
    r = (q - alpha * y) * (s.dot(y) / y.dot(y))
    way = -0.3 * (r + s * (alpha - rho * y.dot(r)))
    found = taken(model, batch, optimizer)
    assert torch.allclose(found.after["weight"], before + way, rtol=1e-10, atol=0)
    assert found.moves["weight"].step == pytest.approx(way.norm().item(), rel=1e-9)


def test_a_whole_step_of_lbfgs_that_solves_the_problem():
    model, batch = line()
    found = taken(model, batch, LBFGS(model.parameters(), line_search_fn="strong_wolfe"))
    solution = torch.linalg.lstsq(*batch).solution.T
    assert torch.allclose(found.after["weight"], solution, atol=1e-4)
    loss = F.mse_loss(model(batch[0]), batch[1]).item()
    # L = (w - w*)' A (w - w*), so the slope times the way to the solution is twice the loss.
    assert summed(found, loss).progress == pytest.approx(2.0, rel=1e-4)
    assert found.calls > 1


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_step_of_sharpness_aware_minimization_by_hand(decay):
    model, batch = line()
    weight = model.weight.detach().clone()
    gradient = slope(weight, batch)
    found = taken(model, batch, Sharpness(model.parameters(), 0.1, 0.05, decay))
    plain = -0.1 * slope(weight + 0.05 * gradient / gradient.norm(), batch)
    way = plain - 0.1 * decay * weight
    assert torch.allclose(found.after["weight"], weight + way, rtol=1e-12)
    move = found.moves["weight"]
    assert move.progress == pytest.approx(-(gradient * way).sum().item(), rel=1e-10)
    assert move.decay == pytest.approx(0.1 * decay * weight.norm().item(), rel=1e-10)
    assert move.plain == pytest.approx(plain.norm().item(), rel=1e-10)


def test_what_rounding_takes_is_known_where_the_model_runs_in_float64():
    model, batch = line(torch.float32)
    wide = batch[0].double(), batch[1].double()
    gradient = slope(model.weight.detach().double(), wide)
    found = taken(model, batch, LBFGS(model.parameters(), lr=1e-10, max_iter=1))
    move = found.moves["weight"]
    assert (move.with_gradient, move.moved, move.progress) == (3, 0, 0.0)
    far = 1e-10 * min(1.0, 1 / gradient.abs().sum().item())
    assert move.planned == pytest.approx(far * gradient.square().sum().item(), rel=1e-4)


KINDS = {
    "lbfgs": lambda p: [LBFGS(p, lr=0.5, max_iter=4)],
    "wolfe": lambda p: [LBFGS(p, line_search_fn="strong_wolfe", max_iter=4)],
    "sharpness": lambda p: [Sharpness(p, 0.1, 0.05)],
    "beside": lambda p: [LBFGS(p[:2], lr=0.5, max_iter=4), SGD(p[2:], lr=0.1, momentum=0.9)],
}


def curve() -> tuple[nn.Sequential, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 100)[:, None]
    return nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1)), (x, torch.sin(3 * x))


def trained(
    model: nn.Module, optimizers: list[Optimizer], batch: tuple[Tensor, Tensor], steps: int
) -> list[float]:
    """Train in a loop as users write it, and return the loss before every step."""
    losses = []

    def closure() -> Tensor:
        for each in optimizers:
            each.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        return loss.detach()

    for _ in range(steps):
        losses.append(closure().item())
        for each in optimizers:
            each.step() if isinstance(each, SGD) else each.step(closure)
    return losses


@pytest.mark.parametrize("name", KINDS)
def test_steps_on_a_copy_are_those_of_the_loop(name):
    model, batch = curve()
    optimizers = KINDS[name](list(model.parameters()))
    trained(model, optimizers, batch, 2)
    state = copy.deepcopy([each.state_dict() for each in optimizers])
    weights = copy.deepcopy(model.state_dict())
    real = copy.deepcopy(model)
    again = KINDS[name](list(real.parameters()))
    for each, other in zip(again, optimizers, strict=True):
        each.load_state_dict(copy.deepcopy(other.state_dict()))
    together = Together(
        optimizers, [at for at, each in enumerate(optimizers) if type(each) is not SGD]
    )
    losses, _ = try_steps(model, together, [asked(model, batch).evaluate], 5)
    assert losses[:5] == trained(real, again, batch, 5)
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert str(state) == str([each.state_dict() for each in optimizers])


@pytest.mark.parametrize("name", KINDS)
def test_they_are_judged_and_said_to_be(name):
    model, batch = curve()
    optimizers = KINDS[name](list(model.parameters()))
    weights = copy.deepcopy(model.state_dict())
    found = diagnose(model, batch, F.mse_loss, optimizer=optimizers)
    assert found.cause == "healthy"
    assert all(layer.moved for layer in found.layers)
    assert any("were taken with a closure" in note for note in found.notes)
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert not any(each.state for each in optimizers)


RATES = {
    ("lbfgs", 1e-8): "lr-too-small",
    ("lbfgs", 0.3): "healthy",
    ("lbfgs", 30.0): "lr-too-large",
    ("wolfe", 1.0): "healthy",
    ("sharpness", 1e-7): "lr-too-small",
    ("sharpness", 0.1): "healthy",
    ("sharpness", 30.0): "lr-too-large",
}


@pytest.mark.parametrize(("name", "rate"), RATES)
def test_rates_that_do_and_do_not_train(name, rate):
    def optimizer(parameters: Any, rate: float) -> Optimizer:
        if name == "sharpness":
            return Sharpness(parameters, rate, 0.05)
        search = "strong_wolfe" if name == "wolfe" else None
        return LBFGS(parameters, lr=rate, line_search_fn=search)

    def end(rate: float) -> float:
        model, batch = curve()
        losses = trained(model, [optimizer(model.parameters(), rate)], batch, 60)
        return losses[-1] / losses[0] if math.isfinite(losses[-1]) else math.inf

    model, batch = curve()
    found = diagnose(model, batch, F.mse_loss, optimizer=optimizer(model.parameters(), rate))
    assert found.cause == RATES[name, rate]
    assert (end(rate) < 0.9) == (found.cause == "healthy")
    if found.cause != "healthy":
        assert end(found.findings[0].suggestion["learning_rate"]) < 0.9


def test_one_that_no_closure_helps_is_noted():
    class Broken(SGD):
        def step(self, closure: Any = None) -> Any:
            raise ValueError("out of order")

    model, batch = curve()
    found = diagnose(model, batch, F.mse_loss, optimizer=Broken(model.parameters(), lr=0.1))
    assert any("Broken could not take a step" in n and "out of order" in n for n in found.notes)
    assert found.layers[0].moved is None
