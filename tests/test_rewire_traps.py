"""What goes wrong, often without a word, when skips are put into a network that exists."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import ddp
from skipway import Plan, PlannedSkip, rewire
from skipway._errors import RewireError
from zoo import DeepBranches, Plain

each_way = pytest.mark.parametrize("how", ["add", "cat", "dense"])
each_kind = pytest.mark.parametrize("kind", [Plain, DeepBranches], ids=["by source", "by hooks"])


def _with_skips(net: Plain, x: Tensor, scale: float = 1.0) -> Tensor:
    """`Plain` with a skip around every two hidden layers; the second one's output times `scale`."""
    x = net.stem(x)
    for at in range(0, len(net.hidden), 2):
        y = net.hidden[at](torch.relu(x))
        y = net.hidden[at + 1](torch.relu(y))
        x = x + (scale * y if at == 0 else y)
    return net.head(torch.relu(x))


# Something overwrites the tapped tensor


class TouchesItsInput(nn.Module):
    """Its first step overwrites what comes in: the skip around it must not carry what is left."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.act = kind, nn.ReLU(inplace=True)
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.c, self.d = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "module":
            x = self.act(x)
        elif self.kind == "method":
            x = x.relu_()
        else:
            x.mul_(0.5)
        return self.d(torch.tanh(self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))))


@pytest.mark.parametrize("kind", ["module", "method", "multiplication"])
@each_way
def test_an_activation_in_place_at_the_head_of_a_block(kind: str, how: Any) -> None:
    blocks = [TouchesItsInput(kind) for _ in range(2)]
    net, x = nn.Sequential(nn.Linear(4, 6), *blocks, nn.Linear(6, 2)), torch.randn(3, 4)
    model = rewire(net, x, how=how).model
    assert model is not None
    y = net[0](x)
    for block in blocks:
        z = y * 0.5 if kind == "multiplication" else torch.relu(y)
        middle = y + block.b(torch.tanh(block.a(z)))
        branch = block.d(torch.tanh(block.c(torch.tanh(middle))))
        y = (y + middle - y if how != "dense" else middle) + branch
    torch.testing.assert_close(model(x), net[3](y))


# Checkpoints


class Checkpointed(Plain):
    """Every two layers are computed again in the backward pass; it looks at its data as well."""

    def _pair(self, at: int, x: Tensor) -> Tensor:
        return self.hidden[at + 1](torch.relu(self.hidden[at](torch.relu(x))))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for at in range(0, len(self.hidden), 2):
            if x.sum() > 1e9:
                return x
            x = checkpoint(self._pair, at, x, use_reentrant=False)
        return self.head(torch.relu(x))


@each_way
def test_a_checkpoint_gives_the_right_gradient_or_is_refused(how: Any) -> None:
    net, x = Checkpointed(), torch.randn(3, 4)
    try:
        model = rewire(net, x, how=how).model
    except RewireError as error:
        assert "checkpoint" in str(error)  # noqa: PT017  # both ends are right
        return
    assert model is not None
    model(x).square().sum().backward()
    _with_skips(net, x).square().sum().backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, msg=name)


# Copies


@each_way
@each_kind
def test_a_copy_and_its_original_train_apart(how: Any, kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(8, 4)
    first = rewire(net, x, how=how).model
    assert first is not None
    second, alone = copy.deepcopy(first), copy.deepcopy(first)
    optimizers = [torch.optim.SGD(m.parameters(), 0.1) for m in (first, second, alone)]

    def step(which: int, model: nn.Module, target: Tensor) -> None:
        optimizers[which].zero_grad()
        nn.functional.mse_loss(model(x), target).backward()
        optimizers[which].step()

    for _ in range(3):
        step(0, first, torch.ones(8, 3))
        step(1, second, -torch.ones(8, 3))
    for _ in range(3):
        step(2, alone, -torch.ones(8, 3))
    assert not torch.equal(first(x), second(x))
    torch.testing.assert_close(second(x), alone(x), rtol=0, atol=0)


# Sequential


@each_way
@pytest.mark.parametrize("preserve", [False, True])
def test_a_sequential_keeps_its_steps(how: Any, preserve: bool) -> None:
    net = nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(8, 8), nn.Tanh())))
    x = torch.randn(2, 8)
    model: Any = rewire(net, x, how=how, preserve=preserve).model
    assert len(model) == 12
    assert [type(step) for step in model] == [type(step) for step in net]
    assert isinstance(model[-1], nn.Tanh)
    plain = model[:3]
    assert type(plain) is nn.Sequential
    torch.testing.assert_close(plain(x), net[:3](x))
    y = x
    for step in model:
        y = step(y)
    torch.testing.assert_close(y, net(x))
    assert type(copy.deepcopy(model)) is type(model)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), model(x))


class Own(nn.Sequential):
    """A Sequential that looks at its data: its own loop over all children has to go on working."""

    def forward(self, x: Tensor) -> Tensor:
        for step in self:
            x = step(x) if x.sum() < 1e9 else x
        return x


@each_way
def test_hooks_in_a_sequential_add_no_step_that_does_anything(how: Any) -> None:
    net, x = Own(*(m for _ in range(6) for m in (nn.Linear(8, 8), nn.Tanh()))), torch.randn(2, 8)
    model = rewire(net, x, how=how).model
    assert model is not None
    features = [net[0](x)]
    for at in (2, 6):
        y = net[at + 2](torch.tanh(net[at](torch.tanh(sum(features)))))  # type: ignore[arg-type]
        features.append(y)
    expected = torch.tanh(net[10](torch.tanh(sum(features))))  # type: ignore[arg-type]
    torch.testing.assert_close(model(x), expected)


# Modules that are called several times


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.pair = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            x = self.pair(torch.tanh(x))
        return self.head(torch.tanh(x))


@each_way
def test_a_block_that_is_called_twice_is_skipped_as_a_whole_each_time(how: Any) -> None:
    net, x = Twice(), torch.randn(3, 4)
    model = rewire(net, x, how=how).model
    assert model is not None
    y = net.stem(x)
    for _ in range(2):
        y = y + net.pair(torch.tanh(y))
    torch.testing.assert_close(model(x), net.head(torch.tanh(y)))


def test_a_skip_inside_a_block_that_is_called_twice_is_refused() -> None:
    plan = Plan("add", (PlannedSkip("pair.0#0", "pair.2#0"),))
    with pytest.raises(RewireError, match=r"`pair\.0#0`"):
        rewire(Twice(), torch.randn(3, 4), plan=plan)


# Hooks


@each_way
@each_kind
def test_backward_hooks_of_every_layer_work_after(how: Any, kind: type[Plain]) -> None:
    # A sum in place after such a hook raises: "a view created inside a custom Function".
    net, x = kind(), torch.randn(3, 4, requires_grad=True)
    model = rewire(net, x, how=how).model
    assert model is not None
    seen: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.register_full_backward_hook(
                lambda m, inputs, outputs, name=name: seen.update({name: outputs[0]})
            )
    model(x).sum().backward()
    plain_y = _with_skips(net, x)
    assert len(seen) == 8
    torch.testing.assert_close(seen["head"], torch.ones_like(plain_y))


@each_way
@each_kind
def test_hooks_that_are_there_already_go_on_working(how: Any, kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(3, 4)
    calls: list[str] = []
    net.hidden[1].register_forward_hook(lambda module, args, output: output * 1.5)
    net.hidden[2].register_forward_pre_hook(lambda module, args: calls.append("before"))
    net.hidden[3].register_full_backward_hook(lambda module, a, b: calls.append("backward"))
    model = rewire(net, x, how=how).model
    assert model is not None
    calls.clear()
    output = model(x)
    output.sum().backward()
    assert calls == ["before", "backward"]
    bare = copy.deepcopy(net)
    for module in bare.modules():
        module._forward_hooks.clear()
    torch.testing.assert_close(output, _with_skips(bare, x, scale=1.5))


# Wrapped afterwards


@each_way
@each_kind
def test_data_parallel_wraps_it(how: Any, kind: type[Plain]) -> None:
    net, x = kind(), torch.randn(4, 4)
    model = rewire(net, x, how=how).model
    assert model is not None
    wrapped = nn.DataParallel(model)
    torch.testing.assert_close(wrapped(x), model(x))
    wrapped(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("kind", "how"), [(Plain, "add"), (Plain, "dense"), (DeepBranches, "cat")])
def test_two_processes_average_its_gradients(kind: type[Plain], how: Any, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(  # type: ignore[no-untyped-call]
        ddp.train_rewired, (kind.__name__, how, str(tmp_path)), nprocs=2
    )
    found = torch.load(tmp_path / "gradients.pt")
    net = ddp.rewired(kind.__name__, how)
    expected = [torch.zeros_like(p) for p in net.parameters()]
    for rank in range(2):
        for total, gradient in zip(expected, ddp.flat_gradients(net, rank), strict=True):
            total += gradient / 2
        net.zero_grad()
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)
