"""The diagnosis against independent arithmetic, known illnesses and awkward models."""

from __future__ import annotations

import copy
import json
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skipway import cases, diagnose
from skipway._diagnose._chance import best_constant_loss
from skipway._diagnose._dependence import dependence
from skipway._diagnose._words import percent, plural, span
from skipway._errors import BatchError, LossError, ModelError, OptimizerError, SkipwayError
from skipway._results import Diagnosis

EXPECTED = {
    "plain-mlp": "vanishing",
    "plain-cnn": "vanishing",
    "tanh-mlp": "vanishing",
    "sigmoid-mlp": "vanishing",
    "plain-rnn": "vanishing",
    "healthy-mlp": "healthy",
    "dead-relu": "dead-units",
    "tiny-learning-rate": "lr-too-small",
    "huge-learning-rate": "lr-too-large",
    "bf16-updates": "precision",
    "frozen": "frozen",
    "detached": "detached",
    "solved": "solved",
}


def of_case(name: str, seed: int = 0, factor: float = 1.0) -> Diagnosis:
    case = cases.load(name)
    torch.manual_seed(seed)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters(), 1 / factor)

    def loss(output, target):
        return case.loss(output, target) * factor

    return diagnose(model, case.batch(), loss, optimizer=optimizer)


def digits(count: int = 64):
    inputs, targets = cases.load("healthy-mlp").train
    return inputs[:count], targets[:count]


def mlp(depth, act=nn.ReLU, gain=2**0.5, bias=True, head_bias=True, norm=None, width=64):
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(64, width, bias=bias)
        nn.init.orthogonal_(layer.weight, gain)
        if bias:
            nn.init.zeros_(layer.bias)
        layers += [layer, *([norm(width)] if norm else []), *([act()] if act else [])]
    return nn.Sequential(*layers, nn.Linear(width, 10, bias=head_bias))


class Residual(nn.Module):
    """`x + b(relu(a(x)))`, `blocks` times, between a stem and a head."""

    def __init__(self, blocks=12, zero=False, inplace=False):
        super().__init__()
        self.stem = nn.Linear(64, 64)
        self.a = nn.ModuleList(nn.Linear(64, 64) for _ in range(blocks))
        self.b = nn.ModuleList(nn.Linear(64, 64) for _ in range(blocks))
        self.head = nn.Linear(64, 10)
        self.inplace = inplace
        if zero:
            for layer in self.b:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.stem(x)
        for a, b in zip(self.a, self.b, strict=True):
            y = b(torch.relu(a(x)))
            if self.inplace:
                y += x
                x = y
            else:
                x = x + y
        return self.head(x)


def sgd(model, rate=0.1, **options):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], rate, **options)


def judge(model, optimizer=None, batch=None, loss=F.cross_entropy, **options):
    batch = digits() if batch is None else batch
    return diagnose(model, batch, loss, optimizer=optimizer, **options)


# --- the built-in cases ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", cases.names())
def test_every_case_gets_its_cause(name, seed):
    found = of_case(name, seed)
    assert found.cause == EXPECTED[name], found.summary
    assert found.findings[0].cause == found.cause
    assert found.findings[0].treatment == found.treatment
    assert (found.treatment == "skip") == (EXPECTED[name] == "vanishing")
    assert found.place in {layer.name for layer in found.layers}


@pytest.mark.parametrize("factor", [1e6, 1e-6])
@pytest.mark.parametrize(
    "name", ["plain-mlp", "healthy-mlp", "tiny-learning-rate", "huge-learning-rate", "solved"]
)
def test_the_scale_of_the_loss_changes_nothing(name, factor):
    plain, scaled = of_case(name), of_case(name, factor=factor)
    assert scaled.cause == plain.cause
    assert scaled.decades_lost == pytest.approx(plain.decades_lost, abs=1e-3)
    assert scaled.skill == pytest.approx(plain.skill, rel=1e-3)


