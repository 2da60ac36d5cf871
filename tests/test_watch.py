"""`watch` against slow transcriptions of what it measures, in every kind of training loop."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import skipway
from skipway._errors import LossError, ModelError, OptimizerError, SkipwayWarning
from skipway._results import Diagnosis
from snapshot import snapshot
from watched import batch, net
from zoo import ZOO, Exhibit

ALL = 2**40  # of large tensors too, at every look


def sgd(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate)


def norm(tensor: Tensor) -> float:
    return float(tensor.detach().to_dense().double().norm())


class Slow:
    """What a step did, tensor by tensor, in float64: the oracle."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.before = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.gradients = {
            n: p.grad.detach().clone().to_dense()
            for n, p in model.named_parameters()
            if p.grad is not None
        }

    def numbers(self, name: str, loss: float) -> dict[str, float]:
        old, new = self.before[name], self.model.get_parameter(name).detach()
        slope, step = self.gradients[name].double(), new.double() - old.double()
        moved = (new != old) & (slope != 0)
        return {
            "gradient": float(slope.norm()),
            "weight": float(old.double().norm()),
            "update": float(step.norm() / old.double().norm()),
            "lost": 1 - int(moved.sum()) / int((slope != 0).sum()),
            "weight elasticity": float(slope.norm() * old.double().norm()) / loss,
        }

    def progress(self, layer: str, loss: float) -> float:
        total = 0.0
        for name, slope in self.gradients.items():
            if name.rpartition(".")[0] == layer:
                step = self.model.get_parameter(name).detach().double() - self.before[name].double()
                total -= float((slope.double() * step).sum())
        return total / loss

    def whole(self, part: str, loss: float) -> float:
        layers = {n.rpartition(".")[0] for n in self.gradients if n.startswith(part)}
        return sum(self.progress(layer, loss) for layer in layers)


def agree(found: dict[str, float], slow: Slow, layer: str, loss: float, rel: float = 1e-6) -> None:
    for name, value in slow.numbers(f"{layer}.weight", loss).items():
        assert found[f"{name}/{layer}"] == pytest.approx(value, rel=rel, abs=0), name
    wanted = slow.progress(layer, loss)
    assert found[f"progress/{layer}"] == pytest.approx(wanted, rel=max(rel, 1e-5), abs=0)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd, momentum, foreach": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, foreach=True),
    "sgd, fused": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
    "adam, one by one": lambda p: torch.optim.Adam(p, lr=0.01, foreach=False),
    "adam, foreach": lambda p: torch.optim.Adam(p, lr=0.01, foreach=True),
    "adam, fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "adamw, amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}
each_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


@each_optimizer
def test_every_step_is_what_a_slow_transcription_says(make) -> None:
    model, (x, y) = net(), batch()
    optimizer = make(model.parameters())
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for step in range(1, 8):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            assert seen.step == step
            assert seen.fresh
            found = seen.scalars()
            assert found["loss"] == loss.item()
            for layer in ("0", "2", "4", "6", "8"):
                agree(found, slow, layer, loss.item())
            total = sum(slow.progress(layer, loss.item()) for layer in ("0", "2", "4", "6", "8"))
            assert found["total progress"] == pytest.approx(total, rel=1e-5)


def test_elasticity_at_outputs_and_the_signal_are_what_autograd_says() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for _ in range(3):
            outputs, h = {}, x
            for name, module in copy.deepcopy(model).named_children():
                h = module(h)
                outputs[name] = h
                h.retain_grad()
            slow = F.cross_entropy(h, y)
            slow.backward()
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            found = seen.scalars()
            for layer in ("0", "2", "4", "6", "8"):
                h = outputs[layer]
                wanted = norm(h.grad) * norm(h) / slow.item()
                assert found[f"elasticity/{layer}"] == pytest.approx(wanted, rel=1e-6)
            read = outputs["7"].double()
            share = ((read - read.mean(0)).norm() / read.norm()).item()
            assert found["signal"] == pytest.approx(share, rel=1e-6)


def test_adams_epsilon_share_is_counted_weight_by_weight() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-3)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for step in range(1, 6):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
            for layer in ("0", "4", "8"):
                weight = model.get_submodule(layer).weight
                squares = optimizer.state[weight]["exp_avg_sq"].double()
                small = (squares / (1 - 0.999**step)).sqrt() < 1e-3
                with_gradient = weight.grad != 0
                wanted = int((small & with_gradient).sum()) / int(with_gradient.sum())
                assert seen.scalars()[f"epsilon/{layer}"] == pytest.approx(wanted, abs=1e-9)
    assert any(0.05 < v < 0.95 for k, v in seen.scalars().items() if k.startswith("epsilon/"))


