"""`memory="lean"`: the same numbers from fewer bytes, and the modules where that is not sure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import skipway
from oracle import torchvision
from skipway import models
from skipway._errors import SkipwayError
from skipway.models._basic_block import BasicBlock, PreactBasicBlock
from skipway.models._bottleneck import Bottleneck, PreactBottleneck
from skipway.models._residual_block import ResidualBlock

BLOCKS: dict[str, Callable[[], ResidualBlock]] = {
    "basic": lambda: BasicBlock(8, 8, 1),
    "basic, strided": lambda: BasicBlock(4, 8, 2),
    "basic, option A": lambda: BasicBlock(4, 8, 2, option="A"),
    "basic, plain": lambda: BasicBlock(4, 8, 2, skip=False),
    "bottleneck": lambda: Bottleneck(16, 4, 1),
    "bottleneck, strided": lambda: Bottleneck(8, 4, 2),
    "bottleneck, grouped": lambda: Bottleneck(16, 4, 1, groups=2, base_width=32),
    "bottleneck, plain": lambda: Bottleneck(16, 4, 1, skip=False),
    "pre-activated": lambda: PreactBasicBlock(8, 8, 1),
    "pre-activated, strided": lambda: PreactBasicBlock(4, 8, 2),
    "pre-activated bottleneck": lambda: PreactBottleneck(16, 4, 1),
}


def _block(name: str) -> ResidualBlock:
    block = BLOCKS[name]().double()
    block.memory = "lean"
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    return block


def _run(block: nn.Module, x: Tensor, memory: str) -> tuple[ResidualBlock, list[Tensor | None]]:
    """Run a copy forwards and backwards: its output, gradients and buffers."""
    block, x = copy.deepcopy(block), x.detach().clone().requires_grad_(x.requires_grad)
    block.memory = memory  # type: ignore[assignment]
    output = block(x)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    (output * weights).sum().backward()
    gradients = [x.grad, *(p.grad for p in block.parameters())]
    return block, [output.detach(), *gradients, *block.buffers()]  # type: ignore[return-value]


def _assert_same_numbers(block: nn.Module, x: Tensor) -> ResidualBlock:
    (lean, found), (_, expected) = _run(block, x, "lean"), _run(block, x, "plain")
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9)
            assert a.shape == b.shape
    return lean


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [1, 5])  # fewer and more positions than channels
@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_gives_the_same_numbers(name: str, size: int, layout: Any) -> None:
    block = _block(name)
    channels = next(m.in_channels for m in block.modules() if isinstance(m, nn.Conv2d))
    x = torch.randn(3, channels, size, size + 1, dtype=torch.float64)
    x = x.contiguous(memory_format=layout).requires_grad_()
    assert _assert_same_numbers(block, x).latest_path.path == "lean"


@pytest.mark.parametrize("name", ["basic", "bottleneck", "pre-activated bottleneck"])
def test_frozen_parameters_get_no_gradient_and_change_no_other(name: str) -> None:
    names = [name for name, _ in _block(name).named_parameters()]
    for frozen in [*((one,) for one in names), tuple(names[:3]), tuple(names[3:])]:
        block = _block(name)
        for one in frozen:
            block.get_parameter(one).requires_grad_(False)
        x = torch.randn(2, 8 if name == "basic" else 16, 4, 4, dtype=torch.float64)
        assert _assert_same_numbers(block, x).latest_path.path == "lean"


def test_a_graph_may_be_walked_twice() -> None:
    block, x = _block("bottleneck"), torch.randn(2, 16, 4, 4, dtype=torch.float64)
    loss = block(x).square().sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in block.parameters()]  # type: ignore[union-attr]
    loss.backward()
    for gradient, parameter in zip(first, block.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_a_changed_weight_is_noticed_before_the_backward() -> None:
    block, x = _block("bottleneck"), torch.randn(2, 16, 4, 4, dtype=torch.float64)
    loss = block(x).sum()
    with torch.no_grad():
        block.conv3.weight.mul_(2)  # type: ignore[union-attr,operator]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_there_is_no_second_derivative_and_it_says_so() -> None:
    network, x = models.cifar_resnet(8, memory="lean"), torch.randn(2, 3, 8, 8)
    with pytest.raises(SkipwayError, match='memory="plain"'):
        torch.autograd.grad(network(x).sum(), list(network.parameters()), create_graph=True)
    network.memory = "plain"
    torch.autograd.grad(network(x).sum(), list(network.parameters()), create_graph=True)


def _changed(change: Callable[[Any], object]) -> ResidualBlock:
    block = _block("bottleneck")
    change(block)
    return block


def _set(module: str, **attributes: Any) -> Callable[[Any], None]:
    def change(block: nn.Module) -> None:
        for name, value in attributes.items():
            setattr(block.get_submodule(module), name, value)

    return change


REFUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "eval mode": (lambda block: block.eval(), "bn1 is in eval mode"),
    "one frozen norm": (lambda block: block.bn2.eval(), "bn2 is in eval mode"),
    "a cumulative mean": (_set("bn3", momentum=None), "bn3 has momentum=None"),
    "no statistics": (
        lambda block: setattr(block, "bn1", nn.BatchNorm2d(4, track_running_stats=False).double()),
        "bn1 keeps no running statistics",
    ),
    "no weight": (
        lambda block: setattr(block, "bn1", nn.BatchNorm2d(4, affine=False).double()),
        "bn1 has no weight or no bias",
    ),
    "another norm": (
        lambda block: setattr(block, "bn2", nn.GroupNorm(2, 4).double()),
        "bn2 is a GroupNorm",
    ),
    "another activation": (_set("", relu2=nn.Tanh()), "relu2 is a Tanh"),
    "no activation": (_set("", relu1=nn.Identity()), "relu1 is a Identity"),
    "a hook": (
        lambda block: block.conv2.register_forward_hook(lambda *_: None), "conv2 has a hook",
    ),
    "a hook before": (
        lambda block: block.relu3.register_forward_pre_hook(lambda *_: None), "relu3 has a hook",
    ),
    "a backward hook": (
        lambda block: block.bn3.register_full_backward_hook(lambda *_: None), "bn3 has a hook",
    ),
    "a hook on the sum": (
        lambda block: block.add.register_forward_hook(lambda *_: None), "add has a hook",
    ),
    "a forward of its own": (
        lambda block: _set("bn1", forward=block.bn1.forward)(block), "bn1 has a hook",
    ),
    "a bias": (
        lambda block: setattr(block, "conv1", nn.Conv2d(16, 4, 1).double()), "conv1 has a bias",
    ),
    "reflected borders": (_set("conv2", padding_mode="reflect"), "conv2 has a bias, or another"),
    "weight norm": (
        lambda block: nn.utils.parametrizations.weight_norm(block.conv3),
        "conv3 is a ParametrizedConv2d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_is_unusual_runs_the_modules(name: str) -> None:
    change, reason = REFUSED[name]
    block, x = _changed(change), torch.randn(2, 16, 4, 4, dtype=torch.float64)
    block(x)
    assert block.latest_path.path == "plain"
    assert block.latest_path.reason.startswith(reason)


def test_a_hook_on_the_block_itself_is_no_reason() -> None:
    block = _block("bottleneck")
    seen: list[Any] = []
    block.register_forward_hook(lambda *arguments: seen.append(arguments))
    block(torch.randn(2, 16, 4, 4, dtype=torch.float64))
    assert block.latest_path.path == "lean"
    assert len(seen) == 1


def test_surroundings_that_run_the_modules() -> None:
    network, x = models.cifar_resnet(8, memory="lean"), torch.randn(2, 3, 8, 8)

    def reason() -> str:
        return models.explain_path(network).blocks[1].reason

    with torch.no_grad():
        network(x)
    assert reason() == "no gradient is recorded"
    with torch.autocast("cpu", torch.bfloat16):
        network(x).sum().backward()
    assert reason() == "autocast is on"
    torch.func.functional_call(network, dict(network.named_parameters()), x)
    assert reason() == ""
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    network(x)
    handle.remove()
    assert reason() == "a hook on all modules is registered"
    network.layer1(torch.randn(0, 16, 8, 8))
    assert reason() == "the input is empty"
    skipway.skips(network, x)
    assert models.explain_path(network).blocks[1].path == "plain"


def test_transforms_of_torch_func_run_the_modules() -> None:
    network = models.cifar_resnet(8, memory="lean").double()
    x = torch.randn(2, 3, 8, 8).double()
    parameters = {k: v.detach() for k, v in network.named_parameters()}

    def loss(given: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(network, {**given, **buffers}, x).square().sum()

    found = torch.func.grad(loss)(parameters, copy.deepcopy(dict(network.named_buffers())))
    assert models.explain_path(network).blocks[1].reason == "a transform of torch.func is active"
    network(x).square().sum().backward()
    assert models.explain_path(network).blocks[1].path == "lean"
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-10, rtol=1e-8)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own
def test_forward_mode_runs_the_modules() -> None:
    network, x = models.cifar_resnet(8, memory="lean").double(), torch.randn(2, 3, 8, 8).double()
    x, direction = x.requires_grad_(), torch.randn_like(x)
    with forward_ad.dual_level():
        slope = forward_ad.unpack_dual(network(forward_ad.make_dual(x, direction))).tangent
    assert "forward-mode" in models.explain_path(network).blocks[1].reason
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    torch.testing.assert_close(slope.sum(), (gradient * direction).sum())


def test_nothing_is_broadcast() -> None:
    for block in (Bottleneck(16, 4, 1), BasicBlock(16, 16, 1)):
        block.downsample = nn.AdaptiveAvgPool2d(1)
        for memory in ("plain", "lean"):
            block.memory = memory  # type: ignore[assignment]
            with pytest.raises(SkipwayError, match="nothing is broadcast"):
                block(torch.randn(2, 16, 4, 4))


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    network, x = models.resnet18(num_classes=3, memory="lean").double(), torch.randn(2, 3, 32, 32)
    twin, x = copy.deepcopy(network), x.double().requires_grad_()
    for block in twin.blocks():
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    for net in (network, twin):
        net(x).square().sum().backward()
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-10, rtol=1e-8)


def test_one_value_per_channel_is_the_same_error() -> None:
    block = _block("bottleneck")
    for memory in ("plain", "lean"):
        block.memory = memory  # type: ignore[assignment]
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            block(torch.randn(1, 16, 1, 1, dtype=torch.float64))


def test_the_paths_of_a_network_print_and_become_plain_data() -> None:
    network = models.resnet18(memory="lean", num_classes=3)
    assert str(models.explain_path(network)).startswith("stem: not called yet, or compiled")
    network.layer2[0].bn2.eval()
    network(torch.randn(2, 3, 32, 32))
    paths = models.explain_path(network)
    assert [block.path for block in paths.blocks] == ["lean"] * 3 + ["plain"] + ["lean"] * 5
    assert str(paths.blocks[3]) == "layer2.0: plain, bn2 is in eval mode"
    assert paths.to_dict()["blocks"][0]["path"] == "lean"  # type: ignore[index]


def saved_bytes(network: nn.Module, x: Tensor) -> int:
    """Return the bytes kept for the backward, each storage once, parameters not counted."""
    kept: dict[int, int] = {}
    alive, own = [], {p.untyped_storage().data_ptr() for p in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(x)
    return sum(kept.values())


def test_fewer_bytes_are_kept_than_by_torchvision() -> None:
    x = torch.randn(2, 3, 64, 64)
    theirs, plain = torchvision.models.resnet50(), models.resnet50()
    lean = models.resnet50(memory="lean")
    expected = saved_bytes(theirs, x)
    assert saved_bytes(plain, x) == expected
    assert saved_bytes(lean, x) < expected / 1.5
    preact = [models.cifar_resnet(8, preact=True, memory=m) for m in ("plain", "lean")]  # type: ignore[arg-type]
    assert saved_bytes(preact[1], x) < 0.8 * saved_bytes(preact[0], x)


def test_float32_is_as_near_to_float64_as_torchvision_is() -> None:
    """The lean backward of a bottleneck multiplies in another order; it must not be a worse one."""
    theirs = torchvision.models.resnet50(num_classes=5)
    ours = models.resnet50(num_classes=5, memory="lean")
    ours.load_state_dict(theirs.state_dict())
    exact, x = copy.deepcopy(theirs).double(), torch.randn(4, 3, 64, 64)
    for network in (theirs, ours, exact):
        images = x.to(next(network.parameters()).dtype)
        network(images).square().sum().backward()

    def distance(network: nn.Module) -> Tensor:
        pairs = zip(network.parameters(), exact.parameters(), strict=True)
        ratios = [((p.grad - q.grad).norm() / q.grad.norm()).item() for p, q in pairs]  # type: ignore[union-attr,operator]
        return torch.tensor(ratios)

    assert distance(ours).median() < 2 * distance(theirs).median()
    assert distance(ours).max() < 3 * distance(theirs).max()
