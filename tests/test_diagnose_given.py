"""What people hand in: arguments of every kind, from every kind of place."""

from __future__ import annotations

import copy
import re
import threading
import time
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import skipway
from skipway import diagnose, watch
from skipway._errors import BatchError, LossError, ModelError, OptimizerError, SkipwayError
from snapshot import snapshot

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
Y = X[:, :4].argmax(1)
BATCH = X, Y


def network(*more: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), *more, nn.Linear(16, 4))


class Slow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)  # the other threads get their turn in the middle of a pass
        return x


def test_a_model_asked_about_from_several_threads_keeps_nothing_of_it():
    model, before = network(Slow()), snapshot(network(Slow()))
    hooks = [key for key in before if "hooks" in key]
    said: list[Any] = []

    def ask() -> None:
        try:
            said.append(diagnose(model, BATCH, F.cross_entropy).to_dict())
        except Exception as error:  # what a thread raises is lost otherwise
            said.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    after = snapshot(model)
    assert hooks
    assert all(not after[key] for key in hooks)
    assert said == [diagnose(model, BATCH, F.cross_entropy).to_dict()] * 4


def test_further_batches_of_a_loader_draw_nothing_from_the_generator():
    loader = DataLoader(TensorDataset(X, Y), 32, shuffle=True)
    model = network()
    before = snapshot(model)
    assert diagnose(model, BATCH, F.cross_entropy, batches=loader).batches == 3
    after = snapshot(model)
    assert all(before[key] == after[key] for key in before)


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = diagnose(
        model, BATCH, F.cross_entropy, optimizer=optimizer, steps=np.int64(3), batches=np.int32(2)
    )
    assert found.batches == 2
    found.save(tmp_path / "found.json")
    with watch(model, optimizer, every=np.int64(2), outputs=np.int64(1)) as seen:
        for _ in range(4):
            optimizer.zero_grad()
            seen.loss(F.cross_entropy(model(X), Y)).backward()
            optimizer.step()
    seen.diagnosis().save(tmp_path / "seen.json")
    assert skipway.read(tmp_path / "seen.json") == seen.diagnosis()


def compiled_by_jit() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates it, and people have it
        return torch.jit.trace(network(), X)


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return network()


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"model": nn.Linear}, ModelError, r"is the class Linear\. Build it: Linear\("),
        ({"model": network}, ModelError, "of type function, not a torch.nn.Module"),
        ({"model": compiled_by_jit()}, ModelError, "the module that it was made from"),
        ({"model": on_meta()}, ModelError, r"`0.weight` is on the meta device.*to_empty"),
        ({"batch": (X.to("meta"), Y)}, BatchError, "inputs are on the meta device"),
        ({"batch": (X, X, Y)}, BatchError, "of type tuple of 3, not a pair"),
        ({"batch": 5}, BatchError, "of type int, not a pair"),
        ({"loss_fn": "cross_entropy"}, LossError, "loss_fn is of type str, and cannot be called"),
        ({"loss_fn": None, "objective": 7}, LossError, "objective is of type int"),
        (
            {"loss_fn": lambda output, y: F.cross_entropy(output.argmax(1), y)},
            LossError,
            r"output of shape \(64, 4\) \(float32\) and targets of shape \(64,\) \(int64\).*"
            r"Check that loss_fn\(model\(inputs\), targets\) runs by itself\.",
        ),
        ({"steps": 1.5}, OptimizerError, "no number of steps"),
        ({"steps": True}, OptimizerError, "no number of steps"),
        ({"batches": BATCH}, BatchError, r"Batch 1 of batches= is of type Tensor, not a pair"),
        ({"batches": [BATCH, (X[:1], Y[:1])]}, BatchError, "Batch 2 of batches= holds one sample"),
        (
            {"batches": 2.0},
            BatchError,
            r"of type float; give .*batches=\[\(inputs, targets\), \.\.\.\]",
        ),
    ],
)
def test_what_cannot_be_diagnosed_is_told_by_its_own_name(given, kind, words):
    given = {"model": network(), "batch": BATCH, "loss_fn": F.cross_entropy, **given}
    with pytest.raises(kind, match=words):
        diagnose(**given)


