"""When a diagnosis takes further steps on a copy, and what it says of those it did not take."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causes import _data as data
from skipway import Diagnosis, diagnose
from skipway._diagnose._dependence import dependence
from skipway._diagnose._step import take_step
from skipway._diagnose._together import Together
from skipway._errors import OptimizerError
from skipway._trace._travelled import TRAVELLED, travelled


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def images() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(16, 24), nn.Linear(24, 4)

    def forward(self, words: Tensor, weights: Tensor) -> Tensor:
        return self.head(torch.tanh((self.embed(words) * weights[..., None]).mean(1)))


def look(rate: float, **options: object) -> tuple[Diagnosis, list[int]]:
    """Diagnose on digits; also return how many passes every batch size took."""
    (inputs, targets), _ = data.digits(64)
    passes: list[int] = []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        passes.append(len(output))
        return F.cross_entropy(output, labels)

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), rate)
    batch = inputs[:128], targets[:128]
    return diagnose(model, batch, loss, optimizer=optimizer, **options), passes


def calls_for_a_constant() -> int:
    """Count the calls of the loss on constant answers: those of a diagnosis without steps."""
    return len(look(0.1, steps=0)[1])


def test_where_one_step_is_clear_no_other_is_taken():
    found, passes = look(0.1)
    assert found.cause == "healthy"
    assert len(passes) == calls_for_a_constant()
    assert {"steps too small", "steps too large", "labels without signal"} <= set(found.absent)
    assert "one batch and one step" in found.findings[0].sure
    assert not [note for note in found.notes if "steps=" in note]


@pytest.mark.parametrize(
    ("rate", "cause", "doubt"),
    [(1e-5, "lr-too-small", "the steps are too small"), (50, "lr-too-large", "too large")],
)
def test_where_it_leaves_a_doubt_some_are(rate, cause, doubt):
    found, passes = look(rate)
    assert found.cause == cause
    assert len(passes) > calls_for_a_constant() + 10
    quick, passes = look(rate, steps=0)
    assert len(passes) == calls_for_a_constant()
    (note,) = (note for note in quick.notes if "steps=10" in note)
    assert doubt in note
    assert {"steps too small", "steps too large"}.isdisjoint(quick.absent)


def test_a_step_that_may_be_too_large_is_looked_at_before_others_are_tried():
    (inputs, targets), _ = data.digits(64)
    batch = inputs[:128], targets[:128]
    for rate, more, cause in ((0.3, 1, "healthy"), (30.0, 40, "lr-too-large")):
        model, passes = network(), []
        optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)

        def loss(output: Tensor, labels: Tensor, passes: list[int] = passes) -> Tensor:
            passes.append(len(output))
            return F.cross_entropy(output, labels)

        found = diagnose(model, batch, loss, optimizer=optimizer)
        assert found.cause == cause
        taken = len(passes) - calls_for_a_constant()
        assert taken == more if more == 1 else taken > more


def test_steps_that_are_asked_for_are_taken():
    _, passes = look(0.1, steps=25)
    assert len(passes) == calls_for_a_constant() + 26  # one loss before each step, one at the end


def test_momentum_that_has_yet_to_build_up_is_no_small_step():
    (inputs, targets), _ = data.digits(64)
    batch = inputs[:128], targets[:128]
    model = network()
    plain = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    assert diagnose(model, batch, F.cross_entropy, optimizer=plain).cause == "healthy"
    # Ten times slower it is: what a first step takes is then a tenth of this, at its full size too.
    slow = torch.optim.SGD(model.parameters(), 1e-5, momentum=0.9)
    found = diagnose(model, batch, F.cross_entropy, optimizer=slow)
    assert found.cause == "lr-too-small"
    assert "full momentum" in found.findings[0].evidence


@pytest.mark.parametrize("make", [network, images])
@pytest.mark.parametrize("size", [64, 256, 1297])
@pytest.mark.parametrize("rate", [1e-3, 1e-4])
def test_labels_that_were_permuted_against_the_images_are_told(make, size, rate):
    (inputs, targets), _ = data.digits(1, 8, 8)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(size))
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    batch = inputs[:size], targets[order][:size]
    found = diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
    assert found.cause == "no-signal"
    straight = inputs[:size], targets[:size]
    found = diagnose(model, straight, F.cross_entropy, optimizer=optimizer)
    assert "no-signal" not in {each.cause for each in found.findings}


def test_tokens_in_several_inputs_are_tested_too():
    (words, classes), _ = data.tokens()
    model = Tokens()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for shift, cause in ((0, "healthy"), (1, "no-signal")):
        batch = (words[:256], torch.ones(256, 12)), classes[:256].roll(shift)
        found = diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
        assert found.cause == cause


def _mirrored(words: Tensor, generator: torch.Generator) -> Tensor:
    return 15 - words


def _anywhere(words: Tensor, generator: torch.Generator) -> Tensor:
    return torch.stack([row[torch.randperm(len(row), generator=generator)] for row in words])


def _other(words: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(16, words.shape, generator=generator)


@pytest.mark.parametrize(
    ("make", "depends"), [(_mirrored, True), (_anywhere, True), (_other, False)]
)
def test_sequences_depend_by_place_or_by_what_occurs(
    make: Callable[[Tensor, torch.Generator], Tensor], depends: bool
) -> None:
    generator = torch.Generator().manual_seed(1)
    words = torch.randint(16, (200, 10), generator=generator)
    value = dependence([words], [make(words, generator)])
    assert value < 0.02 if depends else value > 0.05


@pytest.mark.parametrize(
    "kind", [torch.float32, torch.bfloat16, torch.float64, torch.complex64]
)  # fmt: skip
@pytest.mark.parametrize("size", [5, 40_001])
def test_what_a_step_did_is_that_of_float64(kind, size):
    torch.manual_seed(0)
    whole = torch.complex128 if kind.is_complex else torch.float64
    old, way, slope = (torch.randn(2, size, dtype=whole) for _ in range(3))
    old = old.to(kind)
    new = (old.to(whole) + 1e-3 * way).to(kind)
    slope = slope.to(kind)
    slope[:, ::3], new[:, ::2] = 0, old[:, ::2]
    parts = [torch.view_as_real(t) if kind.is_complex else t for t in (old, new, slope)]
    w, n, g = (part.double().reshape(-1) for part in parts)
    step = n - w
    expected = {
        "weight": (w * w).sum(), "step": (step * step).sum(), "gradient": (g * g).sum(),
        "progress": (step * g).sum(), "with_gradient": (g != 0).sum(),
        "moved": ((g != 0) & (step != 0)).sum(), "changed": (step != 0).sum(),
    }  # fmt: skip
    found = dict(zip(TRAVELLED, travelled(old, new, slope).tolist(), strict=True))
    assert found == pytest.approx({name: float(value) for name, value in expected.items()})
    alone = dict(zip(TRAVELLED, travelled(old, new, None).tolist(), strict=True))
    assert (alone["gradient"], alone["with_gradient"], alone["moved"]) == (0, 0, 0)
    assert alone["step"] == found["step"]


OPTIMIZERS = {
    **{name: {"lr": 0.1} for name in ("Adadelta", "Adagrad", "Adamax", "NAdam", "RAdam", "ASGD")},
    "Adam": {"weight_decay": 0.1, "amsgrad": True},
    "AdamW": {"maximize": True},
    "RMSprop": {"weight_decay": 0.1, "momentum": 0.9, "centered": True},
    "Rprop": {},
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    "SGD nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "SGD maximize": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "maximize": True},
}


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_on_a_copy_leaves_gradients_and_weights_as_they_are(name, begun, foreach):
    torch.manual_seed(0)
    layer = nn.Linear(8, 4)
    kind = getattr(torch.optim, name.partition(" ")[0])
    optimizer = kind(layer.parameters(), foreach=foreach, **OPTIMIZERS[name])
    if begun:
        layer(torch.randn(3, 8)).sum().backward()
        optimizer.step()
    gradients = {n: torch.randn_like(p) for n, p in layer.named_parameters()}
    kept = {n: g.clone() for n, g in gradients.items()}
    weights = {n: p.detach().clone() for n, p in layer.named_parameters()}
    real = copy.deepcopy((layer, optimizer))
    taken = take_step(layer, Together([optimizer]), gradients)
    assert all(torch.equal(gradients[n], kept[n]) for n in kept)
    assert all(torch.equal(p, weights[n]) for n, p in layer.named_parameters())
    for n, parameter in real[0].named_parameters():
        parameter.grad = kept[n]
    real[1].step()  # the very optimizer, on a copy of its own
    for n, parameter in real[0].named_parameters():
        assert torch.equal(taken.after[n], parameter), n


def test_a_diagnosis_keeps_no_copy_of_the_weights_nor_of_their_gradients() -> None:
    model = nn.Sequential(nn.Linear(37, 41), nn.ReLU(), nn.Linear(41, 41), nn.Linear(41, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    batch = torch.randn(8, 37), torch.randint(2, (8,))
    found = diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
    gc.collect()
    alive = [each for each in gc.get_objects() if issubclass(type(each), Tensor)]
    assert [each is model[0].weight for each in alive if each.shape == (41, 37)] == [True]
    assert found.what_if(skip=("0", "2")) is not None


class Rotated(nn.Module):
    """Complex weights, real inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8, dtype=torch.cfloat) / 3)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x.to(torch.cfloat) @ self.weight).abs())


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_complex_weights_are_measured_as_their_two_parts(make):
    torch.manual_seed(0)
    model, inputs = Rotated(), torch.randn(96, 8)
    batch = inputs, (inputs[:, 0] > 0).long()
    optimizer = make(model.parameters(), 1e-2)
    found = diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
    assert found.cause == "healthy"
    assert found.notes == ()
    layer = found.layers[0]
    F.cross_entropy(model(inputs), batch[1]).backward()
    weight, gradient = model.weight.detach().clone(), model.weight.grad.clone()
    hidden = inputs.to(torch.cfloat) @ weight
    optimizer.step()
    moved = model.weight.detach() - weight
    assert layer.weight == pytest.approx(float(weight.abs().square().sum().sqrt()), rel=1e-5)
    assert layer.gradient == pytest.approx(float(gradient.abs().square().sum().sqrt()), rel=1e-5)
    expected = float(moved.abs().square().sum().sqrt()) / layer.weight
    assert layer.step == pytest.approx(expected, rel=1e-4)
    assert (layer.weights, layer.with_gradient, layer.moved) == (128, 128, 128)
    spread = (hidden - hidden.mean(0)).abs().square().sum() / hidden.abs().square().sum()
    assert layer.signal == pytest.approx(float(spread) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("steps", [-1, 2.5, "ten", True])
def test_a_number_of_steps_that_is_none_is_refused(steps):
    with pytest.raises(OptimizerError, match="no number of steps"):
        look(0.1, steps=steps)


def sizes_tried(reduction: str, count: int, rate: float = 50.0) -> list[int]:
    """Return the batch sizes of the steps that were tried on a copy."""
    (inputs, targets), _ = data.digits(64)
    model, seen = network(), []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        if output.requires_grad:
            seen.append(len(output))
        return F.cross_entropy(output, labels, reduction=reduction)

    optimizer = torch.optim.SGD(model.parameters(), rate)
    diagnose(model, (inputs[:count], targets[:count]), loss, optimizer=optimizer)
    return seen


def test_steps_that_may_be_too_large_are_tried_on_halves_in_turn():
    assert sizes_tried("mean", 128).count(64) > 20
    # Too few for halves, and a sum, which is another loss on a half.
    assert set(sizes_tried("mean", 30)) == {30}
    assert set(sizes_tried("sum", 128)) == {128}


def test_several_batches_are_tried_in_turn():
    (inputs, targets), _ = data.digits(64)
    parts = [(inputs[at : at + 40], targets[at : at + 40]) for at in (0, 40, 80)]
    model, firsts = network(), []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        if output.requires_grad:
            firsts.append(tuple(labels[:3].tolist()))
        return F.cross_entropy(output, labels)

    optimizer = torch.optim.SGD(model.parameters(), 50.0)
    found = diagnose(model, parts[0], loss, optimizer=optimizer, batches=parts[1:])
    assert found.cause == "lr-too-large"
    assert "3 parts of the batch in turn" in found.findings[0].sure
    order = [tuple(labels[:3].tolist()) for _, labels in parts]
    assert firsts[-3:] in [[order[(at + k) % 3] for k in range(3)] for at in range(3)]


def test_a_model_in_eval_mode_is_tried_in_training_mode_and_stays_in_eval_mode():
    (inputs, targets), _ = data.digits(64)
    model, modes = images().eval(), []
    model[0].register_forward_pre_hook(lambda module, _: modes.append(module.training))
    optimizer = torch.optim.SGD(model.parameters(), 30.0)
    batch = inputs[:64].view(-1, 1, 8, 8), targets[:64]
    found = diagnose(model, batch, F.cross_entropy, optimizer=optimizer)
    assert modes[0] is False
    assert sum(modes) > 20
    assert not any(module.training for module in model.modules())
    assert any("eval mode" in note for note in found.notes)
