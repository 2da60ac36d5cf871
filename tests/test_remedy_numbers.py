"""The numbers of a remedy, each tried: what is proposed has to do what is said of it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipway import Plan, PlannedSkip, cases, diagnose, read, rewire
from test_diagnose import digits, judge, mlp, of_case, sgd
from test_diagnose_structures import LongBranches


def dead(depth: int = 6) -> nn.Sequential:
    model = mlp(depth)
    with torch.no_grad():
        for layer in model[:-1:2]:
            layer.bias.fill_(-50)
    return model


@pytest.mark.parametrize(
    ("activation", "gain", "call"),
    [
        (nn.ReLU, math.sqrt(2), 'kaiming_normal_(weight, nonlinearity="relu")'),
        (nn.Tanh, 1.05, "orthogonal_(weight, gain=1.05)"),
        (nn.Sigmoid, 5.0, "orthogonal_(weight, gain=5)"),
    ],
)
def test_the_start_fits_the_activation(activation, gain, call):
    torch.manual_seed(0)
    model = mlp(5, activation, gain=0.01)  # too small, and too shallow for a skip
    finding = judge(model).findings[0]
    assert (finding.cause, finding.treatment) == ("vanishing", "initialisation")
    assert call in finding.remedy
    assert finding.suggestion["gain"] == pytest.approx(gain)
    assert finding.suggestion["std"] == pytest.approx(gain / 8)  # 64 inputs
    with torch.no_grad():
        for layer in model[:-1:2]:
            nn.init.orthogonal_(layer.weight, finding.suggestion["gain"])
    assert judge(model).cause == "healthy"


def test_the_spread_is_that_of_torch():
    torch.manual_seed(0)
    layers = [m for _ in range(12) for m in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), *layers, nn.Flatten())
    model.append(nn.Linear(512, 10))
    with torch.no_grad():
        for layer in model[:-2:2]:
            layer.weight.mul_(6)
            layer.bias.zero_()
    batch = digits()[0].view(-1, 1, 8, 8), digits()[1]
    finding = diagnose(model, batch, F.cross_entropy).findings[0]
    assert (finding.cause, finding.treatment) == ("exploding", "initialisation")
    start = torch.empty(4096, 8, 3, 3)
    nn.init.kaiming_normal_(start, nonlinearity="relu")
    assert "72 inputs" in finding.remedy
    assert finding.suggestion["std"] == pytest.approx(float(start.std()), rel=0.02)


def test_the_proposed_start_revives_dead_units():
    torch.manual_seed(0)
    model = dead()
    finding = judge(model).findings[0]
    assert finding.cause == "dead-units"
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.normal_(0, finding.suggestion["std"])
            layer.bias.zero_()
    assert judge(model).cause == "healthy"


def test_the_proposed_scale_takes_units_off_their_ends():
    torch.manual_seed(0)
    model = mlp(5, nn.Tanh, gain=40.0)
    finding = judge(model).findings[0]
    assert finding.cause == "saturation"
    with torch.no_grad():
        for layer in model[:-1:2]:
            layer.weight.mul_(finding.suggestion["scale"])
    assert max(layer.saturated or 0 for layer in judge(model).layers) < 0.05


def test_the_clip_value_gives_a_step_that_the_loss_can_take():
    torch.manual_seed(0)
    model = mlp(4)
    found = judge(model, sgd(model, 100.0))
    finding = found.findings[0]
    assert finding.cause == "lr-too-large"
    inputs, targets = digits()

    def step(clip: bool) -> tuple[float, float]:
        twin = copy.deepcopy(model)
        loss = F.cross_entropy(twin(inputs), targets)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(
            twin.parameters(), finding.suggestion["clip_norm"] if clip else math.inf
        )
        assert f"{float(norm):.2g}" in finding.remedy  # the norm it names
        before = [p.detach().double().clone() for p in twin.parameters()]
        slope = [p.grad.double().clone() / (float(norm) if clip else 1) for p in twin.parameters()]
        slope = (
            [g * (float(norm) / finding.suggestion["clip_norm"]) for g in slope] if clip else slope
        )
        sgd(twin, 100.0).step()
        moved = [p.detach().double() - b for p, b in zip(twin.parameters(), before, strict=True)]
        first = -sum(float((g * m).sum()) for g, m in zip(slope, moved, strict=True))
        with torch.no_grad():
            return first / float(loss), float(F.cross_entropy(twin(inputs), targets))

    raw, _ = step(clip=False)
    assert raw > 1
    _, ended = step(clip=True)
    assert ended < found.loss
    # An optimizer that divides by the gradient's size does not feel a clip.
    adam = torch.optim.Adam(model.parameters(), 10.0)
    assert "clip_norm" not in judge(model, adam).findings[0].suggestion


@pytest.mark.parametrize("name", ["tiny-learning-rate", "huge-learning-rate"])
def test_the_range_of_rates_holds_the_ones_that_learn(name):
    case = cases.load(name)
    numbers = of_case(name).findings[0].suggestion
    low, high = numbers["learning_rate_low"], numbers["learning_rate_high"]
    assert low <= numbers["learning_rate"] <= high
    ends = {}
    for rate in (low / 1000, math.sqrt(low * high), high * 1000):
        torch.manual_seed(0)
        model = case.model()
        optimizer = sgd(model, rate)
        inputs, targets = case.batch()
        for _ in range(20):
            optimizer.zero_grad()
            case.loss(model(inputs), targets).backward()
            optimizer.step()
        ends[rate] = float(case.loss(model(inputs), targets).detach())
    middle = math.sqrt(low * high)
    others = [end for rate, end in ends.items() if rate != middle]
    assert all(ends[middle] < 0.8 * end or math.isnan(end) for end in others)


def test_the_proposed_decay_weighs_as_much_as_the_gradient():
    torch.manual_seed(0)
    model = mlp(2)
    finding = judge(model, sgd(model, 0.1, weight_decay=3.0)).findings[0]
    assert finding.cause == "weight-decay"
    decay = finding.suggestion["weight_decay"]
    inputs, targets = digits()
    gradients = torch.autograd.grad(F.cross_entropy(model(inputs), targets), model.parameters())
    pull = math.hypot(*(decay * float(p.detach().norm()) for p in model.parameters()))
    push = math.hypot(*(float(g.norm()) for g in gradients))
    assert pull == pytest.approx(push, rel=0.1)


def test_rounding_names_the_step_and_what_the_type_can_tell():
    found = of_case("bf16-updates")
    finding = found.findings[0]
    assert finding.cause == "precision"
    assert finding.suggestion["resolution"] == torch.finfo(torch.bfloat16).eps / 2
    step = finding.suggestion["relative_step"]
    assert 0 < step < finding.suggestion["resolution"]
    # Rounded stochastically, a weight moves once in so many steps, and on average by the step.
    torch.manual_seed(0)
    weight = torch.full((200_000,), 1.5)
    exact = weight * (1 - step)
    spacing = 2**-7  # of bfloat16 between 1 and 2
    low = (exact / spacing).floor() * spacing
    rounded = low + spacing * (torch.rand_like(exact) < (exact - low) / spacing)
    share = float((rounded != weight).float().mean())
    assert float((weight - rounded).mean()) == pytest.approx(1.5 * step, rel=0.05)
    every = round(torch.finfo(torch.bfloat16).eps / step)
    assert f"one step in {every} moves a weight" in finding.remedy
    assert 1 / share == pytest.approx(every, rel=0.5)  # between half and all of it, by the weight
    assert "stochastically" in finding.remedy
    assert "float32" in finding.remedy


@pytest.mark.parametrize("name", ["plain-mlp", "plain-cnn", "plain-rnn", "tanh-mlp", "sigmoid-mlp"])
def test_the_proposed_skips_are_those_that_rewire_makes(name):
    case = cases.load(name)
    torch.manual_seed(0)
    model = case.model()
    found = diagnose(model, case.batch(), case.loss)
    finding = found.findings[0]
    plan = rewire(model, case.batch()[0], diagnosis=found).plan
    assert finding.skips == tuple((skip.source, skip.destination) for skip in plan.skips)
    assert finding.suggestion["skips"] == len(plan.skips)
    assert f"{len(plan.skips)} skips" in finding.remedy.replace("Skips", "skips")


def test_the_proposed_skips_can_be_asked_about(tmp_path):
    found = of_case("plain-mlp")
    finding = found.findings[0]
    assert finding.treatment == "skip"
    asked = found.what_if(skip=finding.skips)
    assert asked.lost_after < 1 < 15 < found.decades_lost
    assert read(found.save(tmp_path / "found.json")) == found


def test_the_skips_inside_of_a_branch_are_made_by_a_plan():
    torch.manual_seed(0)
    model = LongBranches(12)
    finding = judge(model).findings[0]
    assert finding.treatment == "skip"
    assert all(end.startswith("branches.") for ends in finding.skips for end in ends)
    assert "plan=plan" in finding.remedy
    plan = Plan("add", tuple(PlannedSkip(*ends) for ends in finding.skips))
    rewired = rewire(model, digits()[0], plan=plan).model
    assert len(judge(rewired).skips) == len(finding.skips) + 2
    assert "inside of a branch" not in " ".join(each.title for each in judge(rewired).findings)


def test_where_nothing_is_to_do_no_number_is_given():
    torch.manual_seed(0)
    for finding in judge(mlp(3)).findings:
        assert finding.suggestion == {}
        assert finding.skips == ()


RATES = {
    "SGD": lambda p, rate: torch.optim.SGD(p, lr=rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.9),
    "Adam": lambda p, rate: torch.optim.Adam(p, lr=rate),
    "RMSprop": lambda p, rate: torch.optim.RMSprop(p, lr=rate),
}


@pytest.mark.parametrize("given", [1e-8, 30.0], ids=["too small", "too large"])
@pytest.mark.parametrize("name", RATES)
def test_the_rate_that_is_proposed_trains_on_batches_it_was_not_tried_on(name, given):
    """Few steps on one batch end lowest at a rate at which a training comes apart."""
    (inputs, targets), make = digits(1024), RATES[name]

    def network():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 48),
            nn.ReLU(), nn.Linear(48, 10),
        )  # fmt: skip

    model = network()
    batch = inputs[:64], targets[:64]
    optimizer = make(model.parameters(), given)
    found = diagnose(model, batch, nn.functional.cross_entropy, optimizer=optimizer)
    assert found.cause == ("lr-too-small" if given < 1 else "lr-too-large")
    rate = found.findings[0].suggestion["learning_rate"]
    losses = []
    optimizer = make(model.parameters(), rate)
    for _ in range(250):
        some = torch.randint(64, len(inputs), (64,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs[some]), targets[some])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.2 * losses[0], rate
