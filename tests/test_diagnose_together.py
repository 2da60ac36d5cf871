"""Several optimizers of one training: each steps its own parameters, and all are judged as one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW, Optimizer, SparseAdam

from causes import _data as data
from skipway import Diagnosis, diagnose
from skipway._diagnose._step import Taken, summed, take_step
from skipway._diagnose._together import Together
from skipway._diagnose._trial import try_steps
from skipway._errors import OptimizerError

Muon = getattr(torch.optim, "Muon", None)
needs_muon = pytest.mark.skipif(Muon is None, reason="torch.optim.Muon came with torch 2.9")


def rows(samples: int = 128) -> tuple[Tensor, Tensor]:
    """Digits as eight tokens each, one for every row of the image."""
    (inputs, targets), _ = data.digits(64)
    return inputs.reshape(-1, 8, 8)[:samples], targets[:samples]


class Tiny(nn.Module):
    """A transformer of two blocks on the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 10)
        block = [nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True) for _ in range(2)]
        self.blocks = nn.ModuleList(block)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.embed(x)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden.mean(1))


class Words(nn.Module):
    """A sparse embedding, its mean over a sentence, and two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(64, 16, sparse=True)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.embed(words).mean(1))))


def sentences() -> tuple[Tensor, Tensor]:
    """Sentences of eight words, and whether most of them are of the first half."""
    draw = torch.Generator().manual_seed(1)
    words = torch.randint(64, (128, 8), generator=draw)
    return words, (words < 32).float().mean(1).gt(0.5).long()


def muon_and_adamw(model: nn.Module, muon: float = 0.02, adamw: float = 3e-3) -> list[Optimizer]:
    matrices = [p for n, p in model.named_parameters() if n.startswith("blocks") and p.dim() == 2]
    known = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in known]
    assert Muon is not None
    return [Muon(matrices, lr=muon), AdamW(others, lr=adamw)]


def sparse_and_dense(model: Words, sparse: float = 0.01, dense: float = 0.01) -> list[Optimizer]:
    others = [p for name, p in model.named_parameters() if not name.startswith("embed")]
    given = [SparseAdam(model.embed.parameters()), Adam(others)]
    for each, rate in zip(given, (sparse, dense), strict=True):
        each.param_groups[0]["lr"] = rate  # SparseAdam is not built at zero; a schedule gets there
    return given


def step(model: nn.Module, optimizers: Iterable[Optimizer], batch: tuple[Tensor, Tensor]) -> float:
    """Take one step as a training loop does."""
    for each in optimizers:
        each.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    for each in optimizers:
        each.step()
    return loss.item()


def gradients_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    loss = F.cross_entropy(model(batch[0]), batch[1])
    named = dict(model.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


KINDS = [
    pytest.param(Tiny, rows, muon_and_adamw, id="muon", marks=needs_muon),
    pytest.param(Words, sentences, sparse_and_dense, id="sparse"),
]


@pytest.mark.parametrize("begun", [0, 3])
@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_the_step_on_a_copy_is_the_one_that_the_loop_takes(make, batch, optimizers, begun):
    model, given = make(), batch()
    several = optimizers(model)
    for _ in range(begun):
        step(model, several, given)
    real_model, real = copy.deepcopy((model, several))
    taken = take_step(model, Together(several), gradients_of(model, given))
    before = {name: p.detach().clone() for name, p in real_model.named_parameters()}
    step(real_model, real, given)
    gradients = {name: p.grad for name, p in real_model.named_parameters()}
    for name, parameter in real_model.named_parameters():
        assert torch.equal(taken.after[name], parameter), name
        way = parameter.detach().double() - before[name].double()
        slope = gradients[name].to_dense() if gradients[name].is_sparse else gradients[name]
        assert taken.moves[name].step == pytest.approx(way.norm().item(), rel=1e-5)
        assert taken.moves[name].moved == int(((way != 0) & (slope != 0)).sum())
        progress = -(slope.double() * way).sum().item()
        assert taken.moves[name].progress == pytest.approx(progress, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_the_callers_optimizers_stay_bit_for_bit(make, batch, optimizers):
    model, given = make(), batch()
    several = optimizers(model)
    for _ in range(2):
        step(model, several, given)
    states = copy.deepcopy([each.state_dict() for each in several])
    weights = copy.deepcopy(model.state_dict())
    grads = [p.grad for p in model.parameters()]
    held = [[id(p) for group in each.param_groups for p in group["params"]] for each in several]
    diagnose(model, given, F.cross_entropy, optimizer=several, steps=5)
    assert same(states, [each.state_dict() for each in several])
    assert same(weights, model.state_dict())
    assert all(p.grad is grad for p, grad in zip(model.parameters(), grads, strict=True))
    assert held == [[id(p) for g in each.param_groups for p in g["params"]] for each in several]


def parts(model: nn.Module) -> list[dict[str, Any]]:
    own = list(model.parameters())
    return [{"params": own[: len(own) // 2]}, {"params": own[len(own) // 2 :]}]


GROUPS: dict[str, tuple[Callable[..., Optimizer], list[dict[str, Any]]]] = {
    "momentum": (SGD, [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.03, "momentum": 0.5}]),
    "decay": (Adam, [{"lr": 1e-3, "weight_decay": 0.1}, {"lr": 1e-2}]),
    "zero": (SGD, [{"lr": 0.0}, {"lr": 0.1}]),
    "too large": (SGD, [{"lr": 1e3}, {"lr": 1e3}]),
    "too small": (SGD, [{"lr": 1e-7, "momentum": 0.9}, {"lr": 1e-7, "momentum": 0.9}]),
    "far apart": (SGD, [{"lr": 1e-6}, {"lr": 0.1}]),
}


@pytest.mark.parametrize("name", GROUPS)
def test_two_groups_and_two_optimizers_give_the_same_numbers(name):
    kind, options = GROUPS[name]
    batch = rows(64)
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(24, 10))
    groups = [{**part, **option} for part, option in zip(parts(model), options, strict=True)]
    one = Together([kind(groups, lr=1.0)])
    two = Together([kind([group], lr=1.0) for group in copy_of(groups)])
    taken = [take_step(model, each, gradients_of(model, batch)) for each in (one, two)]
    assert taken[0].moves == taken[1].moves
    assert taken[0].growing == taken[1].growing
    assert numbers(taken[0]) == numbers(taken[1])

    def evaluate(network: nn.Module) -> Tensor:
        return F.cross_entropy(network(batch[0]), batch[1])

    for factor in (1.0, 0.1):
        losses = [try_steps(model, each, [evaluate], 8, factor=factor)[0] for each in (one, two)]
        assert losses[0] == losses[1]
    found = [
        diagnose(model, batch, F.cross_entropy, optimizer=given)
        for given in (one.each[0], list(two.each))
    ]
    assert found[0].layers == found[1].layers
    assert [each.cause for each in found[0].findings] == [each.cause for each in found[1].findings]


def copy_of(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(group) for group in groups]  # the very parameters


def numbers(taken: Taken) -> tuple[float, ...]:
    step = summed(taken, 1.0)
    return step.progress, step.planned, step.lost, step.decay, step.growing, step.steady


def test_the_momentum_of_each_parameter_counts():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    several = [SGD(model[0].parameters(), lr=0.1, momentum=0.9), SGD(model[1].parameters(), lr=0.2)]
    gradients = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    taken = take_step(model, Together(several), gradients)
    squares = {name: g.double().square().sum().item() for name, g in gradients.items()}
    first = sum(square for name, square in squares.items() if name.startswith("0"))
    second = sum(square for name, square in squares.items() if name.startswith("1"))
    stepped = summed(taken, 1.0)
    # Momentum 0.9 makes steps along one gradient ten times as large in the end.
    assert stepped.steady_each == pytest.approx((0.1 * 10 * first, 0.2 * second), rel=1e-5)
    assert stepped.steady == pytest.approx(sum(stepped.steady_each), rel=1e-5)


@needs_muon
def test_momentum_does_not_make_the_steps_of_muon_larger():
    torch.manual_seed(0)
    layer = nn.Linear(8, 8, bias=False)
    start = layer.weight.detach().clone()
    assert Muon is not None
    muon = Muon(layer.parameters(), lr=0.1, weight_decay=0.0)
    gradient = torch.randn(8, 8)
    assert take_step(layer, Together([muon]), {"weight": gradient}).growing == {"weight": 1.0}
    ways = []
    for _ in range(40):
        before = layer.weight.detach().clone()
        layer.weight.grad = gradient.clone()
        muon.step()
        ways.append((layer.weight.detach() - before).norm().item())
    assert ways[-1] == pytest.approx(ways[0], rel=0.05)
    assert (layer.weight - start).norm() > 0


def test_the_share_of_epsilon_is_that_of_the_rows_that_are_stepped():
    model, batch = Words(), sentences()
    words = batch[0].clamp(max=9)  # ten of 64 rows
    gradients = gradients_of(model, (words, batch[1]))
    large = SparseAdam(model.embed.parameters(), lr=0.01, eps=1e-20)
    assert take_step(model, Together([large]), gradients).epsilon == 0
    slopes = gradients["embed.weight"].to_dense()[: words.max() + 1]
    # The root of the mean of squares after one step, which SparseAdam does not correct.
    root = math.sqrt(1 - 0.999) * slopes.abs()
    small = SparseAdam(model.embed.parameters(), lr=0.01, eps=root.median().item())
    expected = (root < root.median().item()).double().mean().item()
    epsilon = take_step(model, Together([small]), gradients).epsilon
    assert epsilon == pytest.approx(expected, abs=2 / root.numel())


def look(make: Any, batch: Any, optimizers: Any, *rates: float) -> Diagnosis:
    model = make()
    return diagnose(model, batch(), F.cross_entropy, optimizer=optimizers(model, *rates))


def trained(make: Any, batch: Any, optimizers: Any, *rates: float) -> float:
    """The loss of a real training over what it began with."""
    model = make()
    several = optimizers(model, *rates)
    losses = [step(model, several, batch()) for _ in range(60)]
    return losses[-1] / losses[0] if math.isfinite(losses[-1]) else math.inf


@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_a_healthy_training_by_two_optimizers_is_called_healthy(make, batch, optimizers):
    found = look(make, batch, optimizers)
    assert trained(make, batch, optimizers) < 0.5
    assert [each.cause for each in found.findings] == ["healthy"]
    assert not found.notes


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_a_rate_too_large_in_one_names_that_one(make, batch, optimizers, at):
    rates = [0.02, 3e-3] if make is Tiny else [0.01, 0.01]
    rates[at] = 1e3
    found = look(make, batch, optimizers, *rates)
    name = type(optimizers(make())[at]).__name__
    assert found.cause == "lr-too-large"
    assert f"The steps of {name} are too large" in found.headline
    (proposed,) = found.findings[0].suggestion.items()
    assert proposed[0] == f"learning_rate/{name}"
    far = trained(make, batch, optimizers, *rates)
    rates[at] = proposed[1]
    assert trained(make, batch, optimizers, *rates) < 0.7 * min(far, 1.0)


@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_rates_too_small_in_both_are_raised_together(make, batch, optimizers):
    found = look(make, batch, optimizers, 1e-7, 1e-7)
    assert found.cause == "lr-too-small"
    assert trained(make, batch, optimizers, 1e-7, 1e-7) > 0.99
    rates = found.findings[0].suggestion
    assert [key.partition("/")[0] for key in rates] == ["learning_rate"] * 2
    assert trained(make, batch, optimizers, *rates.values()) < 0.7


@pytest.mark.parametrize("rate", [0.0, 1e-9])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("make", "batch", "optimizers"), KINDS)
def test_next_to_no_rate_in_one_is_told_with_its_layers(make, batch, optimizers, at, rate):
    rates = [0.02, 3e-3] if make is Tiny else [0.01, 0.01]
    rates[at] = rate
    found = look(make, batch, optimizers, *rates)
    told = next(each for each in found.findings if each.title.startswith("A part learns at next"))
    model = make()
    own = {id(p) for group in optimizers(model)[at].param_groups for p in group["params"]}
    held = {n.removesuffix(".weight") for n, p in model.named_parameters() if id(p) in own}
    assert set(told.layers) == held & {layer.name for layer in found.layers}
    assert f"{found.optimizer}".count(",") == 1
    assert found.learning_rate is None


def test_a_rate_of_zero_before_which_nothing_is_learned_is_the_cause():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    inputs, targets = rows(128)
    with torch.no_grad():
        model[1].weight.zero_()  # of images nothing comes through until this layer moves
        model[1].bias.zero_()
    several = [SGD(model[1].parameters(), lr=0.0), Adam(model[3].parameters(), lr=0.01)]
    found = diagnose(model, (inputs, targets), F.cross_entropy, optimizer=several)
    assert found.cause in ("lr-too-small", "collapsed-signal")
    told = next(each for each in found.findings if each.cause == "lr-too-small")
    assert told.layers == ("1",)
    assert "everything free to learn" in told.evidence


@needs_muon
def test_a_parameter_in_none_of_them_is_told():
    model = Tiny()
    muon, adamw = muon_and_adamw(model)
    del adamw.param_groups[0]["params"][:2]  # weight and bias of `embed`
    found = diagnose(model, rows(), F.cross_entropy, optimizer=[muon, adamw])
    told = next(each for each in found.findings if each.cause == "frozen")
    assert told.layers == ("embed",)
    assert "no optimizer holds" in told.evidence
    assert not next(layer for layer in found.layers if layer.name == "embed").trainable


def test_one_that_holds_nothing_of_the_model_is_an_error():
    model, other = Words(), Words()
    sparse, dense = sparse_and_dense(model)
    strange: list[Optimizer] = [sparse_and_dense(other)[0], dense]
    with pytest.raises(OptimizerError, match=r"SparseAdam\) holds 1 parameter and none of them"):
        diagnose(model, sentences(), F.cross_entropy, optimizer=strange)
    twice = [sparse, dense, SGD(model.hidden.parameters(), lr=0.1)]
    with pytest.raises(OptimizerError, match=r"two optimizers, Adam and SGD \(`hidden.weight`"):
        diagnose(model, sentences(), F.cross_entropy, optimizer=twice)
    with pytest.raises(OptimizerError, match="leave it out of the list if it trains another"):
        diagnose(model, sentences(), F.cross_entropy, optimizer=strange)
    with pytest.raises(OptimizerError, match="is a NoneType"):
        diagnose(model, sentences(), F.cross_entropy, optimizer=[sparse, None])
    with pytest.raises(OptimizerError, match="class SGD"):
        diagnose(model, sentences(), F.cross_entropy, optimizer=[sparse, SGD])


class Game(nn.Module):
    """A maker of numbers and the judge of them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.judge = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))


def test_two_with_a_loss_each_are_told_to_be_diagnosed_one_by_one():
    game = Game()
    maker, judge = (Adam(part.parameters(), lr=1e-3) for part in (game.maker, game.judge))
    noise, real = torch.randn(64, 4), torch.randn(64, 2) + 2

    def judges_loss(model: Game, batch: tuple[Tensor, Tensor]) -> Tensor:
        made = model.judge(model.maker(batch[0]).detach())
        known = model.judge(batch[1])
        ones, zeros = torch.ones_like(known), torch.zeros_like(made)
        right = F.binary_cross_entropy_with_logits(known, ones)
        return right + F.binary_cross_entropy_with_logits(made, zeros)

    found = diagnose(game, (noise, real), objective=judges_loss, optimizer=[maker, judge])
    assert any("Adam 1 holds gets a gradient from this loss" in note for note in found.notes)
    alone = diagnose(game.judge, (noise, real), objective=lambda judge, batch: judges_loss(
        game, batch), optimizer=judge)  # fmt: skip
    assert alone.cause == "healthy"
    assert alone.layers[0].progress == found.layers[-2].progress
