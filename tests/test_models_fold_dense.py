"""`fold` on DenseNets: what it gives, what stays right afterwards, and what it leaves alone."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracle import torchvision
from skipway import models
from skipway.models._folding import _dense_modules, _packed
from snapshot import snapshot


def _trained(network: nn.Module) -> nn.Module:
    """Give the norms statistics and weights that matter, of both signs, and zero."""
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)
            module.weight.data[0] = 0
    return network.eval()


def _timm() -> nn.Module:
    timm = pytest.importorskip("timm")
    network: nn.Module = timm.create_model("densenet121", num_classes=5)
    return network


class _Prepending(nn.Module):
    """A dense layer of volumes that puts its features first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm3d(width), nn.Conv3d(width, 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(self.bn(x).relu()), x], 1)


def _small(**options: Any) -> models.DenseNet:
    return models.DenseNet(4, (2, 3), initial=6, num_classes=5, **options)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "densenet121": (lambda: models.densenet121(num_classes=5), (3, 64, 48)),
    "without bottlenecks": (lambda: _small(bottleneck=None, stem="cifar"), (3, 9, 8)),
    "odd sizes": (lambda: _small(stem="cifar"), (3, 7, 9)),
    "torchvision": (lambda: torchvision.models.densenet121(num_classes=5), (3, 64, 64)),
    "made lean": (lambda: models.lean(torchvision.models.densenet121(num_classes=5)), (3, 64, 64)),
    "timm": (_timm, (3, 64, 64)),
    "volumes, prepending": (
        lambda: nn.Sequential(nn.Sequential(_Prepending(3), _Prepending(5))), (3, 4, 5, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_outputs_are_the_modules_own(name: str, kind: torch.dtype) -> None:
    build, shape = NETWORKS[name]
    network = _trained(build())
    precise = copy.deepcopy(network).double()
    for module in precise.modules():
        if hasattr(module, "memory"):
            module.memory = "plain"
    network = network.to(kind)
    before, drawn = snapshot(network), torch.get_rng_state()
    folded = models.fold(network)
    assert snapshot(network) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    x = torch.randn(2, *shape, dtype=kind)
    expected = precise(x.double())
    tolerance = 1e-10 if kind == torch.float64 else 1e-5 * float(expected.abs().max())
    for _ in range(3):  # from the second call on the weights are packed
        torch.testing.assert_close(folded(x).double(), expected, atol=tolerance, rtol=0)
    assert {block.path for block in models.explain_path(folded).blocks} == {"folded"}


def _folded() -> tuple[nn.Module, Tensor, Tensor]:
    network = _trained(_small(stem="cifar"))
    x = torch.randn(2, 3, 8, 8)
    folded = models.fold(network)
    with torch.no_grad():
        for _ in range(3):
            folded(x)
        return folded, x, copy.deepcopy(network).double()(x.double()).float()


def _close(out: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(out, expected, atol=2e-5, rtol=2e-5)


def test_a_packed_network_can_be_copied_and_saved() -> None:
    folded, x, expected = _folded()
    file = io.BytesIO()
    torch.save(folded, file)
    file.seek(0)
    copies = [
        copy.deepcopy(folded),
        pickle.loads(pickle.dumps(folded)),
        torch.load(file, weights_only=False),
    ]
    for each in copies:
        for _ in range(3):
            _close(each(x), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_folded_network_compiles_exports_and_is_traced() -> None:
    folded, x, expected = _folded()
    compiled = torch.compile(copy.deepcopy(folded), backend="aot_eager", fullgraph=True)
    _close(compiled(x), expected)
    _close(torch.export.export(folded, (x,)).module()(x), expected)
    _close(torch.jit.trace(folded, x)(x), expected)  # type: ignore[no-untyped-call]
    _close(torch.fx.symbolic_trace(folded)(x), expected)
    _close(torch.func.vmap(folded)(x[:, None])[:, 0], expected)
    with torch.inference_mode():
        _close(folded(x), expected)
        within = models.fold(_trained(_small()))
        for _ in range(3):
            within(torch.randn(2, 3, 64, 64))


def test_new_values_are_noticed_where_weights_were_packed() -> None:
    folded, x, expected = _folded()
    other = models.fold(_trained(_small(stem="cifar")))
    with torch.no_grad():
        wanted = other(x)
        assert not torch.allclose(wanted, expected, atol=1e-2)
        folded.load_state_dict(other.state_dict())
        for _ in range(3):
            _close(folded(x), wanted)
        for own in folded.parameters():
            own.data = own.data * 0
        for _ in range(3):
            assert folded(x).count_nonzero() == 0


def test_inputs_of_other_sizes_and_threads_take_turns() -> None:
    folded, x, expected = _folded()
    with torch.no_grad():
        wide = torch.randn(3, 3, 10, 6)
        wanted = copy.deepcopy(folded).double()(wide.double()).float()
        for given, answer in [(wide, wanted), (x, expected)] * 2 + [(wide, wanted)] * 3:
            _close(folded(given), answer)
        last = wide.contiguous(memory_format=torch.channels_last)
        _close(folded(last), wanted)


def test_gradients_of_the_input_pass_through() -> None:
    network = _trained(_small(stem="cifar")).double()
    folded = models.fold(network)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(network(x).square().sum(), x)
    (gradient,) = torch.autograd.grad(folded(x).square().sum(), x)
    torch.testing.assert_close(gradient, expected)
    path = models.explain_path(folded).blocks[0]
    assert (path.path, path.reason) == ("plain", "a gradient is needed")


def test_whoever_asks_for_a_weights_gradient_gets_it() -> None:
    folded, x, _ = _folded()
    for name, weight in folded.named_parameters():
        if not name.endswith(("conv1.weight", "conv2.weight", "transition1.conv.weight")):
            continue
        weight.requires_grad_(True)
        folded(x).square().sum().backward()
        assert weight.grad is not None, name
        weight.requires_grad_(False)


def test_a_hook_inside_a_folded_block_fires() -> None:
    folded, x, expected = _folded()
    seen: list[str] = []
    inner = next(m for m in folded.modules() if isinstance(m, _dense_modules.FoldedLayer))
    inner.register_forward_hook(lambda *_: seen.append("layer"))
    with torch.no_grad():
        _close(folded(x), expected)
    assert seen == ["layer"]


@torch.no_grad()
def test_autocast_and_other_types_run_the_modules() -> None:
    folded, x, expected = _folded()
    with torch.autocast("cpu", torch.bfloat16):
        out = folded(x)
    torch.testing.assert_close(out.float(), expected, atol=0.1, rtol=0.1)
    assert "autocast" in models.explain_path(folded).blocks[0].reason
    half = copy.deepcopy(folded).bfloat16()
    torch.testing.assert_close(half(x.bfloat16()).float(), expected, atol=0.2, rtol=0.2)


@torch.no_grad()
def test_without_the_packed_operators_the_public_ones_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(_packed, "pack_layer", gone)
    _packed._works.cache_clear()
    try:
        folded, x, expected = _folded()
        for _ in range(3):
            _close(folded(x), expected)
    finally:
        _packed._works.cache_clear()


def _shared() -> nn.Module:
    block = nn.Sequential(_Prepending(3), _Prepending(5))
    return nn.Sequential(block, nn.Conv3d(7, 3, 1), block)


def _hooked() -> nn.Module:
    network = nn.Sequential(nn.Sequential(_Prepending(3), _Prepending(5)))
    network[0][1].conv.register_forward_hook(lambda *_: None)  # type: ignore[union-attr, index]
    return network


@pytest.mark.parametrize("build", [_shared, _hooked])
def test_a_block_that_is_shared_or_watched_stays(build: Callable[[], nn.Module]) -> None:
    foldable = nn.Sequential(nn.Conv3d(3, 3, 1), nn.BatchNorm3d(3))
    network = _trained(nn.Sequential(foldable, build())).double()
    folded = models.fold(network)
    kinds = [type(module) for module in folded.modules()]
    assert _dense_modules.FoldedBlock not in kinds
    assert kinds.count(nn.BatchNorm3d) == 2
    x = torch.randn(2, 3, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(folded(x), network(x))