@pytest.mark.parametrize("scale", [1e-22, 1e-30, 1e25], ids=["tiny", "denormal", "huge"])
def test_gradients_whose_squares_float32_cannot_hold_are_measured(scale) -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3 / scale)
    with skipway.watch(model, optimizer, every=1, outputs=0) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * scale
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            found = seen.scalars()
            for layer in ("0", "4", "8"):
                wanted = slow.numbers(f"{layer}.weight", loss.item())
                assert found[f"gradient/{layer}"] == pytest.approx(wanted["gradient"], rel=1e-6)
                assert found[f"update/{layer}"] == pytest.approx(wanted["update"], rel=1e-6)
                assert found[f"progress/{layer}"] == pytest.approx(
                    slow.progress(layer, loss.item()), rel=1e-5
                )


def test_large_tensors_take_turns_and_are_exact_when_it_is_theirs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 257), nn.Linear(257, 300))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = torch.randn(4, 300)
    fresh: list[set[str]] = []
    with skipway.watch(model, optimizer, every=1, outputs=1, weights=1) as seen:
        last: dict[str, float] = {}
        for _ in range(6):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            found = seen.scalars()
            new = {
                n for n in ("0", "2", "3") if found.get(f"weight/{n}") != last.get(f"weight/{n}")
            }
            fresh.append(new)
            for layer in new:
                agree(found, slow, layer, loss.item())
            last = found
    assert fresh == [{"0"}, {"2"}, {"3"}, {"0"}, {"2"}, {"3"}]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with skipway.watch(model, optimizer, every=1, weights=ALL) as seen:
        loss = model(x).square().mean()
        seen.loss(loss).backward()
        slow = Slow(model)
        optimizer.step()
        for layer in ("0", "2", "3"):
            agree(seen.scalars(), slow, layer, loss.item())


@pytest.mark.parametrize(
    ("every", "at"), [(1, {1: "0", 5: "2", 9: "0"}), (2, {1: "0", 4: "2", 8: "0"}),
                      (4, {1: "0", 4: "2", 8: "0"})]
)  # fmt: skip
def test_without_a_wish_large_tensors_come_every_fourth_step(
    every: int, at: dict[int, str]
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(520, 520), nn.ReLU(), nn.Linear(520, 520))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, fresh = torch.randn(4, 520), []
    with skipway.watch(model, optimizer, every=every) as seen:
        last: dict[str, float] = {}
        for _ in range(9):
            optimizer.zero_grad()
            seen.loss(model(x).square().mean()).backward()
            optimizer.step()
            found = seen.scalars()
            names = ("weight/0", "weight/2")
            fresh.append([n for n in names if found.get(n) != last.get(n)])
            last = found
    assert fresh == [[f"weight/{at[step]}"] if step in at else [] for step in range(1, 10)]


# Training goes exactly as without


def train(exhibit: Exhibit, make: Callable[[Any], Any], watched: bool) -> tuple[Any, list[float]]:
    torch.manual_seed(0)
    model = exhibit.build()
    inputs = exhibit.inputs()
    optimizer = make([p for p in model.parameters() if p.requires_grad])
    losses = []

    def steps(hand: Callable[[Tensor], Tensor]) -> None:
        for _ in range(200):
            optimizer.zero_grad()
            loss = exhibit.objective(model, inputs)
            hand(loss).backward()
            optimizer.step()
            losses.append(loss.item())

    if watched:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SkipwayWarning)
            with skipway.watch(model, optimizer, every=3, outputs=2) as seen:
                steps(seen.loss)
        assert seen.step == 200
        assert isinstance(seen.diagnosis(), Diagnosis)
        assert all(math.isfinite(value) for value in seen.scalars().values())
    else:
        steps(lambda loss: loss)
    state = {**model.state_dict(), "optimizer": optimizer.state_dict()["state"]}
    return state, losses


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@pytest.mark.parametrize("exhibit", ZOO, ids=lambda exhibit: exhibit.name)
def test_training_is_bit_for_bit_the_same(exhibit: Exhibit) -> None:
    at = ZOO.index(exhibit) % len(OPTIMIZERS)
    make = list(OPTIMIZERS.values())[at]
    plain, watched = (train(exhibit, make, on) for on in (False, True))
    assert watched[1] == plain[1]
    assert same(watched[0], plain[0])


IN_ONE_PIECE: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: skipway.models.cifar_densenet(10, 4),
    "dense, lean": lambda: skipway.models.cifar_densenet(10, 4, memory="lean"),
    "residual, lean": lambda: skipway.models.cifar_resnet(8, memory="lean"),
    "a block alone": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 1), skipway.models.cifar_densenet(10, 4).features[1], nn.Flatten()
    ),
}