def test_the_main_case_reads_like_its_report():
    found = of_case("plain-mlp")
    layer = found.layer(found.place)
    assert found.headline == "The gradient dies on its way back."
    assert f"The gradient reaching `{layer.name}` is " in found.summary
    assert "4,096 of 4,096 weights stay exactly what they were" in found.summary
    assert 17 < found.decades_lost < 20  # measured beforehand, five seeds: 17.9 to 19.3
    assert [finding.cause for finding in found.findings] == [
        "vanishing",
        "collapsed-signal",
        "precision",
    ]
    assert all("follows from 1" in finding.remedy for finding in found.findings[1:])
    assert len(found.layers) == 52
    states = [layer.state for layer in found.layers]
    assert states[0] == "still"
    assert states[-1] == "arrives"
    assert {"fading", "dying"} < set(states)


def test_a_proposed_learning_rate_cures():
    for name in ("tiny-learning-rate", "huge-learning-rate"):
        case, found = cases.load(name), of_case(name)
        torch.manual_seed(0)
        model = case.model()
        optimizer = torch.optim.SGD(
            model.parameters(), found.findings[0].suggestion["learning_rate"]
        )
        inputs, targets = case.train
        for _ in range(10):
            for index in torch.arange(len(targets)).split(64):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs[index]), targets[index]).backward()
                optimizer.step()
        right = (model(case.test[0]).argmax(1) == case.test[1]).float().mean()
        assert right > 0.85


def test_the_result_survives_json():
    for name in ("plain-mlp", "dead-relu"):  # the second one has infinite decades
        found = of_case(name)
        text = json.dumps(found.to_dict(), allow_nan=False)
        assert Diagnosis.from_dict(json.loads(text)) == found


# --- numbers against independent arithmetic --------------------------------------------------


def test_elasticity_and_gradients_agree_with_float64_by_hand():
    torch.manual_seed(0)
    model, (x, y) = mlp(3, nn.Tanh, 0.5), digits()
    found = judge(model)
    twin = copy.deepcopy(model).double()
    outputs, h = [], x.double()
    for layer in twin:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            h.retain_grad()
            outputs.append(h)
    loss = F.cross_entropy(h, y)
    loss.backward()
    for reading, out, layer in zip(found.layers, outputs, twin[::2], strict=True):
        product = out.grad.norm() * out.norm() / loss
        assert reading.elasticity == pytest.approx(float(product.detach()), rel=1e-4)
        assert reading.branch_elasticity == pytest.approx(reading.elasticity)
        assert reading.output_gradient == pytest.approx(float(out.grad.norm()), rel=1e-4)
        assert reading.gradient == pytest.approx(float(layer.weight.grad.norm()), rel=1e-4)
        centred = (out - out.mean(0)).norm() / out.norm()
        assert reading.signal == pytest.approx(float(centred.detach()), rel=1e-4)


