"""Which way a dense block takes: never one that gives other numbers, and it says why."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from densenets import assert_same, images, shaken, step
from skipway import models
from skipway._errors import SkipwayError

Change = Callable[[models.DenseNet], Any]


def small(**options: Any) -> models.DenseNet:
    net = models.DenseNet(4, (3, 2), initial=8, num_classes=5, **options)
    shaken(net)
    return net


def layer(net: models.DenseNet) -> Any:
    return net.features.denseblock1.denselayer2


def _set(name: str, value: Any) -> Change:
    return lambda net: setattr(layer(net).norm1, name, value)


def _norm(**options: Any) -> Change:
    def change(net: models.DenseNet) -> None:
        layer(net).norm1 = nn.BatchNorm2d(12, **options).double()

    return change


def _instance_forward(net: models.DenseNet) -> None:
    norm = layer(net).norm1
    norm.forward = types.MethodType(lambda self, x: nn.BatchNorm2d.forward(self, x) * 2, norm)


def _circular(net: models.DenseNet) -> None:
    convolution = layer(net).conv2
    convolution.padding_mode, convolution._reversed_padding_repeated_twice = "circular", [1] * 4


class Own(nn.Parameter):
    """A weight that may give any operation another meaning."""


def _own_weight(net: models.DenseNet) -> None:
    convolution = layer(net).conv1
    convolution.weight = Own(convolution.weight.data)


CHANGES: dict[str, tuple[Change, str]] = {
    "hook": (lambda n: layer(n).conv1.register_forward_hook(lambda *_: None), "has a hook"),
    "hook before": (
        lambda n: layer(n).relu1.register_forward_pre_hook(lambda *_: None),
        "has a hook",
    ),
    "hook on the layer": (
        lambda n: layer(n).register_forward_hook(lambda _, __, out: out * 2),
        "denselayer2 has a hook",
    ),
    "own forward": (_instance_forward, "has a hook"),
    "momentum": (_set("momentum", None), "momentum=None"),
    "no statistics": (_norm(track_running_stats=False), "no running statistics"),
    "no affine": (_norm(affine=False), "no weight"),
    "eps": (_set("eps", 1e-2), "differ in eps"),
    "frozen norm": (lambda n: layer(n).norm1.eval(), "some norms are in training mode"),
    "eval": (lambda n: n.eval(), "gradients in eval mode"),
    "group norm": (
        lambda n: setattr(layer(n), "norm2", nn.GroupNorm(4, 16).double()),
        "no norm, ReLU and convolution",
    ),
    "another activation": (
        lambda n: setattr(layer(n), "relu2", nn.GELU()),
        "no norm, ReLU and convolution",
    ),
    "bias": (
        lambda n: setattr(layer(n), "conv2", nn.Conv2d(16, 4, 3, padding=1).double()),
        "a convolution has a bias",
    ),
    "circular": (_circular, "another padding"),
    "parametrisation": (
        lambda n: parametrizations.weight_norm(layer(n).conv2),
        "no norm, ReLU and convolution",
    ),
    "dropout": (lambda n: setattr(layer(n), "drop_rate", 1e-300), "dropout is on"),
    "another kind of weight": (_own_weight, "the block has a Own"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_it_is_not_sure_of_goes_through_the_modules(name: str) -> None:
    change, reason = CHANGES[name]
    net = small()
    change(net)
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = images()
    assert_same(step(net, x), step(plain, x))
    first, *_ = net.explain_path().blocks
    assert first.path == "plain"
    assert reason in first.reason


def test_one_refused_block_does_not_hold_back_the_others() -> None:
    net = small()
    layer(net).conv1.register_forward_hook(lambda *_: None)
    net(images())
    assert [block.path for block in net.explain_path().blocks] == ["plain", "fast"]


def test_a_hook_on_the_transition_leaves_the_block_fast() -> None:
    net, seen = small(), []
    net.features.transition1.norm.register_forward_hook(lambda *_: seen.append(1))
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = images()
    assert_same(step(net, x), step(plain, x))
    assert len(seen) == 2
    assert net.explain_path().blocks[0].path == "fast"


def test_hooks_on_block_and_transition_see_the_features() -> None:
    net, shapes = small(), []
    for name in ("denseblock1", "transition1", "norm5", "pool0"):
        getattr(net.features, name).register_forward_hook(
            lambda _, given, out: shapes.append((given[0].shape[1], out.shape[1]))
        )
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = images()
    assert_same(step(net, x), step(plain, x))
    assert shapes[:4] == [(8, 8), (8, 20), (20, 10), (18, 18)]
    assert {block.path for block in net.explain_path().blocks} == {"fast"}


def test_hooks_on_all_modules() -> None:
    net = small()
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        net(images())
    finally:
        handle.remove()
    assert "all modules" in net.explain_path().blocks[0].reason


@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("which", ["every second", "all but the stem", "norms", "all"])
def test_frozen_parameters(memory: Any, which: str) -> None:
    net = small(memory=memory)
    for i, (name, parameter) in enumerate(net.named_parameters()):
        keep = {
            "every second": i % 2 == 0,
            "all but the stem": "conv0" in name,
            "norms": "norm" not in name,
            "all": False,
        }[which]
        parameter.requires_grad_(keep)
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = images()
    assert_same(step(net, x), step(plain, x))
    for one, two in zip(net.parameters(), plain.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None)
    assert {block.path for block in net.explain_path().blocks} == {memory}


def test_a_second_derivative_is_an_error_or_right() -> None:
    net = small()
    x = images().requires_grad_()
    with pytest.raises(SkipwayError, match='memory="plain"'):
        torch.autograd.grad(net(x).sum(), x, create_graph=True)
    net.memory = "plain"
    (gradient,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_goes_through_the_modules(dtype: torch.dtype) -> None:
    net = models.cifar_densenet(10, 4).to(dtype)
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = torch.randn(4, 3, 8, 8, dtype=dtype)
    assert torch.equal(net(x), plain(x))
    assert str(dtype).removeprefix("torch.") in net.explain_path().blocks[0].reason


def test_autocast_goes_through_the_modules() -> None:
    net = models.cifar_densenet(10, 4)
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = torch.randn(4, 3, 8, 8)
    outs = []
    for each in (net, plain):
        with torch.autocast("cpu", torch.bfloat16):
            out = each(x)
        out.float().sum().backward()
        outs.append(out)
    assert torch.equal(*outs)
    assert outs[0].dtype == torch.bfloat16
    assert net.explain_path().blocks[0].reason == "autocast is on"


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (0, 3, 8, 8), (2, 4, 8, 8), (3, 8, 8)], ids=str)
def test_an_input_that_cannot_be_is_torchs_own_error(shape: tuple[int, ...]) -> None:
    net = models.cifar_densenet(10, 4)
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    messages = []
    for each in (net, plain):
        try:
            each(torch.randn(shape))
            messages.append("none")
        except (RuntimeError, ValueError, IndexError) as error:
            messages.append(str(error))
    assert messages[0] == messages[1]


def test_training_mode_without_gradients_updates_the_statistics() -> None:
    net = small()
    plain = copy.deepcopy(net)
    plain.memory = "plain"
    x = images()
    with torch.no_grad():
        assert_same([net(x)], [plain(x)])
    with torch.inference_mode():
        assert_same([net(x)], [plain(x)])
    assert_same(list(net.buffers()), list(plain.buffers()))
    assert {block.path for block in net.explain_path().blocks} == {"fast"}


def test_the_explanation_is_text_and_data() -> None:
    net = small()
    assert "features.denseblock2: not called yet" in str(net.explain_path())
    net(images())
    assert net.explain_path().to_dict()["blocks"] == [
        {"block": f"features.denseblock{i}", "path": "fast", "reason": ""} for i in (1, 2)
    ]


def test_compiled_it_says_nothing_of_a_call() -> None:
    net = small().float()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    compiled(images().float())
    assert "denseblock1: not called yet, or compiled" in str(models.explain_path(net))


def test_what_was_asked_for_is_said() -> None:
    dense = small()
    dense.memory = "plain"
    for net in (dense, models.cifar_resnet(8)):
        net.double()(images())
        reasons = {block.reason for block in models.explain_path(net).blocks}
        assert reasons == {'memory="plain" was asked for'}


def test_a_weight_changed_before_the_backward_is_torchs_own_error() -> None:
    net = small()
    out = net(images())
    with torch.no_grad():
        layer(net).conv1.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