def test_an_error_of_the_model_ends_in_one_full_stop():
    class Loud(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("Not today.")

    with pytest.raises(ModelError, match=r"raised ValueError in `2` \(Loud\): Not today\. It was"):
        diagnose(network(Loud()), BATCH, F.cross_entropy)


def test_steps_that_nobody_can_take_are_told():
    told = diagnose(network(), BATCH, F.cross_entropy, steps=5).notes
    assert any("nor 5 steps tried" in note for note in told)
    told = diagnose(network(), BATCH, F.cross_entropy).notes
    assert any(note.endswith("could not be judged.") for note in told)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"notify": "print"}, SkipwayError, "notify is of type str, and cannot be called"),
        ({"scaler": True}, OptimizerError, "scaler is of type bool. Give the torch.amp.GradScaler"),
        ({"weights": -1}, OptimizerError, "weights=-1: .*outputs and weights 0 or more"),
        ({"every": True}, OptimizerError, "every=True"),
        ({"every": None}, OptimizerError, "every=None"),
        ({"model": on_meta()}, ModelError, "`0.weight` is on the meta device"),
    ],
)
def test_what_cannot_be_watched_is_told_before_the_first_step(given, kind, words):
    model = given.pop("model", network())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(kind, match=words), watch(model, optimizer, **given):
        pytest.fail("entered")


def test_a_watch_is_entered_once():
    model = network()
    watched = watch(model, torch.optim.SGD(model.parameters(), 0.1))
    with watched:
        pass
    with pytest.raises(SkipwayError, match=r"entered before\. Call skipway\.watch"), watched:
        pytest.fail("entered")


def test_an_ordinary_training_that_begins_slowly_is_not_called_too_slow():
    torch.manual_seed(0)
    inputs = torch.randn(128, 16)
    targets = inputs[:, :4].argmax(1)
    middle = [each for _ in range(3) for each in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), *middle, nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = diagnose(model, (inputs, targets), F.cross_entropy, optimizer=optimizer)
    losses = []
    for _ in range(501):
        optimizer.zero_grad()
        losses.append(F.cross_entropy(model(inputs), targets))
        losses[-1].backward()
        optimizer.step()
    # It learns all there is, though its first ten steps look as if it did not.
    assert losses[500] < 0.1 < 0.99 * losses[0] < losses[10]
    assert found.cause == "healthy"
    assert [each.cause for each in found.findings] == ["healthy"]
    assert "stays where it is" not in found.headline


def test_losses_that_differ_are_written_so_that_one_sees_it():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    found = diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    assert found.cause == "lr-too-small"
    told = re.search(r" 10 steps take the loss from (\S+) to (\S+); ", found.findings[0].evidence)
    assert told is not None
    begun = F.cross_entropy(model(X), Y).item()
    for _ in range(10):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()
    ended = F.cross_entropy(model(X), Y).item()
    assert f"{begun:.2g}" == f"{ended:.2g}"  # two digits would not do
    assert [float(each) for each in told.groups()] == [
        pytest.approx(begun, rel=6e-4), pytest.approx(ended, rel=6e-4)
    ]  # fmt: skip
    assert told[1] != told[2]


def test_weights_without_a_gradient_are_none_that_epsilon_sets_the_step_of():
    """Adapters start at zero: half of their weights get a gradient with the second step alone."""

    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Parameter(torch.randn(4, 8) / 8)
            self.up = nn.Parameter(torch.zeros(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.down.T @ self.up.T

    model = Adapted()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-9)
    found = diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    assert found.cause == "lr-too-small"
    assert not any("epsilon" in each.evidence + each.remedy for each in found.findings)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "steps", "when"),
    [
        (torch.optim.AdamW, 0, "now"),
        (torch.optim.AdamW, 7, "after 7 steps"),
        (torch.optim.SGD, 7, "now"),  # it keeps nothing to count by
    ],
)
def test_a_diagnosis_says_when_it_was_made_as_far_as_it_can_know(kind, steps, when):
    model = network()
    optimizer = kind(model.parameters(), 0.01)
    train(model, optimizer, steps)
    found = diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    assert found.when == when
    assert f"is the loss of this batch, {when}" in str(found)
    assert diagnose(model, BATCH, F.cross_entropy, when="at noon").when == "at noon"