@pytest.mark.parametrize("name", IN_ONE_PIECE)
def test_what_computes_in_one_piece_trains_bit_for_bit_the_same(name: str) -> None:
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8)

    def trained(outputs: int | None, *, watch: bool = True) -> tuple[Any, ...]:
        torch.manual_seed(0)
        model = IN_ONE_PIECE[name]()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        losses = []

        def steps(hand: Callable[[Tensor], Tensor]) -> None:
            for _ in range(30):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images), labels)
                hand(loss).backward()
                optimizer.step()
                losses.append(loss.item())

        if not watch:
            steps(lambda loss: loss)
            return model.state_dict(), losses
        with skipway.watch(model, optimizer, every=2, outputs=outputs) as seen:
            steps(seen.loss)
        diagnosis = seen.diagnosis()
        looked = sum(layer.output_gradient > 0 for layer in diagnosis.layers)
        return model.state_dict(), losses, looked, diagnosis

    alone = trained(None, watch=False)
    for outputs in (None, 0):
        watched = trained(outputs)
        assert same(watched[0], alone[0])
        assert watched[1] == alone[1]
    assert any("in one piece" in note for note in trained(None)[3].notes)
    # Looked at, it computes layer by layer: the same but for the last digits.
    losses, looked, diagnosis = trained(1)[1:]
    assert losses == pytest.approx(alone[1], rel=1e-3)
    assert looked == len(diagnosis.layers) > trained(None)[2]
    assert diagnosis.notes == ()


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
def test_leaving_takes_every_hook_away_and_keeps_what_was_seen(error) -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    before = snapshot(model)

    @contextmanager
    def perhaps() -> Iterator[None]:
        if error is None:
            yield
        else:
            with pytest.raises(error):
                yield

    with perhaps(), skipway.watch(model, optimizer, every=1, outputs=1, notify=len) as seen:
        for step in range(5):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            if error is not None and step == 4:
                raise error
            optimizer.step()
    optimizer.zero_grad()
    assert snapshot(model) == before
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert seen.step == (5 if error is None else 4)
    assert len(seen.diagnosis().layers) == 5
    for _ in range(3):
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert seen.step == (5 if error is None else 4)


def test_an_error_while_it_is_set_up_leaves_nothing_behind() -> None:
    model, other = net(), net(seed=1)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    before = snapshot(model)
    with (
        pytest.raises(OptimizerError, match="holds 10 parameters and none of them"),
        skipway.watch(model, optimizer),
    ):
        pass
    for nothing in (None, []):
        with pytest.raises(OptimizerError, match="given none"), skipway.watch(other, nothing):
            pass
    for every in (0, 2.5, "10"):
        with pytest.raises(OptimizerError, match=f"every={every!r}"):
            skipway.watch(other, optimizer, every=every).__enter__()
    with pytest.raises(OptimizerError, match="every=-1"), skipway.watch(other, optimizer, every=-1):
        pass
    with pytest.raises(ModelError, match="no parameters"), skipway.watch(nn.ReLU(), optimizer):
        pass
    assert snapshot(model) == before
    assert not optimizer._optimizer_step_pre_hooks


def test_what_was_not_entered_says_so() -> None:
    model = net()
    optimizer = sgd(model, 0.1)
    before = snapshot(model)
    seen = skipway.watch(model, optimizer)
    for name in ("loss", "step", "scalars", "diagnosis"):
        with pytest.raises(skipway.SkipwayError, match=rf"with skipway.watch\(.*seen\.{name}"):
            getattr(seen, name)
    with pytest.raises(AttributeError):
        seen.nothing_of_the_kind  # noqa: B018
    assert snapshot(model) == before
    assert not optimizer._optimizer_step_pre_hooks


