"""`lean` on other people's DenseNets: the same numbers, names and classes."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densenets import assert_same, of_torchvision, shaken, step
from skipway import models
from skipway._errors import ModelError


class PrependingLayer(nn.Module):
    """As a much-copied repository has it: functional ReLU, new features first."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return torch.cat([out, x], 1)


class Prepending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.dense1 = nn.Sequential(*(PrependingLayer(8 + 4 * i, 4) for i in range(3)))
        self.bn = nn.BatchNorm2d(20)
        self.linear = nn.Linear(20, 5)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn(self.dense1(self.conv1(x))), inplace=True)
        return self.linear(F.adaptive_avg_pool2d(out, 1).view(len(x), -1))


class BasicLayer(nn.Module):
    def __init__(self, width: int, growth: int, scale: float = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1, bias=False)
        self.droprate = 0.0
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.scale * self.conv1(self.relu(self.bn1(x)))], 1)


class Wrapped(nn.Module):
    """A block that holds its layers one level deeper."""

    def __init__(self, scale: float = 1) -> None:
        super().__init__()
        self.layer = nn.Sequential(*(BasicLayer(3 + 4 * i, 4, scale) for i in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def _timm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm: Any = pytest.importorskip("timm")
        return timm.models.DenseNet(growth_rate=4, block_config=(3, 2), num_classes=5)


def _monai(dims: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nets: Any = pytest.importorskip("monai.networks.nets")
        return nets.DenseNet(dims, 3, 5, init_features=8, growth_rate=4, block_config=(3, 2))


NETWORKS = {
    "torchvision": (of_torchvision, (3, 3, 32, 32)),
    "torchvision, checkpointing": (lambda: of_torchvision(memory_efficient=True), (3, 3, 32, 32)),
    "timm": (_timm, (3, 3, 32, 32)),
    "monai 1": (lambda: _monai(1), (3, 3, 40)),
    "monai 2": (lambda: _monai(2), (3, 3, 32, 35)),
    "monai 3": (lambda: _monai(3), (2, 3, 24, 25, 26)),
    "prepending": (Prepending, (3, 3, 9, 7)),
    "wrapped": (Wrapped, (3, 3, 9, 7)),
}


@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_leaner_network_is_the_same_network(name: str, memory: Any) -> None:
    build, shape = NETWORKS[name]
    theirs = shaken(build())
    before, rng = copy.deepcopy(theirs.state_dict()), torch.get_rng_state()
    leaner = models.lean(theirs, memory=memory)
    assert torch.equal(rng, torch.get_rng_state())
    assert isinstance(leaner, type(theirs))
    assert all(torch.equal(value, before[key]) for key, value in theirs.state_dict().items())
    assert list(leaner.state_dict()) == list(before)
    leaner = pickle.loads(pickle.dumps(copy.deepcopy(leaner)))
    x = torch.randn(shape, dtype=torch.float64)
    for module in theirs.modules():
        # Torchvision's checkpointing moves running statistics twice a step.
        module.memory_efficient = False
    assert_same(step(leaner, x), step(theirs, x))
    assert {block.path for block in models.explain_path(leaner).blocks} == {memory}
    for model in (leaner, theirs):
        model.eval()
    with torch.no_grad():
        assert_same([leaner(x)], [theirs(x)])
    assert {block.path for block in models.explain_path(leaner).blocks} == {"folded"}
    assert_same(step(leaner, x), step(theirs, x))
    assert {block.path for block in models.explain_path(leaner).blocks} == {"plain"}


class Scaled(Wrapped):
    """A block whose forward takes more than its input."""

    def forward(self, x: Tensor, *, factor: float = 1.0) -> Tensor:
        return factor * self.layer(x)


class Caller(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Scaled()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, factor=0.5) + self.block(x)


class Noting(Wrapped):
    """A block that keeps its features where somebody may look for them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        self.seen.append(out)
        return out


def test_a_block_called_with_more_than_its_input_runs_its_own_forward() -> None:
    theirs = shaken(Caller())
    leaner = models.lean(theirs)
    assert [block.block for block in models.explain_path(leaner).blocks] == ["block"]
    x = torch.randn(3, 3, 9, 7, dtype=torch.float64)
    assert_same(step(leaner, x), step(theirs, x))
    assert leaner.block.latest_path.path == "lean"
    leaner.block(x, factor=2.0)
    assert models.explain_path(leaner).blocks[0].reason == "it was called with more than its input"


def test_what_a_block_keeps_is_still_kept() -> None:
    theirs = shaken(Noting())
    leaner = models.lean(theirs)
    assert [block.block for block in models.explain_path(leaner).blocks] == ["layer"]
    x = torch.randn(3, 3, 9, 7, dtype=torch.float64)
    assert_same(step(leaner, x), step(theirs, x))
    assert_same([leaner.seen[0].detach()], [theirs.seen[0].detach()])
    assert len(leaner.seen) == 1
    assert leaner.layer.latest_path.path == "lean"


def test_a_layer_that_keeps_something_is_left_alone() -> None:
    class NotingLayer(BasicLayer):
        def forward(self, x: Tensor) -> Tensor:
            self.latest = super().forward(x)
            return self.latest

    block = nn.Sequential(*(NotingLayer(3 + 4 * i, 4) for i in range(2)))
    model = nn.Sequential(Wrapped(), nn.Conv2d(15, 3, 1), block)
    with pytest.warns(UserWarning, match=r"2 looks like .* for others to read, in 0\.latest\."):
        leaner = models.lean(model)
    assert [each.block for each in models.explain_path(leaner).blocks] == ["0"]


def test_the_layout_of_what_comes_out_is_that_of_what_went_in() -> None:
    leaner = models.lean(of_torchvision())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for grad_mode in (torch.no_grad, torch.enable_grad):
        with grad_mode():
            assert leaner.features(x).is_contiguous()
            leaner.features(x).view(2, -1)
            last = x.contiguous(memory_format=torch.channels_last)
            assert leaner.features(last).is_contiguous(memory_format=torch.channels_last)


def test_a_block_that_only_looks_dense_is_left_alone() -> None:
    model = nn.Sequential(Wrapped(), nn.Conv2d(15, 3, 1), Wrapped(scale=0.5))
    with pytest.warns(UserWarning, match=r"2 looks like a dense block, but it computes something"):
        leaner = models.lean(shaken(model))
    assert [block.block for block in models.explain_path(leaner).blocks] == ["0"]
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert_same(step(leaner, x), step(model, x))


def test_a_leaner_network_can_be_made_leaner_again() -> None:
    once = models.lean(of_torchvision(), memory="fast")
    twice = models.lean(once, memory="lean")
    assert {block.path for block in models.explain_path(twice).blocks} == {None}
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert_same(step(twice, x), step(once, x))
    assert {block.path for block in models.explain_path(twice).blocks} == {"lean"}
    assert {block.path for block in models.explain_path(once).blocks} == {"fast"}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Linear(3, 3), "no dense block in this Linear"),
        (Wrapped(scale=0.5), "computes something else"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3)), "no dense block"),
        (nn.SyncBatchNorm.convert_sync_batchnorm(Wrapped()), "This model has SyncBatchNorm"),
        (Wrapped, "lean was given the class Wrapped, not a network"),
        (torch.compile(Wrapped(), backend="eager"), r"compiled model.*lean\(model\._orig_mod\)"),
    ],
    ids=["linear", "scaled", "chain", "synchronised", "class", "compiled"],
)
def test_where_nothing_is_dense(model: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        models.lean(model)
