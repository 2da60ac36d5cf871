"""The DenseNets against torchvision's: names, numbers of parameters, values, gradients, buffers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from densenets import (
    SMALL,
    assert_same,
    assert_same_step,
    images,
    of_torchvision,
    step,
    torchvision,
)
from skipway import models
from skipway._errors import SkipwayError

MEMORIES = ("fast", "lean", "plain")


def ours(theirs: nn.Module, memory: Any = "fast", **changes: Any) -> models.DenseNet:
    sizes = {**SMALL, **changes}
    net = models.DenseNet(
        sizes["growth_rate"],
        sizes["block_config"],
        initial=sizes["num_init_features"],
        num_classes=sizes["num_classes"],
        bottleneck=sizes.get("bn_size", 4),
        memory=memory,
    ).double()
    net.load_state_dict(theirs.state_dict())
    return net


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("densenet121", 7_978_856),
        ("densenet161", 28_681_000),
        ("densenet169", 14_149_480),
        ("densenet201", 20_013_928),
    ],
)
def test_names_shapes_and_start_are_torchvisions(name: str, expected: int) -> None:
    torch.manual_seed(1)
    net = getattr(models, name)()
    torch.manual_seed(1)
    theirs = getattr(torchvision.models, name)()
    assert count(net) == expected
    assert list(net.state_dict()) == list(theirs.state_dict())
    for one, other in zip(net.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("depth", "growth_rate", "bottleneck", "expected"),
    [
        (40, 12, False, 1_019_722),
        (100, 12, False, 6_979_642),
        (100, 24, False, 27_249_082),
        (100, 12, True, 769_162),
        (250, 24, True, 15_324_406),
        (190, 40, True, 25_624_430),
    ],
)
def test_small_image_networks_have_the_papers_parameters_and_so_have_their_twins(
    depth: int, growth_rate: int, bottleneck: bool, expected: int
) -> None:
    with torch.device("meta"):
        net = models.cifar_densenet(depth, growth_rate, bottleneck=bottleneck)
        twin = models.cifar_densenet(depth, growth_rate, bottleneck=bottleneck, plain=True)
    assert count(net) == expected
    assert abs(count(twin) / expected - 1) < 5e-4
    convolutions = [sum(isinstance(m, nn.Conv2d) for m in each.modules()) for each in (net, twin)]
    assert convolutions == [depth - 1] * 2  # and the classifier


@pytest.mark.parametrize("name", [f"densenet{size}" for size in (121, 161, 169, 201, 264)])
def test_a_plain_twin_has_as_many_parameters_and_no_concatenation(name: str) -> None:
    build = getattr(models, name)
    with torch.device("meta"):
        net, twin = build(), build(plain=True)
    assert abs(count(twin) / count(net) - 1) < 5e-4
    small = models.DenseNet(8, (2, 3), initial=16, num_classes=4, plain=True)
    assert small(torch.randn(2, 3, 32, 32)).shape == (2, 4)
    assert "no block with a choice" in str(small.explain_path())


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_torchvisions(memory: str, layout: torch.memory_format) -> None:
    theirs = of_torchvision()
    net = ours(theirs, memory)
    x = images().contiguous(memory_format=layout)
    assert_same_step(net, theirs, x)
    net(x)
    assert {block.path for block in net.explain_path().blocks} == {memory}


@settings(max_examples=12, deadline=None)
@given(
    st.integers(2, 4),
    st.integers(29, 44),
    st.integers(29, 44),
    st.lists(st.integers(1, 4), min_size=1, max_size=2),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from(["fast", "lean"]),
)
def test_any_shape(
    batch: int, h: int, w: int, blocks: list[int], growth: int, width: int, memory: str
) -> None:
    changes = {"block_config": tuple(blocks), "growth_rate": growth, "bn_size": width}
    theirs = of_torchvision(**changes)
    x = torch.randn(batch, 3, h, w, dtype=torch.float64)
    assert_same_step(ours(theirs, memory, **changes), theirs, x)


def test_densenet_121_agrees_with_torchvision() -> None:
    theirs = torchvision.models.densenet121(num_classes=7).double()
    net = models.densenet121(num_classes=7).double()
    net.load_state_dict(theirs.state_dict())
    x = images(4, 64)
    expected = step(copy.deepcopy(theirs), x)
    for memory in ("fast", "lean"):
        trained = copy.deepcopy(net)
        trained.memory = memory
        assert_same(step(trained, x), expected)
    net.eval()
    theirs.eval()
    with torch.no_grad():
        assert_same([net(x)], [theirs(x)])


def test_in_float32_it_is_as_far_from_float64_as_torchvision() -> None:
    theirs = of_torchvision(block_config=(6, 6))
    net = ours(theirs, block_config=(6, 6))
    x = images(8)
    exact = step(copy.deepcopy(theirs), x)

    def distances(model: nn.Module, layout: torch.memory_format) -> torch.Tensor:
        model = copy.deepcopy(model).float().to(memory_format=layout)
        found = step(model, x.float().contiguous(memory_format=layout))
        return torch.stack(
            [
                (one - two).norm() / two.norm().clamp(min=1e-9)
                for one, two in zip(found, exact, strict=True)
                if two.is_floating_point()
            ]
        )

    layouts = (torch.contiguous_format, torch.channels_last)
    reference = torch.stack([distances(theirs, layout) for layout in layouts]).amax(0)
    for memory in ("fast", "lean"):
        net.memory = memory
        found = distances(net, torch.contiguous_format)
        assert found.sum() < 1.5 * reference.sum()
        assert found.max() < 5 * reference.max()


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("grad_mode", [torch.no_grad, torch.inference_mode])
def test_inference_is_torchvisions(memory: str, grad_mode: Any) -> None:
    theirs = of_torchvision().eval()
    net = ours(theirs, memory).eval()
    x = images(2, 37)
    with grad_mode():
        assert_same([net(x)], [theirs(x)])
    expected = "plain" if memory == "plain" else "folded"
    assert {block.path for block in net.explain_path().blocks} == {expected}


def test_inference_sees_every_change_of_a_parameter_or_buffer() -> None:
    theirs = of_torchvision().eval()
    net = ours(theirs).eval()
    x = images(2)
    with torch.no_grad():
        net(x)
        for model in (net, theirs):
            layer = model.features.denseblock1.denselayer2
            layer.norm1.weight.data.mul_(-2)  # raises no version counter
            layer.norm2.running_var.data.add_(1)
            layer.conv1.weight.mul_(0.5)
            model.features.transition1.norm.bias.data = torch.ones(20, dtype=torch.float64)
        assert_same([net(x)], [theirs(x)])


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_without_bottlenecks(memory: Any) -> None:
    net = models.cifar_densenet(13, 4, num_classes=5).double()
    plain = copy.deepcopy(net)
    net.memory, plain.memory = memory, "plain"
    assert_same_step(net, plain, images(3, 13))
    net.eval()
    plain.eval()
    with torch.no_grad():
        x = images(2, 8)
        assert_same([net(x)], [plain(x)])


def test_the_options() -> None:
    net = models.densenet121(num_classes=3, in_channels=1, drop_rate=0.5, memory="lean")
    assert net.features.conv0.in_channels == 1
    assert net.classifier.out_features == 3
    assert net.memory == "lean"
    net(torch.randn(2, 1, 32, 32))
    assert {block.reason for block in net.explain_path().blocks} == {"dropout is on"}
    net.eval()
    with torch.no_grad():
        net(torch.randn(2, 1, 32, 32))
    assert {block.path for block in net.explain_path().blocks} == {"folded"}


def test_dropout_is_torchvisions() -> None:
    theirs = of_torchvision(drop_rate=0.4)
    net = models.DenseNet(
        4, (3, 2), initial=8, num_classes=5, drop_rate=0.4, memory="plain"
    ).double()
    net.load_state_dict(theirs.state_dict())
    x, found = images(), []
    for model in (net, theirs):
        torch.manual_seed(3)
        found.append(step(model, x))
    assert_same(*found)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: models.cifar_densenet(41, 12), "3 n . 4, not 41; try 40"),
        (lambda: models.cifar_densenet(12, 12, bottleneck=True), "6 n . 4, not 12; try 10"),
        (lambda: models.DenseNet(0, (2,), initial=8), "growth rate 0"),
        (lambda: models.DenseNet(4, (), initial=8), "at least one block"),
        (lambda: models.DenseNet(4, (2,), initial=8, reduction=0), "share in"),
        (lambda: models.densenet121(drop_rate=1.0), "drop rate"),
        (lambda: models.DenseNet(4, (2,), initial=8, stem="big"), "no stem 'big'"),  # type: ignore[arg-type]
        (lambda: models.cifar_densenet(10, 4, memory="small"), "no memory='small'"),  # type: ignore[arg-type]
    ],
)
def test_sizes_that_make_no_network(build: Any, words: str) -> None:
    with pytest.raises(SkipwayError, match=words):
        build()