def test_copies_and_files_made_meanwhile_are_not_watched(tmp_path) -> None:
    model, (x, y) = net(), batch()
    optimizer = sgd(model, 0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        copied = copy.deepcopy(model)
        torch.save(model, tmp_path / "model.pt")
        loaded = torch.load(tmp_path / "model.pt", weights_only=False)
        seen.loss(F.cross_entropy(model(x), y)).backward()
        for other in (copied, loaded):
            F.cross_entropy(other(x), y).backward()
        optimizer.step()
    alone = net()
    optimizer = sgd(alone, 0.1)
    with skipway.watch(alone, optimizer, every=1, outputs=1) as wanted:
        wanted.loss(F.cross_entropy(alone(x), y)).backward()
        optimizer.step()
    assert seen.scalars() == wanted.scalars()
    assert seen.scalars()["elasticity/4"] > 0


# Every kind of loop


def test_accumulated_micro_batches_are_one_step_on_the_whole_batch() -> None:
    whole, parts = net(), net()
    x, y = batch(16)
    found = []
    for model, pieces in ((whole, 1), (parts, 4)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
            for _ in range(3):
                optimizer.zero_grad()
                for a, b in zip(x.chunk(pieces), y.chunk(pieces), strict=True):
                    (seen.loss(F.cross_entropy(model(a), b)) / pieces).backward()
                optimizer.step()
        found.append(seen.scalars())
        assert seen.step == 3
    one, four = found
    for name in one:
        if not name.startswith(("lost", "epsilon", "signal")):  # the parts have means of their own
            assert four[name] == pytest.approx(one[name], rel=2e-5), name


@pytest.mark.parametrize("how", ["norm", "scaled and fused", "scaled", "divided", "value"])
def test_progress_is_of_the_gradient_that_arrived_before_it_was_clipped(how: str) -> None:
    model, (x, y) = net(), batch(32)
    fused = how == "scaled and fused"
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    given = torch.amp.GradScaler("cpu", init_scale=2.0**12) if how.startswith("scaled") else None
    with skipway.watch(model, optimizer, every=1, scaler=given) as seen:
        for _ in range(5):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            wanted = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            before = [p.detach().clone() for p in model.parameters()]
            scaled = given.scale(seen.loss(loss)) if given else seen.loss(loss)
            scaled.backward()
            if given:
                given.unscale_(optimizer)
            if how == "value":
                torch.nn.utils.clip_grad_value_(model.parameters(), 1e-3)
                wanted = [p.grad.clone() for p in model.parameters()]  # no factor tells what was
            elif how == "divided":
                for parameter in model.parameters():
                    parameter.grad.div_(7)
            else:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-4)
            gradient = norm(model[0].weight.grad)
            given.step(optimizer) if given else optimizer.step()
            if given:
                given.update()
            moved = [
                now.detach() - old for now, old in zip(model.parameters(), before, strict=True)
            ]
            total = -sum(
                float((slope.double() * way.double()).sum())
                for slope, way in zip(wanted, moved, strict=True)
            )
            found = seen.scalars()
            assert found["total progress"] == pytest.approx(total / loss.item(), rel=1e-4)
            assert found["gradient/0"] == pytest.approx(gradient, rel=1e-5)
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_where_clipping_begins_no_number_is_of_a_gradient_that_nobody_saw_arrive() -> None:
    model, (x, y) = net(), batch(32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    left_out = []
    with skipway.watch(model, optimizer, every=1) as seen:
        for step in range(1, 13):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            square = sum(float(p.grad.double().square().sum()) for p in model.parameters())
            clipped = 1.0
            if step in (8, 10, 12):
                norm_before = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
                clipped = 1e-3 / float(norm_before)
            optimizer.step()
            if not seen.fresh:
                left_out.append(step)
                continue
            # A step of SGD along a gradient g goes as far as the rate times what is left of it.
            wanted = 0.01 * clipped * square / loss.item()
            assert seen.scalars()["total progress"] == pytest.approx(wanted, rel=1e-3), step
    assert left_out == [8]
    assert seen.step == 12


class Unused(nn.Module):
    """A head that this loss has no use for, smaller than anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.second = net(), nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize("cut", ["unused", "frozen at first"])
def test_micro_batches_add_up_where_the_smallest_weight_gets_no_gradient(cut: str) -> None:
    model, (x, y) = Unused(), batch()
    optimizer = sgd(model, 0.1)
    if cut != "unused":
        model.requires_grad_(False)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        model.body.requires_grad_(True)
        for _ in range(3):
            wanted = F.cross_entropy(model(x), y).item()
            optimizer.zero_grad()
            for some, labels in zip(x.chunk(4), y.chunk(4), strict=True):
                seen.loss(F.cross_entropy(model(some), labels) / 4).backward()
            slow = Slow(model)
            optimizer.step()
            assert seen.scalars()["loss"] == pytest.approx(wanted, rel=1e-6)
            agree(seen.scalars(), slow, "body.0", wanted)


def test_the_loss_may_be_handed_in_after_backward() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            total = 0.0
            for a, b in zip(x.chunk(2), y.chunk(2), strict=True):
                loss = F.cross_entropy(model(a), b) / 2
                loss.backward()
                seen.loss(loss)
                total += loss.item()
            optimizer.step()
            assert seen.scalars()["loss"] == pytest.approx(total)


def test_validation_between_the_steps_is_not_counted() -> None:
    model, (x, y) = net(), batch()
    found = []
    for validated in (False, True):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
            for _ in range(3):
                optimizer.zero_grad()
                loss = seen.loss(F.cross_entropy(model(x), y))
                if validated:
                    model(torch.randn(100, 4))
                    with torch.no_grad():
                        model(torch.randn(100, 4))
                loss.backward()
                optimizer.step()
        found.append(seen.scalars())
    assert found[0] == found[1]


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_part_counts_once(reentrant: bool) -> None:
    class Kept(nn.Module):
        def __init__(self, through: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.stem, self.head, self.through = nn.Linear(4, 8), nn.Linear(8, 3), through
            self.body = nn.Sequential(nn.Tanh(), nn.Linear(8, 8), nn.ReLU(inplace=True))

        def forward(self, x: Tensor) -> Tensor:
            part = partial(checkpoint, self.body, use_reentrant=reentrant)
            return self.head((part if self.through else self.body)(self.stem(x)))

    found = []
    for through in (False, True):
        model, (x, y) = Kept(through), batch()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
            for _ in range(3):
                optimizer.zero_grad()
                seen.loss(F.cross_entropy(model(x), y)).backward()
                optimizer.step()
        found.append(seen.scalars())
    assert found[0] == found[1]
    assert found[0]["elasticity/body.1"] > 0


def test_a_closure_is_measured_at_its_first_gradient() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
    seen_losses: list[list[Tensor]] = []
    slow: list[Slow] = []

    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = seen.loss(F.cross_entropy(model(x), y))
            loss.backward()
            if not seen_losses[-1]:
                slow.append(Slow(model))
            seen_losses[-1].append(loss.detach())
            return loss

        for step in range(3):
            seen_losses.append([])
            optimizer.step(closure)
            assert len(seen_losses[-1]) > 1
            loss = float(seen_losses[-1][0])
            found = seen.scalars()
            assert found["loss"] == loss
            for layer in ("0", "4", "8"):
                agree(found, slow[step], layer, loss)
            whole = copy.deepcopy(model)
            for name, parameter in whole.named_parameters():
                parameter.data = slow[step].before[name]
            hidden = [x]
            for module in whole:
                hidden.append(module(hidden[-1]))
                hidden[-1].retain_grad()
            F.cross_entropy(hidden[-1], y).backward()
            wanted = norm(hidden[1].grad) * norm(hidden[1]) / loss
            assert found["elasticity/0"] == pytest.approx(wanted, rel=1e-5)


def test_a_closure_gives_its_loss_by_itself_and_trains_the_same() -> None:
    states = []
    for watched in (False, True):
        model, (x, y) = net(), batch()
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

        def closure(model=model, optimizer=optimizer, x=x, y=y) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        if watched:
            with skipway.watch(model, optimizer, every=2, outputs=1) as seen:
                for _ in range(6):
                    optimizer.step(closure=closure)
            assert seen.scalars()["loss"] > 0
        else:
            for _ in range(6):
                optimizer.step(closure)
        states.append(model.state_dict())
    assert same(*states)


def test_several_optimizers_and_groups() -> None:
    model, (x, y) = net(), batch()
    first = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters()}], lr=0.01
    )
    second = torch.optim.Adam([*model[4].parameters(), *model[6].parameters()], lr=0.01)
    model[8].requires_grad_(False)
    with skipway.watch(model, [first, second], every=2, outputs=1) as seen:
        for _ in range(6):
            first.zero_grad()
            second.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            first.step()
            second.step()
    for layer in ("0", "2", "4", "6"):
        agree(seen.scalars(), slow, layer, loss.item())
    diagnosis = seen.diagnosis()
    assert [layer.trainable for layer in diagnosis.layers] == [True] * 4 + [False]
    assert diagnosis.layers[-1].name == "8"
    assert diagnosis.watching.steps == (1, 2, 4, 6)
    assert diagnosis.optimizer == "SGD, Adam"


@pytest.mark.parametrize("critic", [1, 3], ids=["in turn", "three to one"])
def test_two_opponents_have_a_loss_each(critic: int) -> None:
    """A discriminator and a generator: each one's numbers are of its own loss."""
    torch.manual_seed(0)
    both = nn.ModuleDict(
        {"judge": net(2), "maker": nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))}
    )
    judge, maker = both["judge"], both["maker"]
    optimizers = [torch.optim.Adam(each.parameters(), lr=0.01) for each in (judge, maker)]
    x, _ = batch(32)
    with skipway.watch(both, optimizers, every=1, outputs=1) as seen:
        for turn in range(9):
            fake = maker(torch.randn(32, 4))
            told = F.cross_entropy(judge(fake.detach()), torch.zeros(32, dtype=torch.long))
            own = told + F.cross_entropy(judge(x), torch.ones(32, dtype=torch.long))
            optimizers[0].zero_grad()
            seen.loss(own).backward()
            slow = Slow(both)
            optimizers[0].step()
            agree(seen.scalars(), slow, "judge.0", own.item())
            assert seen.scalars()["loss"] == pytest.approx(own.item(), rel=1e-6)
            first = slow.whole("judge", own.item())
            if turn % critic:
                continue
            lost = F.cross_entropy(judge(fake), torch.ones(32, dtype=torch.long)) * 100
            optimizers[1].zero_grad()
            seen.loss(lost).backward()
            slow = Slow(both)
            optimizers[1].step()
            found = seen.scalars()
            agree(found, slow, "maker.0", lost.item())
            assert found["loss"] == pytest.approx(own.item(), rel=1e-6)
            assert found["loss 2"] == pytest.approx(lost.item(), rel=1e-6)
            total = first + slow.whole("maker", lost.item())
            assert found["total progress"] == pytest.approx(total, rel=1e-4)
    assert seen.step == 9
    assert seen.diagnosis().watching.steps == tuple(range(1, 10))
    told = seen.diagnosis().summary
    assert "the first went" in told
    assert "the second went" in told


