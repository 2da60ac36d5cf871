"""Mistakes that people make, each with the change of code that makes the network train."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causes import _data as data
from skipway import Diagnosis, Finding, diagnose

(INPUTS, TARGETS), _ = data.digits(64)
BATCH = INPUTS[:128], TARGETS[:128]


def network(act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 10))


def look(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Diagnosis:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1)
    return diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)


def loss_after(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 60) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(BATCH[0]).float(), BATCH[1])
        loss.backward()
        optimizer.step()
    return F.cross_entropy(model(BATCH[0]).float(), BATCH[1]).item()


class Stepped(nn.Module):
    """A network with a step function in its middle, and what lets the gradient past it."""

    def __init__(self, op: Callable[[Tensor], Tensor], through: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(64, 32), nn.Linear(32, 10)
        self.op, self.through = op, through

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * torch.tanh(self.first(x))
        y = self.op(x)
        return self.head(x + (y - x).detach() if self.through else y)


@pytest.mark.parametrize("op", [torch.round, torch.sign, torch.floor, lambda x: x.clone().round_()])
def test_a_step_function_cuts_the_gradient_off_and_a_way_through_it_does_not(op):
    cut = Stepped(op, through=False)
    F.cross_entropy(cut(BATCH[0]), BATCH[1]).backward()
    assert cut.first.weight.grad is not None
    assert not cut.first.weight.grad.any()  # autograd sends zeros back: no error, no learning
    cut.zero_grad(set_to_none=True)
    found = look(cut)
    assert found.cause == "detached"
    assert found.findings[0].layers == ("first",)
    assert "slope is zero" in found.findings[0].place
    assert "straight through" in found.findings[0].remedy
    assert look(Stepped(op, through=True)).cause == "healthy"


class Views(nn.Module):
    """One encoder for two views, of which one may be held still."""

    def __init__(self, still: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.head, self.still = nn.Linear(64, 32), nn.Linear(64, 10), still

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.encoder(x), self.encoder(x.flip(1))
        return self.head(torch.cat([one, two.detach() if self.still else two], 1))


def test_a_stop_gradient_on_one_of_two_calls_is_no_illness():
    found = look(Views(still=True))
    assert [each.cause for each in found.findings] == ["healthy", "detached"]
    calls = found.findings[1]
    assert calls.layers == ("encoder#1",)
    assert calls.treatment == "none"
    assert found.layer("encoder#0").decades_lost < 1
    assert [each.cause for each in look(Views(still=False)).findings] == ["healthy"]


@pytest.mark.parametrize("still", [None, 0, 1])
def test_each_of_several_calls_of_a_model_has_a_part_in_the_loss(still):
    """A discriminator sees what is real and what is not; one of two views may be held still."""
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    real, fake = BATCH[0], torch.randn_like(BATCH[0])

    def objective(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        told = [model(each) for each in batch]
        told = [each.detach() if at == still else each for at, each in enumerate(told)]
        one, two = told
        return F.softplus(-one).mean() + F.softplus(two).mean()

    found = diagnose(judge, (real, fake), objective=objective)
    # What autograd itself says of each call.
    for at in (0, 1):
        h = judge[0]((real, fake)[at])
        h.retain_grad()
        sign = -1 if at == 0 else 1
        F.softplus(sign * judge[1:](h)).mean().backward()
        wanted = 0.0 if at == still else float(h.grad.double().norm())
        got = found.layer(f"0#{at}").output_gradient
        assert got == pytest.approx(wanted, rel=1e-5, abs=0)
    calls = [each for each in found.findings if each.cause == "detached"]
    assert found.cause == "healthy"
    assert [each.layers for each in calls] == (
        [] if still is None else [(f"0#{still}", f"2#{still}")]
    )


def test_a_recurrence_that_is_followed_back_for_some_steps_says_so():
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(len(x), 16)
            for step, part in enumerate(x.view(-1, 8, 8).unbind(1)):
                h = self.cell(part, h.detach() if step == 4 else h)
            return self.head(h)

    found = look(Steps(), None)
    (calls,) = (each for each in found.findings if each.cause == "detached")
    assert calls.layers == tuple(f"cell#{step}" for step in range(4))
    assert "vanishing" not in {each.cause for each in found.findings}


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
def test_weights_of_zero_are_no_units_fault(act):
    model = network(act)
    for layer in model[::2]:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    (finding, *_) = look(model).findings
    assert (finding.cause, finding.treatment) == ("vanishing", "initialisation")
    assert "exactly zero" in finding.evidence
    assert finding.suggestion["std"] > 0


def test_answers_that_a_relu_holds_at_zero_are_dead():
    model = network().append(nn.ReLU())
    nn.init.constant_(model[4].bias, -30.0)
    found = look(model)
    assert found.cause == "dead-units"
    assert "4" in found.findings[0].layers


def test_a_step_that_half_precision_breaks_is_told_before_it_is_taken():
    model = network().half()
    before = copy.deepcopy(model.state_dict())

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output.float(), targets)

    def of(epsilon: float) -> Finding:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=epsilon)
        batch = BATCH[0].half(), BATCH[1]
        return diagnose(model, batch, loss, optimizer=optimizer).findings[0]

    # 1e-8 is 0 in float16, whose smallest number is 6e-8; so is the square of a gradient of 1e-4.
    broken = of(1e-8)
    assert broken.cause == "non-finite"
    assert "eps" in broken.remedy
    assert "kaiming" not in broken.remedy
    assert of(1e-4).cause == "healthy"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    real = copy.deepcopy(model)
    optimizer = torch.optim.Adam(real.parameters(), 1e-3)
    loss(real(BATCH[0].half()), BATCH[1]).backward()
    optimizer.step()
    named = dict(real.named_parameters())
    bad = [n for n in ("0", "2", "4") if not named[f"{n}.weight"].isfinite().all()]
    assert set(bad) <= set(broken.layers)
    assert bad


def test_a_rate_of_zero_is_told_unless_a_schedule_is_about_to_raise_it():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    found = look(model, optimizer)
    assert found.cause == "lr-too-small"
    assert found.findings[0].title == "The learning rate is zero"
    warm = torch.optim.SGD(model.parameters(), 0.1)
    torch.optim.lr_scheduler.LambdaLR(warm, lambda step: step / 10)
    assert warm.param_groups[0]["lr"] == 0
    found = look(model, warm)
    assert [each.cause for each in found.findings] == ["healthy", "lr-too-small"]
    assert "schedule" in found.findings[1].remedy


def slow_part(width: int, rate: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(64, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
    model = nn.Sequential(body, nn.Linear(width, 10))
    nn.init.normal_(body[0].weight, std=0.01)
    groups = [{"params": body.parameters(), "lr": rate}, {"params": model[1].parameters()}]
    return model, torch.optim.Adam(groups, 1e-2)


def test_a_part_at_next_to_no_rate_is_told_where_it_holds_the_rest_back():
    model, optimizer = slow_part(3, 1e-9)
    found = look(model, optimizer)
    assert found.cause == "lr-too-small"
    assert found.findings[0].layers == ("0.0", "0.2")
    free_model, free = slow_part(3, 1e-2)
    alone, together = loss_after(model, optimizer), loss_after(free_model, free)
    assert together < alone - 0.5  # what the rate of the others makes of it
    # Features that were drawn at random and are many enough are fine as they are.
    model, optimizer = slow_part(400, 0.0)
    nn.init.normal_(model[0][0].weight, std=0.3)
    found = look(model, optimizer)
    assert [each.cause for each in found.findings] == ["healthy", "lr-too-small"]
    assert found.findings[1].treatment == "none"


def test_what_is_said_of_a_network_with_a_dead_branch_leaves_that_out():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(32, 32), nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.down(F.relu(self.up(x)))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), Block(), Block(), Block(), nn.Linear(32, 10))
    nn.init.constant_(model[2].up.bias, -50.0)
    found = look(model)
    assert [each.cause for each in found.findings] == ["healthy", "dead-units"]
    assert "Every layer" not in found.summary
    assert "everywhere" not in found.findings[0].title


def test_weights_that_are_nan_already_are_not_answered_with_a_start():
    model = network()
    model[2].weight.data[0, 0] = math.nan
    remedy = look(model).findings[0].remedy
    assert "checkpoint" in remedy
    assert "_(weight" not in remedy


class Several(nn.Module):
    """Logits and something beside them, as a dict or as a tuple."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.named = nn.Linear(64, 64), nn.Linear(64, 10), named

    def forward(self, x: Tensor) -> dict[str, Tensor] | tuple[Tensor, Tensor]:
        hidden = torch.relu(self.body(x))
        logits = self.head(hidden)
        return {"hidden": hidden, "logits": logits} if self.named else (hidden, logits)