@pytest.mark.parametrize("inplace", [False, True])
def test_beside_a_skip_both_ways_are_weighed(inplace):
    torch.manual_seed(0)
    model, (x, y) = Residual(1, inplace=inplace), digits()
    found = judge(model)
    with torch.no_grad():
        stem = model.stem(x)
        hidden = model.a[0](stem)
        branch = model.b[0](torch.relu(hidden))
    # The skip and the branch as inputs of their own: each gets only what comes its own way.
    skip, into_a = stem.clone().requires_grad_(), stem.clone().requires_grad_()
    middle = model.a[0](into_a)
    out = model.b[0](torch.relu(middle))
    loss = F.cross_entropy(model.head(skip + out), y)
    by_skip, by_branch, at_a, at_b = torch.autograd.grad(loss, [skip, into_a, middle, out])
    over = (by_skip.norm() * stem.norm()).item()
    for name, gradient, value in (("a.0", at_a, hidden), ("b.0", at_b, branch)):
        own = (gradient.norm() * value.norm()).item()
        assert found.layer(name).elasticity == pytest.approx(
            math.hypot(own, over) / loss.item(), rel=1e-4
        )
        assert found.layer(name).branch_elasticity == pytest.approx(own / loss.item(), rel=1e-4)
    assert found.layer("stem").via_skip == pytest.approx(by_skip.norm().item(), rel=1e-4)
    assert found.layer("stem").via_branch == pytest.approx(by_branch.norm().item(), rel=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.05),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01, nesterov=True),
        lambda p: torch.optim.Adam(p, 1e-3),
        lambda p: torch.optim.AdamW(p, 1e-3),
        lambda p: torch.optim.RMSprop(p, 1e-3),
    ],
)
def test_the_step_is_the_one_the_optimizer_takes(make):
    torch.manual_seed(0)
    model, (x, y) = mlp(2), digits()
    optimizer = make(model.parameters())
    for _ in range(3):  # so that there is a state
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    found = judge(model, optimizer)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    for i, (reading, layer) in enumerate(zip(found.layers, layers, strict=True)):
        moves = [
            (p.detach() - before[2 * i + k]).double() for k, p in enumerate(layer.parameters())
        ]
        work = sum(
            -(p.grad.double() * m).sum().item()
            for p, m in zip(layer.parameters(), moves, strict=True)
        )
        live = layer.weight.grad != 0
        assert reading.progress == pytest.approx(work / loss.item(), rel=1e-3)
        assert reading.moved == int(((moves[0] != 0) & live).sum())
        assert reading.with_gradient == int(live.sum())
        assert reading.step == pytest.approx(
            (moves[0].norm() / before[2 * i].norm()).item(), rel=1e-3
        )


def test_lost_updates_are_counted_weight_by_weight():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1e-4]]))
    batch = (torch.ones(2, 2), torch.zeros(2, 1))
    # dL/dw = 2 * (1 + 1e-4) for both; a step of 2e-8 moves 1e-4 and not 1, whose ulp is 6e-8.
    found = diagnose(model, batch, F.mse_loss, optimizer=sgd(model, 1e-8), steps=0)
    assert (found.layers[0].with_gradient, found.layers[0].moved) == (2, 1)


def test_chance_is_the_entropy_and_the_variance():
    targets = torch.tensor([0, 0, 0, 1, 2, 2])
    share = np.array([3, 1, 2]) / 6
    entropy = float(-(share * np.log(share)).sum())
    found = best_constant_loss(F.cross_entropy, torch.randn(6, 3), targets)
    assert found == pytest.approx(entropy, rel=1e-4)
    scaled = best_constant_loss(
        lambda o, t: 1e-6 * F.cross_entropy(o, t), torch.randn(6, 3), targets
    )
    assert scaled == pytest.approx(1e-6 * entropy, rel=1e-4)
    values = torch.tensor([[1.0], [2.0], [6.0]])
    assert best_constant_loss(F.mse_loss, torch.randn(3, 1), values) == pytest.approx(14 / 3)
    assert best_constant_loss(F.l1_loss, torch.randn(3, 1), values) == pytest.approx(
        5 / 3, rel=0.01
    )
    binary = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    found = best_constant_loss(F.binary_cross_entropy_with_logits, torch.randn(4, 1), binary)
    assert found == pytest.approx(expected, rel=1e-4)
    assert best_constant_loss(F.cross_entropy, {"logits": 1}, targets) is None


def test_dependence_tells_labels_from_shuffled_labels():
    inputs, targets = digits(128)
    assert dependence([inputs], [targets]) == 2 / 200  # none of 199 permutations, by two tests
    order = torch.randperm(128, generator=torch.Generator().manual_seed(3))
    values = [dependence([inputs], [targets[order.roll(k)]]) for k in range(1, 9)]
    assert sum(value < 0.05 for value in values) <= 2  # one in twenty under the null
    assert dependence([inputs], [inputs[:, :3].sum(1)]) == 2 / 200