def test_a_group_that_is_added_later_is_followed() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model[8].parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for step in range(4):
            if step == 2:
                optimizer.add_param_group({"params": list(model[0].parameters())})
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            assert ("weight/0" in seen.scalars()) == (step >= 2)
    agree(seen.scalars(), slow, "0", loss.item())


@pytest.mark.parametrize("fused", [False, True], ids=["not fused", "fused"])
@pytest.mark.parametrize("unscaled", [False, True], ids=["", "unscaled by the loop"])
def test_amp_is_unscaled_and_skipped_steps_are_left_out(fused: bool, unscaled: bool) -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    kept: dict[str, float] = {}
    with skipway.watch(model, optimizer, every=1, outputs=1, scaler=scaler) as seen:
        for step in range(8):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            scaler.scale(seen.loss(loss)).backward()
            if step == 4:
                model[0].weight.grad[0, 0] = math.inf
            if unscaled:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
            slow, scale = Slow(model), scaler.get_scale()
            if not unscaled:
                slow.gradients = {n: g / scale for n, g in slow.gradients.items()}
            scaler.step(optimizer)
            scaler.update()
            found = seen.scalars()
            if step == 4:
                assert found == kept
                continue
            kept = found
            agree(found, slow, "0", loss.item())
            agree(found, slow, "8", loss.item())
            assert found["loss"] == pytest.approx(loss.item(), rel=1e-6)
            clean = copy.deepcopy(model)
            for name, parameter in clean.named_parameters():
                parameter.data, parameter.grad = slow.before[name], None
            h = clean[0](x)
            h.retain_grad()
            F.cross_entropy(clean[1:](h), y).backward()
            wanted = norm(h.grad) * norm(h) / loss.item()
            assert found["elasticity/0"] == pytest.approx(wanted, rel=1e-5)
    assert seen.diagnosis().cause != "non-finite"


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("fused", [False, True], ids=["not fused", "fused"])
def test_a_step_that_the_scaler_leaves_out_is_none(fused: bool, every: int) -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    taken = 0
    with skipway.watch(model, optimizer, every=every, outputs=1, scaler=scaler) as seen:
        for turn in range(14):
            optimizer.zero_grad()
            scaler.scale(seen.loss(F.cross_entropy(model(x), y))).backward()
            before = model[0].weight.detach().clone()
            if turn in (0, 4, 5, 6, 9):
                model[0].weight.grad[0, 0] = math.inf
            scaler.step(optimizer)
            scaler.update()
            moved = not torch.equal(model[0].weight, before)
            taken += moved
            # Adam counts its own steps.
            state = optimizer.state[model[0].weight]
            assert seen.step == taken == (int(state["step"]) if taken else 0)
            if taken and seen.fresh and moved:
                # What is said is of the step that was just taken.
                wanted = norm(model[0].weight - before) / norm(before)
                assert seen.scalars()["update/0"] == pytest.approx(wanted, rel=1e-6)
    assert taken == 9
    steps = seen.diagnosis().watching.steps
    assert all(a < b for a, b in pairwise(steps))
    assert steps[0] == 1
    assert steps[-1] <= taken