@pytest.mark.parametrize("name", ["upper.HTML", "upper.JSON"])
def test_an_ending_in_capitals_is_an_ending(tmp_path, name):
    assert diagnose(network(), BATCH, F.cross_entropy).save(tmp_path / name).is_file()


def test_the_home_folder_is_found_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    found = diagnose(network(), BATCH, F.cross_entropy)
    assert found.save("~/found.json") == tmp_path / "found.json"
    assert skipway.read("~/found.json") == found


class Forgetful(nn.Module):
    def __init__(self, *, frozen: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 16)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 4)
        self.second.requires_grad_(not frozen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The head's weights are read, though the head itself is not called.
        return F.linear(self.norm(self.first(x)), self.head.weight, self.head.bias)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_layer_that_forward_forgets_is_told(frozen):
    told = diagnose(Forgetful(frozen=frozen), BATCH, F.cross_entropy).notes
    assert [each for each in told if "never called" in each] == (
        []
        if frozen
        else [
            "`second`: never called and without a gradient, so no step has a use for what is in "
            "there."
        ]
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda loss: (loss, {"accuracy": 0}), "of type tuple, .* Return the loss alone"),
        (lambda loss: {"loss": loss}, "of type dict, .* Return the loss alone"),
        (lambda loss: loss.item(), r"of type float, .* without \.item\(\)"),
        (lambda loss: None, "of type NoneType, .* has to return it"),
    ],
)
def test_a_loss_that_is_no_tensor_is_told_by_what_it_is(made, words):
    with pytest.raises(LossError, match=words):
        diagnose(network(), BATCH, lambda output, y: made(F.cross_entropy(output, y)))


def test_a_watched_training_says_that_it_cannot_be_asked():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer) as seen:
        train(model, optimizer, 1)
    with pytest.raises(SkipwayError, match="of a watched training"):
        seen.diagnosis().what_if(skip=("0", "2"))


@pytest.mark.parametrize("rate", [1e-6, 5.0])
def test_an_objective_that_uses_another_variable_than_its_model_is_told(rate):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    before = snapshot(model)
    with pytest.raises(LossError, match=r"without the model that it is given.* first argument"):
        diagnose(
            model,
            BATCH,
            objective=lambda _, batch: F.cross_entropy(model(batch[0]), batch[1]),
            optimizer=optimizer,
        )
    after = snapshot(model)
    assert all(before[key] == after[key] for key in before)


def test_a_copy_that_computes_with_the_original_is_said_to_be_no_copy():
    model = network()
    inner = model[0]
    model[0].forward = lambda x: F.linear(x, inner.weight, inner.bias)  # a closure, not a method
    model[2].forward = lambda x, last=model[2]: F.linear(x, last.weight, last.bias)
    optimizer = torch.optim.Adam(model.parameters(), 1e-6)
    found = diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    assert any("a copy of the model computes with parameters of the" in n for n in found.notes)
    assert "stays where it is" not in found.headline


def test_a_wrapped_model_has_the_layers_of_the_bare_one_and_is_not_run_through_its_wrapper():
    class Wrapper(nn.DataParallel):
        def forward(self, *inputs: Any, **more: Any) -> Any:
            pytest.fail("The wrapper may wait for other processes.")

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    bare = diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    wrapped = Wrapper(model)
    before = snapshot(wrapped)
    assert diagnose(wrapped, BATCH, F.cross_entropy, optimizer=optimizer) == bare
    assert snapshot(wrapped) == before
    with watch(nn.DataParallel(model), optimizer, every=1) as seen:
        train(model, optimizer, 1)
    assert [each.name for each in seen.diagnosis().layers] == [each.name for each in bare.layers]