def test_dependence_sees_what_goes_up_and_down_over_the_inputs():
    generator = torch.Generator().manual_seed(4)
    places = 2 * torch.rand(128, 2, generator=generator) - 1
    waves = torch.sin(9 * places[:, 0]) * torch.cos(7 * places[:, 1])
    # Its correlation with each coordinate, which is what a straight line would use, is next to 0.
    assert torch.corrcoef(torch.stack([*places.T, waves]))[2, :2].abs().max() < 0.2
    assert dependence([places], [waves]) == 2 / 200
    orders = [torch.randperm(128, generator=generator) for _ in range(20)]
    # Of two tests the better one counts, and twice: under the null one in twenty at most.
    assert sum(dependence([places], [waves[order]]) < 0.05 for order in orders) <= 3


# --- known illnesses beyond the cases --------------------------------------------------------


class _Broken(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.first, self.last, self.how = nn.Linear(64, 64), nn.Linear(64, 10), how

    def forward(self, x):
        x = self.first(x)
        if self.how == "log":
            x = torch.log(x)
        if self.how == "root":
            x = torch.sqrt((0 * x).square())
        if self.how == "data":
            x = x.data
        if self.how == "no_grad":
            with torch.no_grad():
                x = torch.relu(x)
        return self.last(x)


@pytest.mark.parametrize(("how", "word"), [("log", "`log`"), ("root", "`first`")])
def test_non_finite_values_are_placed(how, word):
    model = _Broken(how)
    found = judge(model, sgd(model))
    assert found.cause == "non-finite"
    assert word in found.findings[0].evidence
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_non_finite_weights_are_named():
    model = mlp(2)
    with torch.no_grad():
        model[2].weight[0, 0] = math.nan
    found = judge(model, sgd(model))
    assert found.cause == "non-finite"
    assert "`2.weight`" in found.findings[0].evidence


@pytest.mark.parametrize("how", ["data", "no_grad"])
def test_other_ways_to_cut_the_gradient_off(how):
    model = _Broken(how)
    found = judge(model, sgd(model))
    assert found.cause == "detached"
    assert found.findings[0].layers == ("first",)
    assert found.layer("first").decades_lost == math.inf


def test_a_stop_gradient_on_frozen_layers_is_no_cut():
    model = _Broken("data")
    model.first.requires_grad_(False)
    assert judge(model, sgd(model)).cause == "healthy"


def test_everything_frozen_is_frozen():
    model = mlp(2).requires_grad_(False)
    assert judge(model).cause == "frozen"


def test_fine_tuning_on_purpose_is_healthy():
    torch.manual_seed(0)
    model = mlp(3)
    model[:-1].requires_grad_(False)
    found = judge(model, sgd(model, 0.3))
    assert [finding.cause for finding in found.findings] == ["healthy", "frozen"]
    assert "whether it is meant" in found.findings[1].sure


def test_a_head_exchanged_after_the_optimizer_was_built():
    model = mlp(3)
    optimizer = sgd(model)
    model[-1] = nn.Linear(64, 10)
    found = judge(model, optimizer)
    assert "frozen" in {finding.cause for finding in found.findings}
    assert found.layers[-1].trainable is False
    (finding,) = [each for each in found.findings if each.cause == "frozen"]
    assert "the optimizer does not hold" in finding.evidence


def test_deep_linear_network_with_small_weights():
    """Forward and backward shrink together: every ratio of first to last looks perfect."""
    torch.manual_seed(0)
    model = mlp(20, act=None, gain=0.3, bias=False, head_bias=False)
    found = judge(model, sgd(model))
    assert found.decades_lost < 1
    assert (found.cause, found.treatment) == ("vanishing", "skip")


def test_one_leaking_layer_is_no_matter_of_depth():
    torch.manual_seed(0)
    model = mlp(20)
    with torch.no_grad():
        model[20].weight.mul_(1e-6)
    found = judge(model, sgd(model))
    assert (found.cause, found.treatment) == ("vanishing", "initialisation")
    assert "`20`" in found.findings[0].title


def test_exploding_saturated_and_shuffled():
    torch.manual_seed(0)
    model = mlp(30, gain=4.0)
    assert judge(model, sgd(model)).cause == "exploding"
    model = mlp(5, nn.Tanh, gain=40.0)
    assert judge(model, sgd(model)).cause == "saturation"
    labels = torch.randint(10, (256,), generator=torch.Generator().manual_seed(1))
    model = mlp(2, width=64)
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    assert judge(model, adam, (digits(256)[0], labels)).cause == "no-signal"
    assert judge(model, adam, digits(256)).cause == "healthy"
    assert judge(model, adam, (digits()[0], torch.zeros(64).long())).cause == "no-signal"


def test_step_size_hidden_in_decay_or_epsilon():
    torch.manual_seed(0)
    model = mlp(3)
    assert judge(model, sgd(model, 0.03, weight_decay=1.0)).cause == "weight-decay"
    assert judge(model, sgd(model, 0.1, weight_decay=5e-4)).cause == "healthy"
    found = judge(model, torch.optim.Adam(model.parameters(), 1e-3, eps=10.0))
    assert found.cause == "lr-too-small"
    assert "epsilon" in found.findings[0].evidence


# --- healthy and awkward ---------------------------------------------------------------------


class _DictOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(2)

    def forward(self, image):
        return {"logits": self.net(image)}


class _Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        for _ in range(4):
            x = x + torch.relu(self.cell(x))
        return self.head(x)


class _Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(8, 64, 2, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.cell(x.reshape(-1, 8, 8))[0][:, -1])


class _Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.grow = nn.ModuleList(nn.Conv2d(12 * (i + 1), 12, 3, padding=1) for i in range(6))
        self.norm = nn.ModuleList(nn.BatchNorm2d(12 * (i + 1)) for i in range(6))
        self.head = nn.Linear(84, 10)

    def forward(self, x):
        x = self.stem(x.reshape(-1, 1, 8, 8))
        for norm, layer in zip(self.norm, self.grow, strict=True):
            x = torch.cat([x, layer(F.relu(norm(x), inplace=True))], 1)
        return self.head(x.mean((2, 3)))


class _Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(self.embed(x.reshape(-1, 8, 8))).mean(1))