class Unwatched:
    def loss(self, loss: Tensor) -> Tensor:
        return loss


class Noisy(torch.optim.Adam):
    """A step of one's own around that of the base, as people write it."""

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(2.0)
        return super().step(closure)


def test_a_step_within_a_step_counts_once() -> None:
    torch.optim.Adam(net().parameters())  # from here on PyTorch has hooks around the base's step
    model, (x, y) = net(), batch()
    optimizer = Noisy(model.parameters(), lr=0.01)
    with skipway.watch(model, optimizer, every=1) as seen:
        for turn in range(6):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            if turn == 2:
                with pytest.raises(AttributeError):
                    optimizer.step()  # no gradient yet: it raises, and the next one is whole
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            agree(seen.scalars(), slow, "0", loss.item())
    assert seen.step == 6
    assert seen.diagnosis().watching.steps == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adadelta, torch.optim.Adam])
def test_only_an_optimizer_with_an_epsilon_beside_a_second_moment_has_a_share(kind) -> None:
    model, (x, y) = net(), batch()
    optimizer = kind(model.parameters(), lr=0.01)
    with skipway.watch(model, optimizer, every=1) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
    shares = {name for name in seen.scalars() if name.startswith("epsilon/")}
    rows = seen.diagnosis().watching.epsilon
    assert bool(shares) == (kind is torch.optim.Adam)
    assert any(value is not None for row in rows for value in row) == bool(shares)


@pytest.mark.parametrize("scale", [2.0, 2.0**16])
def test_a_scaler_that_was_not_given_is_an_error(scale: float) -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)

    def train() -> None:
        with skipway.watch(model, optimizer) as seen:
            scaler.scale(seen.loss(F.cross_entropy(model(x), y))).backward()
            scaler.step(optimizer)

    with pytest.raises(LossError, match="scaler=scaler"):
        train()


