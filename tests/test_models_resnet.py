"""The ResNets against torchvision, against literal transcriptions, and against their papers."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from oracle import torchvision
from skipway import models
from skipway._errors import SkipwayError
from skipway.models._resnet_sizes import ResNetSize

COUNTS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
}
CIFAR_COUNTS = {
    20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274,
}  # fmt: skip

each_size = pytest.mark.parametrize("name", COUNTS)


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _kinds(network: nn.Module, size: int = 32) -> Counter[str]:
    return Counter(skip.kind for skip in skipway.skips(network, torch.randn(2, 3, size, size)))


@each_size
def test_keys_shapes_and_counts_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = getattr(models, name)(), getattr(torchvision.models, name)()
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert list(shapes[0]) == list(shapes[1])
    assert _count(ours) == COUNTS[name]


@pytest.mark.parametrize("depth", CIFAR_COUNTS)
def test_cifar_counts_are_the_papers_architecture(depth: int) -> None:
    with torch.device("meta"):
        assert _count(models.cifar_resnet(depth)) == CIFAR_COUNTS[depth]


def test_option_a_has_the_same_count_without_skips() -> None:
    with torch.device("meta"):
        assert _count(models.cifar_resnet(56, plain=True)) == CIFAR_COUNTS[56]


def test_what_a_plain_twin_lacks_is_as_told() -> None:
    def lacks(make: Any, **options: Any) -> int:
        with torch.device("meta"):
            return _count(make(**options)) - _count(make(plain=True, **options))

    assert lacks(models.resnet18) == lacks(models.resnet34) == 173_824
    assert lacks(models.resnet18, preact=True) == 172_032
    assert lacks(models.resnet50) == lacks(models.resnext50_32x4d) == 2_776_576
    assert lacks(models.resnet152, preact=True) == 2_768_896
    assert lacks(models.cifar_resnet, depth=20, option="B") == 272_474 - 269_722 == 2_752
    assert lacks(models.cifar_resnet, depth=20, option="B", preact=True) == 2_560
    assert lacks(models.cifar_resnet, depth=20, preact=True) == 0


def _gradients(network: nn.Module, x: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
    """One training step's output, and the gradients of the input and of all parameters."""
    x = x.clone().requires_grad_()
    output = network(x)
    F.cross_entropy(output, target).backward()
    return output.detach(), [x.grad, *(p.grad for p in network.parameters())]  # type: ignore[list-item]


def _assert_same(found: list[Tensor], expected: list[Tensor], bound: float = 1e-9) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1e-30)


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("resnet18", "plain"),
        ("resnet18", "lean"),
        ("resnet50", "plain"),
        ("resnet50", "lean"),
        ("resnext50_32x4d", "lean"),
    ],
)
def test_outputs_gradients_and_buffers_are_torchvisions(name: str, memory: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=5).double()
    torch.manual_seed(0)
    ours = getattr(models, name)(num_classes=5, memory=memory).double()
    # The same seed gives the same start, and weights go both ways.
    _assert_same(list(ours.parameters()), list(theirs.parameters()), 0)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())

    # 39 is odd at every level but one; 3 × 10 × 10 positions are more than 256 channels.
    x, target = torch.randn(3, 3, 39, 40, dtype=torch.float64), torch.tensor([0, 1, 4])
    (found, gradients), (expected, wanted) = (_gradients(n, x, target) for n in (ours, theirs))
    _assert_same([found], [expected])
    _assert_same(gradients, wanted)
    _assert_same(list(ours.buffers()), list(theirs.buffers()))
    _assert_same([ours.eval()(x)], [theirs.eval()(x)])


def test_gradients_with_frozen_norms_are_torchvisions() -> None:
    theirs = torchvision.models.resnet18(num_classes=5).double().eval()
    ours = models.resnet18(num_classes=5, memory="lean").double().eval()
    ours.load_state_dict(theirs.state_dict())
    x, target = torch.randn(2, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 1])
    _assert_same(_gradients(ours, x, target)[1], _gradients(theirs, x, target)[1])