HEALTHY = {
    "zero-branch": (lambda: Residual(12, zero=True), 0.03),
    "residual": (lambda: Residual(12), 0.03),
    "residual-inplace": (lambda: Residual(12, inplace=True), 0.03),
    "critical-tanh-50": (lambda: mlp(50, nn.Tanh, 1.05), 0.01),
    "critical-relu-30": (lambda: mlp(30), 0.01),
    "shared": (_Shared, 0.03),
    "lstm": (_Recurrent, 1.0),
    "dense-conv": (_Convolutions, 0.1),
    "attention": (_Attention, 0.03),
    "linear": (lambda: nn.Linear(64, 10), 0.5),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_networks_are_left_alone(name):
    make, rate = HEALTHY[name]
    torch.manual_seed(0)
    model = make()
    found = judge(model, sgd(model, rate))
    assert found.cause == "healthy", found.summary


def test_a_head_that_starts_at_zero_is_not_called_vanishing():
    torch.manual_seed(0)
    model = mlp(12)
    nn.init.zeros_(model[-1].weight)
    found = judge(model, sgd(model, 0.01))
    assert found.cause != "vanishing"
    assert any("`24` starts at exactly zero" in note for note in found.notes)


def test_objectives_outputs_and_losses_of_any_kind():
    torch.manual_seed(0)
    inputs, targets = digits()
    model = _DictOutput()
    batch = {"image": inputs, "label": targets}
    found = diagnose(
        model,
        batch,
        objective=lambda m, b: F.cross_entropy(m(b["image"])["logits"], b["label"]),
        optimizer=sgd(model),
    )
    assert (found.cause, found.chance, found.batch) == ("healthy", None, 64)
    keywords = diagnose(
        model, ({"image": inputs}, targets), lambda o, t: F.cross_entropy(o["logits"], t)
    )
    assert keywords.loss == pytest.approx(found.loss)
    critic = diagnose(mlp(3), inputs, objective=lambda m, b: -m(b).square().mean())
    assert critic.relative
    assert max(layer.elasticity for layer in critic.layers) == pytest.approx(1)
    assert any("relative" in note for note in critic.notes)


def test_bfloat16_and_autocast():
    torch.manual_seed(0)
    inputs, targets = digits()
    model = mlp(3).to(torch.bfloat16)
    assert judge(model, sgd(model), (inputs.bfloat16(), targets)).cause == "healthy"
    model = mlp(3)

    def objective(m, batch):
        with torch.autocast("cpu", torch.bfloat16):
            return F.cross_entropy(m(batch[0]).float(), batch[1])

    found = diagnose(model, (inputs, targets), objective=objective, optimizer=sgd(model))
    assert found.cause == "healthy"


def test_called_without_gradients_around_it():
    model = mlp(3)
    with torch.no_grad():
        assert judge(model).cause == "healthy"


# --- the caller's model stays as it is -------------------------------------------------------


class _Awkward(nn.Module):
    """Dropout, a running mean, a counter, a frozen norm, hooks."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(inplace=True), nn.Dropout(0.5)
        )
        self.head = nn.Linear(32, 10)
        self.register_buffer("calls", torch.zeros(()))
        self.fail = False

    def forward(self, x):
        self.calls += 1
        self.last = x
        x = self.net(x)
        if self.fail:
            raise RuntimeError("on purpose")
        return self.head(x)


def snapshot(model, optimizer):
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "ids": [id(each) for each in (*model.parameters(), *model.buffers())],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "needs": [p.requires_grad for p in model.parameters()],
        "mode": [module.training for module in model.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in model.modules()
        ],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "random": (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()),
    }


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_and_the_optimizer_stay_bit_for_bit(fail):
    torch.manual_seed(0)
    model = _Awkward()
    model.net[1].eval()
    model.head.bias.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-3)
    F.cross_entropy(model(digits()[0]), digits()[1]).backward()
    optimizer.step()
    fired = []
    optimizer.register_step_post_hook(lambda *_: fired.append(1))
    model.fail = fail
    before = snapshot(model, optimizer)
    if fail:
        with pytest.raises(ModelError, match="on purpose"):
            judge(model, optimizer)
    else:
        judge(model, optimizer)
    after = snapshot(model, optimizer)
    for key in before:
        assert equal(before[key], after[key]), key
    assert not fired


# --- bad input -------------------------------------------------------------------------------


def test_errors_say_what_is_wrong():
    inputs, targets = digits()
    model = mlp(2)
    with pytest.raises(LossError, match="exactly one"):
        diagnose(model, (inputs, targets))
    with pytest.raises(LossError, match="exactly one"):
        diagnose(model, (inputs, targets), F.cross_entropy, objective=lambda m, b: m(b[0]).sum())
    with pytest.raises(ModelError, match="no parameters"):
        judge(nn.ReLU())
    with pytest.raises(ModelError, match=r"`0` \(Linear\)"):
        judge(model, batch=(inputs[:, :60], targets))
    with pytest.raises(BatchError, match="one sample"):
        judge(model, batch=(inputs[:1], targets[:1]))
    with pytest.raises(BatchError, match="64 inputs and 63 targets"):
        judge(model, batch=(inputs, targets[:63]))
    with pytest.raises(BatchError, match="pair"):
        judge(model, batch=inputs)
    with pytest.raises(LossError, match="not one number"):
        judge(model, loss=lambda o, t: F.cross_entropy(o, t, reduction="none"))
    with pytest.raises(LossError, match="carries no gradient"):
        judge(model, loss=lambda o, t: F.cross_entropy(o.detach(), t))
    with pytest.raises(LossError, match=r"raised .*shape \(64, 10\)"):
        judge(model, loss=lambda o, t: F.mse_loss(o, t[None, :, None, None].float() @ o))
    with pytest.raises(OptimizerError, match="none of them is of this model"):
        judge(model, sgd(copy.deepcopy(model)))
    with pytest.raises(OptimizerError, match="is a dict"):
        judge(model, {"lr": 0.1})
    with pytest.raises(OptimizerError, match=r"class Adam\. Build it: Adam\("):
        judge(model, torch.optim.Adam)
    with pytest.raises(OptimizerError, match="held by two optimizers, SGD 1 and SGD 2"):
        judge(model, [sgd(model), sgd(model)])
    with pytest.raises(OptimizerError, match="list of optimizers is empty"):
        judge(model, [])
    with pytest.raises(OptimizerError, match="none of them is of this model"):
        judge(model, [sgd(model), sgd(copy.deepcopy(model))])
    with pytest.raises(LossError, match=r"class CrossEntropyLoss\. Build it"):
        judge(model, loss=nn.CrossEntropyLoss)
    data = TensorDataset(inputs, targets)
    for some in (data, DataLoader(data, 8)):
        with pytest.raises(BatchError, match=r"Give one batch of it: next\(iter"):
            judge(model, batch=some)
        with pytest.raises(BatchError, match=r"Give one batch of it: next\(iter"):
            diagnose(model, some, objective=lambda m, b: m(b[0]).sum())
    with pytest.raises(ModelError, match="lazy"):
        judge(nn.Sequential(nn.LazyLinear(10)))
    assert issubclass(LossError, SkipwayError)


def test_nan_in_the_data_is_counted_and_placed():
    inputs, targets = digits()
    inputs = inputs.clone()
    inputs[5, 3] = inputs[5, 4] = inputs[9, 0] = math.nan
    with pytest.raises(BatchError, match=r"3 values that are NaN, in 2 samples of 64.*sample 5"):
        judge(mlp(2), batch=(inputs, targets))


# --- words -----------------------------------------------------------------------------------


def test_words():
    assert plural(1, "layer") == "1 layer"
    assert plural(1200, "layer") == "1,200 layers"
    assert percent(0.999) == "more than 99 %"
    assert percent(0.001) == "less than 1 %"
    assert percent(1.0) == "100 %"
    assert span(["a", "b", "c"], 9) == "`a` to `c`: 3 of 9 layers"
    assert span(["a", "b"], 9) == "`a` and `b`"
    assert span(["a"], 1) == "`a`"


@pytest.mark.parametrize("name", cases.names())
def test_words_of_every_case_are_for_readers(name):
    found = of_case(name)
    texts = [found.headline, found.summary, *found.absent, *found.notes]
    for finding in found.findings:
        texts += [finding.title, finding.place, finding.evidence, finding.remedy, finding.sure]
    for text in texts:
        assert text.strip()
        assert "!" not in text
        assert "None" not in text.replace("None.", "").replace("None of", "").replace("None if", "")
        assert "e-" not in text.replace("e-tun", "").replace("use_re", "")
        assert " 1 layers" not in text
        assert ".." not in text
        assert text.count("`") % 2 == 0


def test_a_later_look_gives_the_same_cause():
    case = cases.load("bf16-updates")
    torch.manual_seed(0)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters())
    inputs, targets = case.train
    for index in torch.arange(1400).split(64):
        optimizer.zero_grad()
        case.loss(model(inputs[index]), targets[index]).backward()
        optimizer.step()
    found = diagnose(model, case.batch(), case.loss, optimizer=optimizer, when="after epoch 1")
    assert (found.cause, found.when) == ("precision", "after epoch 1")


def test_a_compiled_model_is_read_layer_by_layer():
    model = torch.compile(mlp(2), backend="eager")
    model(digits()[0])  # hooks that are added after the first compile never fire
    found = judge(model, sgd(model))
    assert [layer.name for layer in found.layers] == ["0", "2", "4"]
    assert all(layer.gradient > 0 for layer in found.layers)