def test_tied_weights_count_once_and_sparse_gradients_as_dense_ones() -> None:
    class Words(nn.Module):
        def __init__(self, sparse: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.embedding = nn.Embedding(40, 8, sparse=sparse)
            self.middle, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(torch.tanh(self.middle(self.embedding(tokens).mean(1))))

    tokens, y = torch.randint(20, (16, 6)), torch.randint(5, (16,))
    found = []
    for sparse in (False, True):
        model = Words(sparse)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
            for _ in range(4):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(tokens), y)
                seen.loss(loss).backward()
                slow = Slow(model)
                optimizer.step()
            agree(seen.scalars(), slow, "embedding", loss.item())
        found.append(seen.scalars())
    assert found[0] == pytest.approx(found[1], rel=1e-3)  # they are summed in another order
    tied = next(each for each in ZOO if each.name == "tied")
    model, inputs = tied.build(), tied.inputs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1) as seen:
        seen.loss(tied.objective(model, inputs)).backward()
        slow = Slow(model)
        optimizer.step()
    agree(seen.scalars(), slow, "embedding", seen.scalars()["loss"])


def test_sparse_adam_trains_under_watch() -> None:
    model = nn.Sequential(nn.Embedding(30, 4, sparse=True), nn.Flatten())
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)
    tokens = torch.randint(10, (8, 2))
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(tokens).square().mean()
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
    agree(seen.scalars(), slow, "0", loss.item())
    assert seen.scalars()["epsilon/0"] == 0.0


def test_complex_parameters_count_as_pairs_of_real_ones() -> None:
    class Phases(nn.Module):
        def __init__(self, pairs: bool) -> None:
            super().__init__()
            weight = torch.randn(
                4, 3, dtype=torch.cfloat, generator=torch.Generator().manual_seed(0)
            )
            self.weight = nn.Parameter(torch.view_as_real(weight).clone() if pairs else weight)

        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight if self.weight.is_complex() else torch.view_as_complex(self.weight)
            return (x.to(weight.dtype) @ weight).abs()

    x, y = batch()
    found = []
    for pairs in (False, True):
        model = Phases(pairs)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
            for _ in range(3):
                optimizer.zero_grad()
                seen.loss(F.cross_entropy(model(x), y)).backward()
                optimizer.step()
        found.append(seen.scalars())
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0]["total progress"] > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_widths_of_parameters(dtype: torch.dtype) -> None:
    model, (x, y) = net().to(dtype), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1, notify=len) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x.to(dtype)).float(), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            for layer in ("0", "4", "8"):
                agree(seen.scalars(), slow, layer, loss.item())
    lost = seen.scalars()["lost/4"]
    assert (lost > 0.1) if dtype == torch.bfloat16 else (lost < 0.5)


def test_memory_of_parameters_may_be_exchanged() -> None:
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for step in range(4):
            if step == 2:
                for parameter in model.parameters():
                    parameter.data = parameter.data.clone() * 1.5
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            agree(seen.scalars(), slow, "2", loss.item())