@pytest.mark.parametrize("named", [True, False])
def test_an_output_of_several_tensors_is_weighed_against_a_constant_too(named):
    def loss(output: dict[str, Tensor] | tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        return F.cross_entropy(output["logits"] if named else output[1], targets)

    def both(output: dict[str, Tensor] | tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        hidden = output["hidden"] if named else output[0]
        return loss(output, targets) + hidden.square().mean()

    model = Several(named=named)
    share = torch.bincount(BATCH[1], minlength=10).double() / 128
    entropy = -(share * share.log()).sum().item()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    found = diagnose(model, BATCH, loss, optimizer=optimizer)
    assert found.chance == pytest.approx(entropy, rel=1e-3)
    # Where the loss reads more than one of them, no constant stands for the output.
    assert diagnose(model, BATCH, both, optimizer=optimizer).chance is None
    for _ in range(200):
        optimizer.zero_grad()
        loss(model(BATCH[0]), BATCH[1]).backward()
        optimizer.step()
    optimizer.zero_grad()
    assert diagnose(model, BATCH, loss, optimizer=optimizer).cause == "solved"


class LowRank(nn.Module):
    """A frozen layer with a low-rank branch that starts at zero, after Hu et al. (2106.09685)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(4, layer.in_features) / 20)
        self.up = nn.Parameter(torch.zeros(layer.out_features, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.down.T @ self.up.T


def test_low_rank_branches_that_start_at_zero_are_no_dead_branches():
    model = network()
    for at in (0, 2, 4):
        model[at] = LowRank(model[at])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    found = look(model, optimizer)
    assert [each.cause for each in found.findings] == ["healthy", "frozen"]
    assert "by 0 %" not in found.summary
    for _ in range(60):  # and it trains
        optimizer.zero_grad()
        loss = F.cross_entropy(model(BATCH[0]), BATCH[1])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * found.loss


def test_a_head_that_was_exchanged_after_the_optimizer_was_built_is_told():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[4] = nn.Linear(model[4].in_features, 10)
    (told,) = (each for each in look(model, optimizer).findings if each.cause == "frozen")
    assert told.layers == ("4",)
    assert "In their place" in told.evidence
    assert told.remedy.startswith("Build the optimizer")
    optimizer = torch.optim.SGD(model[:4].parameters(), lr=0.1)  # left out on purpose, perhaps
    (told,) = (each for each in look(model, optimizer).findings if each.cause == "frozen")
    assert told.remedy.startswith("None if it is meant")


def test_a_last_layer_that_starts_at_zero_leaves_the_rest_to_the_second_step():
    """As the last convolution of a diffusion model (Ho et al. 2006.11239's code) does."""
    model = network()
    nn.init.zeros_(model[4].weight)
    nn.init.zeros_(model[4].bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    found = look(model, optimizer)
    assert (found.cause, found.findings[0].layers) == ("healthy", ("4",))
    assert found.headline == "Nothing can be told before the first step."
    F.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
    assert not model[0].weight.grad.any()  # what autograd says of it
    optimizer.step()
    assert look(model, optimizer).headline == "The gradient arrives."


def test_an_objective_says_what_it_leaves_unknown():
    model = network()

    def objective(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = diagnose(model, BATCH, objective=objective, optimizer=optimizer)
    assert (found.skill, found.chance) == (None, None)
    assert any("constant answer is not known" in note for note in found.notes)
    assert not any("constant answer" in note for note in look(model, optimizer).notes)