def _literal_cifar(network: nn.Module, x: Tensor, option: str, preact: bool) -> Tensor:
    """The network of depth 8, read from the papers, from its state dict."""
    w = network.state_dict()

    def norm(h: Tensor, name: str) -> Tensor:
        mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), correction=0, keepdim=True)
        h = (h - mean) / (var + 1e-5).sqrt()
        return h * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    h = F.conv2d(x, w["conv1.weight"], padding=1)
    h = h if preact else norm(h, "bn1").clamp(min=0)
    for stage, width in ((1, 16), (2, 32), (3, 64)):
        name, stride = f"layer{stage}.0", 1 if stage == 1 else 2
        a = norm(h, f"{name}.bn1").clamp(min=0) if preact else h
        branch = F.conv2d(a, w[f"{name}.conv1.weight"], stride=stride, padding=1)
        branch = norm(branch, f"{name}.bn2" if preact else f"{name}.bn1").clamp(min=0)
        branch = F.conv2d(branch, w[f"{name}.conv2.weight"], padding=1)
        branch = branch if preact else norm(branch, f"{name}.bn2")
        if stage > 1 and option == "A":
            h = torch.cat([a[:, :, ::2, ::2], torch.zeros_like(branch[:, : width // 2])], 1)
        elif stage > 1:
            h = F.conv2d(a, w[f"{name}.downsample.0.weight"], stride=2)
            h = h if preact else norm(h, f"{name}.downsample.1")
        h = h + branch if preact else (h + branch).clamp(min=0)
    h = norm(h, "bn").clamp(min=0) if preact else h
    return h.mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"]


@pytest.mark.parametrize("memory", ["plain", "lean"])
@pytest.mark.parametrize("preact", [False, True])
@pytest.mark.parametrize("option", ["A", "B"])
def test_a_cifar_resnet_is_what_the_papers_say(option: Any, preact: bool, memory: Any) -> None:
    network = models.cifar_resnet(8, option=option, preact=preact, memory=memory).double()
    x = torch.randn(3, 3, 9, 12, dtype=torch.float64)
    _assert_same([network(x)], [_literal_cifar(network, x, option, preact)])


@pytest.mark.parametrize("options", [{}, {"preact": True}, {"memory": "lean"}])
def test_known_skips_and_none_in_the_plain_twins(options: dict[str, Any]) -> None:
    assert _kinds(models.resnet18(**options)) == {"identity": 5, "projection": 3}
    assert _kinds(models.cifar_resnet(20, **options)) == {"identity": 7, "projection": 2}
    assert not _kinds(models.resnet18(plain=True, **options))
    assert not _kinds(models.cifar_resnet(20, plain=True, **options))


def test_resnet50_has_12_identity_skips_and_4_projections() -> None:
    assert _kinds(models.resnet50()) == {"identity": 12, "projection": 4}
    assert not _kinds(models.resnet50(plain=True))


BOTTLENECKS = ResNetSize(bottleneck=True, blocks=(1, 1, 1, 1), groups=2, base_width=32)

VARIANTS: dict[str, Any] = {
    "cifar": lambda: models.cifar_resnet(14),
    "cifar, lean": lambda: models.cifar_resnet(14, memory="lean"),
    "cifar, preact, B": lambda: models.cifar_resnet(14, option="B", preact=True, memory="lean"),
    "cifar, plain": lambda: models.cifar_resnet(14, plain=True, memory="lean"),
    "cifar, drop": lambda: models.cifar_resnet(14, drop=0.5, memory="lean"),
    "resnet18, small images": lambda: models.resnet18(num_classes=4, stem="cifar", in_channels=3),
    "bottlenecks, lean": lambda: BOTTLENECKS(num_classes=4, memory="lean"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_copied_pickled_loaded_and_exported(variant: str) -> None:
    network, x = VARIANTS[variant](), torch.randn(2, 3, 32, 32)
    network(x).sum().backward()  # nothing of a pass stays behind
    network.eval()
    expected = network(x)
    fresh = VARIANTS[variant]().eval()
    fresh.load_state_dict(network.state_dict())
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network)), fresh]
    copies.append(torch.export.export(network, (x,)).module())
    for other in copies:
        torch.testing.assert_close(other(x), expected)


@pytest.mark.parametrize("preact", [False, True])
def test_compiled_whole(preact: bool) -> None:
    network = models.cifar_resnet(8, option="B", preact=preact, memory="lean")
    x, target = torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    plain = copy.deepcopy(network)
    plain.memory = "plain"
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    found, gradients = _gradients(compiled, x, target)
    expected, wanted = _gradients(plain, x, target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, wanted, atol=1e-4, rtol=1e-3)


def test_stochastic_depth_rises_linearly_and_is_the_same_on_both_paths() -> None:
    network = models.cifar_resnet(20, drop=0.9, memory="lean").double()
    drops = [block.drop.p for block in network.blocks()]  # type: ignore[union-attr]
    assert drops == pytest.approx([0.1 * layer for layer in range(1, 10)])
    twin, x = copy.deepcopy(network), torch.randn(4, 3, 8, 8, dtype=torch.float64)
    twin.memory = "plain"
    results = []
    for net in (network, twin):
        torch.manual_seed(1)
        results.append(_gradients(net, x, torch.tensor([0, 1, 2, 3]))[1])
    _assert_same(*results)
    assert models.explain_path(network).blocks[1].path == "lean"


@pytest.mark.parametrize("preact", [False, True])
def test_a_branch_that_starts_at_zero_leaves_the_shortcut(preact: bool) -> None:
    network = models.cifar_resnet(20, zero_init_residual=True, preact=preact)
    x = torch.randn(2, 16, 8, 8).relu()
    for block in network.layer1:
        torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("size", ["resnet34", "resnet50", "wide_resnet50_2"])
@pytest.mark.parametrize("preact", [False, True])
def test_with_option_a_a_plain_twin_has_the_same_parameters(size: str, preact: bool) -> None:
    with torch.device("meta"):
        nets = [
            getattr(models, size)(option="A", preact=preact, plain=plain) for plain in (False, True)
        ]
    shapes = [[(key, p.shape) for key, p in net.named_parameters()] for net in nets]
    assert shapes[0] == shapes[1]


def test_option_a_brings_every_second_position_and_zeros() -> None:
    network = models.resnet18(option="A", num_classes=4)
    x = torch.randn(2, 64, 7, 9)
    shortcut = network.layer2[0].shortcut(x)
    assert torch.equal(shortcut[:, :64], x[:, :, ::2, ::2])
    assert not shortcut[:, 64:].any()


def test_the_options_that_make_no_sense_say_so() -> None:
    with pytest.raises(SkipwayError, match="6n \\+ 2 layers"):
        models.cifar_resnet(18)
    with pytest.raises(SkipwayError, match="no option 'C'"):
        models.cifar_resnet(20, option="C")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="no option 'D'"):
        models.resnet18(option="D")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="no skips"):
        models.cifar_resnet(20, plain=True, drop=0.5)
    with pytest.raises(SkipwayError, match="zero at the start"):
        models.cifar_resnet(20, plain=True, zero_init_residual=True)
    with pytest.raises(SkipwayError, match="stem"):
        models.resnet18(stem="small")  # type: ignore[arg-type]
    with pytest.raises(SkipwayError, match="memory"):
        models.cifar_resnet(8).memory = "fast"  # type: ignore[assignment]