@pytest.mark.parametrize(
    "middle", [nn.BatchNorm1d(16), nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16))]
)
def test_a_backward_that_is_still_to_come_is_not_disturbed(middle):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), middle, nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    twin = copy.deepcopy(model)
    loss = F.cross_entropy(model(X), Y)
    diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer)
    loss.backward()
    F.cross_entropy(twin(X), Y).backward()
    for own, expected in zip(model.parameters(), twin.parameters(), strict=True):
        assert own.grad is not None
        assert torch.equal(own.grad, expected.grad)


def test_a_model_with_a_part_that_is_compiled_by_jit_is_diagnosed():
    model = nn.Sequential(nn.Linear(8, 8), compiled_by_jit(), nn.Linear(4, 4))
    found = diagnose(model, BATCH, F.cross_entropy)
    assert [layer.name for layer in found.layers] == ["0", "2"]
    (told,) = (each for each in found.notes if "torch.jit" in each)
    assert told.startswith("`1.0`, `1.2`: a gradient arrives, but what was computed")


def test_a_layer_that_runs_in_vmap_is_named():
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(torch.vmap(lambda row: torch.tanh(self.b(row)))(torch.tanh(self.a(x))))

    found = diagnose(Mapped(), BATCH, F.cross_entropy)
    assert [layer.name for layer in found.layers] == ["a", "c"]
    assert any(each.startswith("`b`: a gradient arrives") for each in found.notes)


def swish(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


class Swish(nn.Module):
    """Layers with a function between them that may be compiled by torch.jit."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act, self.scale = [act], nn.Parameter(torch.ones(16))
        self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (act,) = self.act
        x = act(self.a(x))
        return self.c(act(x + self.b(x)) * self.scale)


def test_layers_behind_a_function_of_torch_jit_are_seen_as_they_are_without_it():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates it, and timm and others have it
        compiled = torch.jit.script(swish)
    found = []
    for act in (swish, compiled):
        torch.manual_seed(0)
        model = Swish(act)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        found.append(diagnose(model, BATCH, F.cross_entropy, optimizer=optimizer))
    plain, seen = found
    assert [each.name for each in seen.layers] == ["a", "b", "c"]
    for own, expected in zip(seen.layers, plain.layers, strict=True):
        assert own.elasticity == pytest.approx(expected.elasticity, rel=1e-4)
        assert own.gradient == pytest.approx(expected.gradient, rel=1e-4)
    assert [each.kind for each in seen.skips] == [each.kind for each in plain.skips] == ["identity"]
    assert not any("torch.jit" in each for each in seen.notes)  # nothing is hidden in there
    calls = torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__
    assert [(each.source, each.destination) for each in skipway.skips(Swish(compiled), X)] == [
        (each.source, each.destination) for each in skipway.skips(Swish(swish), X)
    ]
    with pytest.raises(ModelError):
        skipway.skips(Swish(compiled), X[:, :3])
    assert calls == (torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__)


class Hidden(torch.autograd.Function):
    """Runs as an extension in C++ does: no call of it is seen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        with torch._C.DisableTorchFunction():
            sign = x.gt(0)
            ctx.save_for_backward(sign)
            return x * sign

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * ctx.saved_tensors[0]


def test_layers_behind_an_extension_are_seen():
    model = Swish(Hidden.apply)
    found = diagnose(model, BATCH, F.cross_entropy)
    assert [each.name for each in found.layers] == ["a", "b", "c"]
    assert found.layers[0].gradient > 0


def test_a_layer_that_nothing_reads_is_not_among_those_with_a_say():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.other, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.tanh(self.first(x))
            self.other(x)
            return self.head(x)

    model = Aside()
    found = diagnose(
        model, BATCH, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), 0.01)
    )
    assert found.cause == "healthy"
    assert found.summary.startswith("The layers that are needed have a say in the loss.")
    assert "other" not in found.summary
    assert "`other` had no part in this loss." in found.notes