def test_channels_last_convolutions() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(True), nn.Conv2d(8, 5, 3)).to(
        memory_format=torch.channels_last
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    with skipway.watch(model, optimizer, every=1, outputs=1) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
            agree(seen.scalars(), slow, "0", loss.item())
            agree(seen.scalars(), slow, "2", loss.item())


# torch.compile


def compiled(how: str, backend: str = "aot_eager", outputs: int = 3) -> tuple[Any, Any]:
    torch._dynamo.reset()
    model, (x, y) = net(), batch()
    run = model
    if how == "a method":
        model.compile(backend=backend)
    elif how != "within":
        run = torch.compile(model, backend=backend)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    if how == "too late":
        run(x)

    def train(hand: Callable[[Tensor], Tensor]) -> None:
        for _ in range(40):
            optimizer.zero_grad()
            hand(F.cross_entropy(run(x), y)).backward()
            optimizer.step()

    if how == "alone":
        train(lambda loss: loss)
        return model, None
    with warnings.catch_warnings():
        # torch.compile itself looks at `.grad` of tensors it stops at.
        warnings.filterwarnings("ignore", "The .grad attribute")
        with skipway.watch(run, optimizer, every=5, outputs=outputs) as seen:
            if how == "within":
                run = torch.compile(model, backend=backend)
            train(seen.loss)
    return model, seen


@pytest.mark.parametrize("how", ["before", "within", "a method"])
def test_a_compiled_model_is_seen_and_trains_the_same(how: str) -> None:
    alone, _ = compiled("alone")
    model, seen = compiled(how)
    assert same(model.state_dict(), alone.state_dict())
    watching = seen.diagnosis().watching
    for row in watching.elasticity:
        looked = [step for step, value in zip(watching.steps, row, strict=True) if value]
        assert looked == [1, 5, 10, 15, 30]
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method")
@pytest.mark.parametrize("within", [True, False])
def test_a_compiled_step_is_watched_and_trains_the_same(within: bool) -> None:
    """PyTorch's own recipe for a compiled optimizer."""
    curves = []
    for watched in (False, True):
        torch._dynamo.reset()
        model, (x, y) = net(), batch()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = torch.compile(optimizer.step, backend="eager")
        watch = skipway.watch(model, optimizer, every=1) if watched else nullcontext(Unwatched())
        losses = []
        if not within:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            step()  # compiled before it is watched
        with watch as seen:
            for _ in range(5):
                optimizer.zero_grad()
                loss = seen.loss(F.cross_entropy(model(x), y))
                loss.backward()
                slow = Slow(model)
                step()
                losses.append(loss.item())
        if watched:
            assert seen.step == 5
            agree(seen.scalars(), slow, "0", losses[-1])
        curves.append(losses)
    assert curves[0] == curves[1]


def test_hooks_that_come_too_late_for_a_compiled_model_are_an_error() -> None:
    with pytest.raises(ModelError, match="compiled and has run before"):
        compiled("too late")
    alone, _ = compiled("alone")
    model, seen = compiled("too late", outputs=0)
    assert same(model.state_dict(), alone.state_dict())
    assert seen.scalars()["gradient/0"] > 0


class Parts(nn.Module):
    """A part that is compiled by itself, beside attention, whose last layer is never called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attend, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)
        self.part = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.part(self.attend(x, x, x)[0]).mean(1))


# torch.compile itself looks at `.grad` of tensors it stops at.
@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("what", ["part", "attend"])
@pytest.mark.parametrize("late", [False, True])
def test_a_part_that_is_compiled_by_itself_is_seen_or_named(what: str, late: bool) -> None:
    model, x = Parts(), torch.randn(4, 5, 8)
    setattr(model, what, torch.compile(getattr(model, what), backend="eager"))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    if late:
        model(x)

    def train() -> skipway.Watch:
        with skipway.watch(model, optimizer, every=1) as seen:
            for _ in range(3):
                optimizer.zero_grad()
                seen.loss(model(x).square().mean()).backward()
                optimizer.step()
        return seen

    # torch 2.4 compiles anew where a hook has come, so there the hook is not too late.
    if late and not torch.__version__.startswith("2.4."):
        with pytest.raises(ModelError, match=f"`{what}.*before the first call"):
            train()
    else:
        inside = "part.2" if what == "part" else "attend"
        assert train().scalars()[f"elasticity/{inside}"] > 0
    assert not any(module._forward_hooks for module in model.modules())


def test_a_warning_points_at_the_line_of_ones_own_loop():
    case = skipway.cases.load("plain-mlp")
    torch.manual_seed(0)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters())
    x, y = case.batch()
    with (
        warnings.catch_warnings(record=True) as caught,
        skipway.watch(model, optimizer, every=1) as seen,
    ):
        warnings.simplefilter("always")
        for _ in range(3):
            seen.loss(case.loss(model(x), y)).backward()
            optimizer.step()
    assert caught
    assert {Path(each.filename).name for each in caught} == {"test_watch.py"}


def test_a_layer_of_several_large_tensors_is_measured_whole() -> None:
    torch.manual_seed(0)
    memory, head = nn.LSTM(20, 140, batch_first=True), nn.Linear(140, 500)

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory, self.head = memory, head

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.memory(x)[0][:, -1])

    model = Reader()  # 11,200 and 78,400 numbers in the LSTM, 70,000 in the head
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y = torch.randn(8, 5, 20), torch.randint(500, (8,))
    with skipway.watch(model, optimizer, every=1, outputs=7, weights=1) as seen:
        for _ in range(8):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            seen.loss(loss).backward()
            slow = Slow(model)
            optimizer.step()
    wide = ("memory.weight_ih_l0", "memory.weight_hh_l0")
    rows = dict(
        zip(seen.diagnosis().watching.layers, seen.diagnosis().watching.update, strict=True)
    )
    assert [value is not None for value in rows["memory"]] == [True, False] * 4
    assert [value is not None for value in rows["head"]] == [False, True] * 4
    assert all(value is not None for value in seen.diagnosis().watching.progress)
    found = seen.scalars()
    assert found["gradient/head"] == pytest.approx(norm(slow.gradients["head.weight"]), rel=1e-6)
    assert found["lost/head"] == pytest.approx(slow.numbers("head.weight", 1.0)["lost"], abs=1e-9)
    optimizer.zero_grad()
    with skipway.watch(model, optimizer, every=1, weights=1) as seen:
        seen.loss(F.cross_entropy(model(x), y)).backward()
        wanted = math.hypot(*(norm(model.get_parameter(name).grad) for name in wide))
        optimizer.step()
    assert seen.scalars()["gradient/memory"] == pytest.approx(wanted, rel=1e-6)
    assert "gradient/head" not in seen.scalars()


def test_no_name_of_a_number_is_the_folder_of_another() -> None:
    """Loggers that keep a file for each name make folders at every slash."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with skipway.watch(model, optimizer, every=1, notify=lambda _: None) as watch:
        loss = watch.loss(model(torch.randn(16, 4)).square().mean())
        loss.backward()
        optimizer.step()
        names = set(watch.scalars())
    assert {"total progress", "progress/0"} <= names
    assert not [name for name in names if any(other.startswith(f"{name}/") for other in names)]
