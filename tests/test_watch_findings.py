"""What `watch` says, when it says it, and what it gives."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from skipway import cases, watch
from skipway._errors import LossError, ModelError, SkipwayWarning
from skipway._results import Diagnosis, read
from watched import batch, net


def found(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[Tensor, Tensor] | None = None,
    *,
    steps: int = 150,
    hand: bool = True,
    scale: float = 1.0,
    act: Callable[[int], None] = lambda step: None,
) -> tuple[list[str], Diagnosis]:
    x, y = data or batch(64)
    said: list[str] = []
    with skipway.watch(model, optimizer, every=5, outputs=2, notify=said.append) as seen:
        for step in range(1, steps + 1):
            act(step)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x).float(), y) * scale
            (seen.loss(loss) if hand else loss).backward()
            optimizer.step()
    return said, seen.diagnosis()


def sgd(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate)


def test_a_layer_that_stops_is_named_with_its_step() -> None:
    model = net()
    groups = [{"params": layer.parameters()} for layer in model if hasattr(layer, "weight")]
    optimizer = torch.optim.SGD(groups, lr=0.1)

    def stop(step: int) -> None:
        if step in (40, 100):
            optimizer.param_groups[2]["lr"] = 1e-12 if step == 40 else 0.1

    said, diagnosis = found(model, optimizer, steps=95, act=stop)
    assert said == ["step 40: 4 stopped moving"]
    assert diagnosis.cause == "precision"
    assert diagnosis.layer("4").state == "still"
    assert [layer.state for layer in diagnosis.layers if layer.name != "4"] == ["arrives"] * 4
    optimizer.param_groups[2]["lr"] = 0.1
    said, diagnosis = found(model, optimizer, act=stop)
    assert said == ["step 40: 4 stopped moving"]
    assert diagnosis.cause == "healthy"
    (event,) = diagnosis.watching.events
    assert (event.step, event.until, event.layers) == (40, 100, ("4",))


def test_healthy_training_says_nothing() -> None:
    for make in (lambda m: sgd(m, 0.3), lambda m: torch.optim.Adam(m.parameters(), 0.01)):
        model = net()
        said, diagnosis = found(model, make(model), steps=400)
        assert said == []
        assert diagnosis.cause == "solved"
    model = net()
    said, diagnosis = found(model, sgd(model, 0.1), hand=False)
    assert (said, diagnosis.cause, diagnosis.relative) == ([], "healthy", True)
    assert any("No loss was handed in" in note for note in diagnosis.notes)


def test_a_resnet_whose_branches_start_at_zero_says_nothing() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)
            nn.init.zeros_(self.b.weight)
            nn.init.zeros_(self.b.bias)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.b(torch.relu(self.a(x)))

    model = nn.Sequential(nn.Linear(4, 16), *(Block() for _ in range(10)), nn.Linear(16, 3))
    said, diagnosis = found(model, sgd(model, 0.1))
    assert said == []
    assert diagnosis.cause in ("healthy", "solved")


def deep(activation: type[nn.Module], depth: int = 30) -> nn.Sequential:
    torch.manual_seed(0)
    inner = [m for _ in range(depth) for m in (nn.Linear(16, 16), activation())]
    return nn.Sequential(nn.Linear(4, 16), activation(), *inner, nn.Linear(16, 3))


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid])
def test_a_gradient_that_vanishes_is_said_at_the_first_steps(activation) -> None:
    model = deep(activation)
    said, diagnosis = found(model, sgd(model, 0.1), steps=20)
    assert any("0 and" in line and "hardly get any gradient" in line for line in said)
    assert said[0].startswith("step 1: ")
    assert diagnosis.cause == "vanishing"
    assert diagnosis.treatment == "skip"
    assert diagnosis.layers[0].state in ("dying", "still")
    assert diagnosis.layers[-1].state == "arrives"


def test_units_that_are_off_are_told_from_a_gradient_that_vanished() -> None:
    model = deep(nn.ReLU, depth=4)
    for layer in model[2:6:2]:
        nn.init.constant_(layer.bias, -20.0)
    said, diagnosis = found(model, sgd(model, 0.1), steps=40)
    assert any("switched off for nearly all samples" in line for line in said)
    assert diagnosis.cause == "dead-units"
    assert diagnosis.treatment == "initialisation"
    assert "4" in diagnosis.findings[0].layers
    model = deep(nn.Sigmoid, depth=80)  # its first layers get a gradient of exactly nothing
    said, diagnosis = found(model, sgd(model, 0.1), steps=20)
    assert diagnosis.cause == "vanishing"
    assert diagnosis.layers[0].with_gradient == 0


def test_a_network_that_is_frozen_whole_is_said_to_be() -> None:
    model = net()
    free = nn.Parameter(torch.zeros(3))
    model.requires_grad_(False)
    optimizer = torch.optim.SGD([*model.parameters(), free], lr=0.1)
    with skipway.watch(model, optimizer, every=1) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            x, y = batch()
            seen.loss(F.cross_entropy(model(x) + free, y)).backward()
            optimizer.step()
    assert seen.diagnosis().cause == "frozen"


def test_values_that_are_not_finite_are_said_at_once() -> None:
    model = net()

    def break_it(step: int) -> None:
        if step == 20:
            model[4].weight.data[0, 0] = math.nan

    said, diagnosis = found(model, sgd(model, 0.1), steps=40, act=break_it)
    assert "step 20: the loss is NaN or infinite" in said
    assert diagnosis.cause == "non-finite"
    assert "4" in diagnosis.findings[0].layers


def test_steps_too_small_and_too_large() -> None:
    model = net()
    said, diagnosis = found(model, sgd(model, 1e-6))
    assert [line.partition(": ")[2] for line in said] == [
        "the steps are too small: the loss stays where it was"
    ]
    assert diagnosis.cause == "lr-too-small"
    model = net()
    said, diagnosis = found(model, sgd(model, 30.0))
    assert any("overshoot" in line for line in said)
    assert diagnosis.cause == "lr-too-large"


@pytest.mark.parametrize("fault", ["rate", "data"])
def test_steps_that_throw_the_weights_out_of_the_numbers_are_the_cause_of_that(fault: str) -> None:
    """Counts after Poisson: the answer is exp of what the network says, and soon infinite."""
    model, (x, y) = net(), batch(64)
    optimizer = torch.optim.Adam(model.parameters(), lr=10.0 if fault == "rate" else 0.01)
    with skipway.watch(model, optimizer, every=5, notify=lambda _: None) as seen:
        for step in range(1, 21):
            optimizer.zero_grad()
            inputs = x * math.nan if fault == "data" and step == 12 else x
            loss = F.poisson_nll_loss(model(inputs).sum(1), y.float())
            seen.loss(loss).backward()
            optimizer.step()
    assert not math.isfinite(loss.item())
    found = seen.diagnosis()
    assert found.cause == ("lr-too-large" if fault == "rate" else "non-finite")
    assert "non-finite" in {finding.cause for finding in found.findings}


def test_a_head_that_is_never_called_is_a_note_and_no_illness() -> None:
    class Heads(nn.Module):
        def __init__(self, called: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body, self.second, self.called = net(), nn.Linear(4, 2), called

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                beside = self.second(x).sum() if self.called else 0.0
            return self.body(x) + 0.0 * beside

    for called in (False, True):
        model = Heads(called)
        said, diagnosis = found(model, sgd(model, 0.1), steps=60)
        assert diagnosis.cause == ("detached" if called else "healthy")
        assert (said == []) == (not called)
        assert (
            any("`second`" in note and "never called" in note for note in diagnosis.notes) != called
        )


@pytest.mark.parametrize("rate", [0.01, 100.0])
def test_a_loss_that_is_negative_at_first_flies_apart_all_the_same(rate: float) -> None:
    """The logarithm of a density that is above one: there is no floor at zero."""
    model, (x, _) = net(), batch(64)
    aim = 0.01 * x[:, :1]
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    with skipway.watch(model, optimizer, every=5, notify=lambda _: None) as seen:
        for _ in range(60):
            optimizer.zero_grad()
            away = model(x)[:, :1] - aim
            seen.loss((away.square() / 2).mean() - 1.0).backward()
            optimizer.step()
    found = seen.diagnosis()
    assert found.watching.loss[0] < 0
    assert (found.cause == "lr-too-large") == (rate == 100.0)
    assert found.cause in ("lr-too-large", "healthy")


@pytest.mark.parametrize(("rate", "cause"), [(3.0, "lr-too-large"), (0.003, "healthy")])
def test_steps_larger_than_the_weights_are_the_cause_of_what_they_leave(rate, cause) -> None:
    """Adam behind a last layer that starts at zero: the first step takes next to nothing of the
    loss, the next ones throw everything over, and then nothing arrives any more."""
    torch.manual_seed(0)
    layers = [m for _ in range(6) for m in (nn.Linear(16, 16), nn.Tanh())]
    model = nn.Sequential(nn.Linear(4, 16), *layers, nn.Linear(16, 3))
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    inner = [each for each in model[1:-1] if isinstance(each, nn.Linear)]
    sizes = [each.weight.detach().norm().item() for each in inner]
    _, diagnosis = found(model, torch.optim.Adam(model.parameters(), lr=rate), batch(64), steps=100)
    assert diagnosis.cause == cause
    now = [each.weight.detach().norm().item() for each in inner]
    grown = sorted(one / other for one, other in zip(now, sizes, strict=True))
    assert (grown[2] > 10) == (cause != "healthy")


def test_what_is_freed_and_frozen_meanwhile_is_followed() -> None:
    """Two stages in one watch: first the head, then everything but the first layer."""
    model, (x, y) = net(), batch(64)
    model.requires_grad_(False)
    model[-1].requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for step in range(30):
            if step == 10:
                model.requires_grad_(True)
                assert [each.trainable for each in seen.diagnosis().layers][:-1] == [False] * 4
            if step == 20:
                model[0].requires_grad_(False)
            before = model[2].weight.detach().clone()
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
    found = seen.diagnosis()
    assert [each.trainable for each in found.layers] == [False, True, True, True, True]
    moved = (model[2].weight.detach() - before).double().norm() / before.double().norm()
    assert found.layer("2").step == pytest.approx(float(moved), rel=1e-6)
    assert any("`0` is frozen" in note for note in found.notes)
    assert found.cause == "healthy"


def test_a_frozen_head_is_no_illness_where_the_loss_falls() -> None:
    model = net(width=32)
    model[-1].requires_grad_(False)
    model[-3].requires_grad_(False)
    said, diagnosis = found(model, sgd(model, 0.3), batch(64))
    assert diagnosis.watching.loss[-1] < 0.9 * diagnosis.watching.loss[0]
    assert (said, diagnosis.cause) == ([], "healthy")


def test_a_short_look_at_a_loss_that_stays_is_no_praise() -> None:
    """Six looks are too few for a warning; what is said in the end has to be true all the same."""
    model = net()
    said, diagnosis = found(model, sgd(model, 1e-6), steps=30)
    assert said == []
    assert diagnosis.cause == "lr-too-small"
    model, (x, _) = net(), batch(64)
    torch.manual_seed(1)
    coins = torch.randint(0, 3, (64,))  # the steps are whole, and there is nothing to learn
    optimizer = sgd(model, 0.003)
    said, diagnosis = found(model, optimizer, (x, coins), steps=30)
    assert (said, diagnosis.cause) == ([], "healthy")
    assert diagnosis.headline == "The layers move, and the loss does not fall."
    assert "skipway.diagnose" in diagnosis.findings[0].remedy
    model = net()
    said, diagnosis = found(model, sgd(model, 0.1), hand=False)
    assert diagnosis.headline == "The layers move."  # without a loss nobody knows
    model = net()
    said, diagnosis = found(model, sgd(model, 0.1))
    assert diagnosis.headline == "The layers learn."


def test_a_warm_up_is_no_illness() -> None:
    model = net()
    optimizer = sgd(model, 1e-7)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.08**step)
    said, _ = found(model, optimizer, act=lambda step: schedule.step() if step > 1 else None)
    assert not any("too small" in line for line in said)


def test_adams_epsilon_is_said_where_it_holds_the_steps_back() -> None:
    model = net()
    said, diagnosis = found(model, torch.optim.Adam(model.parameters(), 1e-3), scale=1e-9)
    assert any("by the optimizer's epsilon" in line for line in said)
    assert diagnosis.cause == "lr-too-small"
    assert diagnosis.findings[0].title == "Adam's epsilon sets the step"
    assert max(v for row in diagnosis.watching.epsilon for v in row if v is not None) == 1.0
    model = net()
    said, _ = found(model, torch.optim.Adam(model.parameters(), 1e-3, eps=1e-20), scale=1e-9)
    assert said == []


def test_a_signal_that_collapses_is_said() -> None:
    x, y = batch(64)
    model = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    said, diagnosis = found(model, sgd(model, 1e-6), (x * 1e-2 + 1000, y))
    assert any("all samples look the same to the last layer" in line for line in said)
    assert "collapsed-signal" in [finding.cause for finding in diagnosis.findings]
    said, _ = found(model, sgd(model, 1e-3), (x, y))
    assert not any("same" in line for line in said)


def test_updates_lost_in_bfloat16_are_said() -> None:
    x, y = batch(64)
    model = net().bfloat16()
    said, diagnosis = found(model, sgd(model, 1e-3), (x.bfloat16(), y))
    assert any("lose most of their updates to rounding" in line for line in said)
    assert diagnosis.cause == "precision"


def test_a_detached_part_is_said() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.relu(self.b(torch.relu(self.a(x)).detach())))

    model = Cut()
    said, diagnosis = found(model, sgd(model, 0.3))
    assert said[0] == "step 1: a gets no gradient at all"
    assert diagnosis.cause == "detached"
    assert diagnosis.findings[0].layers == ("a",)


def test_the_verdict_is_the_same_whatever_the_loss_is_multiplied_by() -> None:
    verdicts = []
    for scale in (1e-6, 1.0, 1e6):
        model = deep(nn.Tanh)
        said, diagnosis = found(model, sgd(model, 0.1 / scale), steps=40, scale=scale)
        verdicts.append((said, diagnosis.cause))
        model = net()
        said, diagnosis = found(model, sgd(model, 0.1 / scale), steps=60, scale=scale)
        assert (said, diagnosis.cause) == ([], "healthy")
    assert verdicts[0] == verdicts[1] == verdicts[2]


def test_a_finding_is_a_warning_of_its_own_category() -> None:
    model, (x, y) = deep(nn.Sigmoid), batch()
    optimizer = sgd(model, 0.1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with skipway.watch(model, optimizer, every=1) as seen:
            for _ in range(4):
                optimizer.zero_grad()
                seen.loss(F.cross_entropy(model(x), y)).backward()
                optimizer.step()
    assert {each.category for each in caught} == {SkipwayWarning}
    assert any("0 and" in str(each.message) for each in caught)
    assert issubclass(skipway.SkipwayWarning, UserWarning)


CASES = {
    "plain-mlp": "vanishing", "plain-cnn": "vanishing", "tanh-mlp": "vanishing",
    "sigmoid-mlp": "vanishing", "plain-rnn": "vanishing", "healthy-mlp": "healthy",
    "dead-relu": "dead-units", "tiny-learning-rate": "lr-too-small",
    "huge-learning-rate": "lr-too-large", "bf16-updates": "precision", "frozen": "frozen",
    "detached": "detached", "solved": "healthy",
}  # fmt: skip


@pytest.mark.parametrize("name", cases.names())
def test_training_on_a_built_in_case_shows_its_cause(name: str) -> None:
    case = cases.load(name)
    torch.manual_seed(0)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters())
    steps = 8 if name == "plain-cnn" else 80
    with skipway.watch(model, optimizer, every=4, outputs=3, notify=len) as seen:
        for step in range(steps):
            optimizer.zero_grad()
            seen.loss(case.evaluate_loss(model, case.batch(step))).backward()
            optimizer.step()
    assert seen.diagnosis().cause == CASES[name]


# What it gives


def test_long_trainings_keep_a_bounded_number_of_steps_over_all_of_it() -> None:
    model, (x, y) = net(depth=1), batch(4)
    optimizer = sgd(model, 0.01)
    with skipway.watch(model, optimizer, every=1, outputs=0) as seen:
        for _ in range(700):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
    steps = seen.diagnosis().watching.steps
    assert 100 < len(steps) <= 256
    assert steps[0] == 1
    assert steps[-1] > 690
    assert len({b - a for a, b in pairwise(steps)}) == 1


def test_a_diagnosis_over_time_is_data_and_back(tmp_path) -> None:
    model = deep(nn.Sigmoid, depth=12)
    _, diagnosis = found(model, sgd(model, 0.1), steps=40)
    back = read(diagnosis.save(tmp_path / "d.json"))
    assert back == diagnosis
    assert isinstance(diagnosis.watching, skipway.Watching)
    assert diagnosis.save(tmp_path / "d.html").exists()
    assert "steps 1 to 40" in diagnosis.when
    assert "batch of 0" not in str(diagnosis)


def test_before_the_first_step_there_is_nothing() -> None:
    model = net()
    with skipway.watch(model, sgd(model, 0.1)) as seen:
        assert seen.scalars() == {}
        assert (seen.step, seen.fresh) == (0, False)
        with pytest.raises(ModelError, match="No step was taken"):
            seen.diagnosis()
        with pytest.raises(LossError, match="not one number"):
            seen.loss(torch.ones(3))


def test_only_every_tenth_step_is_looked_at() -> None:
    model, (x, y) = net(), batch()
    optimizer = sgd(model, 0.1)
    fresh = []
    with skipway.watch(model, optimizer) as seen:
        for _ in range(35):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            fresh.append(seen.fresh)
    assert [step for step, new in enumerate(fresh, 1) if new] == [1, 10, 20, 30]
    assert seen.diagnosis().watching.steps == (1, 10, 20, 30)


@pytest.mark.parametrize(
    ("rate", "said"), [(0.1, []), (1e-4, ["step 11: the steps are too small"])]
)
def test_a_training_that_begins_slowly_is_given_time(rate, said):
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = x[:, :4].argmax(1)
    middle = [each for _ in range(3) for each in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), *middle, nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), rate)
    words, losses = [], []
    with watch(model, optimizer, every=1, notify=words.append) as seen:
        for _ in range(500):
            optimizer.zero_grad()
            losses.append(seen.loss(F.cross_entropy(model(x), y)))
            losses[-1].backward()
            optimizer.step()
    # At 0.1 it has learned all there is, and began as if it would not.
    assert (losses[-1] < 0.1) == (not said)
    assert losses[50] > 0.95 * losses[0]
    assert [each.partition(":")[0] for each in words] == [each.partition(":")[0] for each in said]
    assert all(each.startswith(begun) for each, begun in zip(words, said, strict=True))


def test_one_look_does_not_say_that_the_loss_stayed():
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer) as seen:
        seen.loss(model(torch.ones(3, 4)).square().mean() + 1).backward()
        optimizer.step()
    assert re.search(r"The loss was 1\.\d at the one step looked at", seen.diagnosis().summary)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("where", ["gradient", "weight"])
def test_infinity_is_told_and_no_warning_of_numpy_comes_out_of_a_step(value, where):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    words: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with watch(model, optimizer, every=1, notify=words.append) as seen:
            for step in range(8):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(torch.randn(16, 8)), torch.randint(4, (16,)))
                seen.loss(loss).backward()
                if step == 4:
                    weight = model[2].weight
                    (weight.grad if where == "gradient" else weight.data)[0, 0] = value
                optimizer.step()
                seen.scalars()
        seen.diagnosis()._repr_html_()
    assert any(each.startswith("step 5: 2 holds or gets NaN") for each in words)


def test_the_several_optimizers_of_a_case_are_watched_each_by_itself():
    def two(parameters):
        first, *rest = parameters
        return [torch.optim.SGD([first], 0.05), torch.optim.Adam(rest, 1e-3)]

    case = skipway.cases.load("healthy-mlp").replace(optimizer=two)
    model, (x, y) = case.model(), case.batch()
    optimizer = case.make_optimizer(model.parameters())
    with skipway.watch(model, optimizer, every=1) as seen:
        for _ in range(4):
            optimizer.zero_grad()
            seen.loss(case.loss(model(x), y)).backward()
            optimizer.step()
    found = seen.diagnosis()
    assert (seen.step, found.optimizer) == (4, "SGD, Adam")
    assert all(layer.gradient > 0 for layer in found.layers)
