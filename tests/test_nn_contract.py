"""What holds for every option of Skip and for every rule of Stack."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from skipway import nn as sn

FEATURES = 8


@dataclass(frozen=True)
class Exhibit:
    """A module built of blocks, the shape it takes without the batch, and what it cannot do."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = (FEATURES,)
    random: bool = False

    def inputs(self, batch: int = 4) -> Tensor:
        return torch.randn(batch, *self.shape)


def _linear() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.GELU())


def _conv(features: int = FEATURES) -> nn.Module:
    return nn.Sequential(nn.Conv2d(features, features, 3, padding=1), nn.Tanh())


def _images(*, stride: int = 1, out: int = FEATURES) -> nn.Module:
    return nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(FEATURES, out, 3, stride, 1))


def _skip(name: str, body: Callable[[], nn.Module] = _linear, **options: object) -> Exhibit:
    shape = (FEATURES,) if body is _linear else (FEATURES, 6, 6)

    def build() -> nn.Module:
        made = {key: make() if callable(make) else make for key, make in options.items()}
        return sn.Skip(body(), **made)

    return Exhibit(f"skip {name}", build, shape, random="drop" in options)


def _stack(name: str, rule: Callable[[], sn.Rule], **more: object) -> Exhibit:
    return Exhibit(f"stack {name}", lambda: sn.Stack([_linear() for _ in range(4)], rule()), **more)


def _images_stack(name: str, rule: Callable[[], sn.Rule], features: int = FEATURES) -> Exhibit:
    def build() -> nn.Module:
        return sn.Stack([_conv(features) for _ in range(4)], rule())

    return Exhibit(f"stack {name} of images", build, (FEATURES, 5, 5))


def _dense() -> nn.Module:
    return sn.Stack([nn.Linear(FEATURES + 3 * layer, 3) for layer in range(4)], sn.Dense(dim=-1))


EXHIBITS = [
    _skip("add"),
    _skip("concat", merge=lambda: sn.Concat(dim=-1)),
    _skip("fuse", merge=lambda: sn.Fuse(FEATURES)),
    _skip("highway", gate=lambda: sn.Highway(FEATURES)),
    _skip("rezero", gate="rezero"),
    _skip("layer scale", gate=lambda: sn.LayerScale(FEATURES)),
    _skip("gate on the shortcut", shortcut=sn.ReZero),
    _skip("drop", drop=0.3),
    _skip("post", post=nn.ReLU),
    _skip("in-place body", _images),
    _skip("option A", lambda: _images(stride=2, out=12),
          shortcut=lambda: sn.Shortcut(FEATURES, 12, 2, kind="A")),
    _skip("option D", lambda: _images(stride=2, out=12),
          shortcut=lambda: sn.Shortcut(FEATURES, 12, 2, kind="D")),
    _skip("auto", lambda: _images(stride=2, out=12), shortcut="auto",
          example=lambda: torch.randn(1, FEATURES, 6, 6)),
    _skip("concat, padded", lambda: _images(stride=2), merge="concat", align="pad"),
    _skip("concat, cropped", lambda: _images(stride=2), merge="concat", align="crop"),
    _skip("concat, interpolated", lambda: _images(stride=2), merge="concat", align="interpolate"),
    _stack("residual", sn.Residual),
    _stack("residual, scaled", lambda: sn.Residual(scale="depth")),
    _stack("deepnorm", lambda: sn.DeepNorm(FEATURES)),
    _stack("fixup", sn.Fixup),
    Exhibit("stack dense", _dense),
    _stack("denseformer", sn.DenseFormer),
    _stack("denseformer, dilated", lambda: sn.DenseFormer(dilation=2, period=2)),
    _stack("hyper-connections", lambda: sn.HyperConnections(3)),
    _stack("hyper-connections, dynamic", lambda: sn.HyperConnections(3, features=FEATURES)),
    # Few of Sinkhorn's steps: compilers unroll them.
    _stack("mHC", lambda: sn.ManifoldHyperConnections(3, steps=3)),
    _stack("mHC, dynamic", lambda: sn.ManifoldHyperConnections(3, features=FEATURES, steps=3)),
    _stack("attention residuals", lambda: sn.AttentionResiduals(FEATURES)),
    _stack("attention residuals, blocks", lambda: sn.AttentionResiduals(FEATURES, block_size=3)),
    _stack("delta attention residuals", lambda: sn.DeltaAttentionResiduals(FEATURES)),
    _stack("delta attention residuals, ungated",
           lambda: sn.DeltaAttentionResiduals(FEATURES, gate=None)),
    _stack("reversible", lambda: sn.Reversible(dim=-1), shape=(2 * FEATURES,)),
    _images_stack("deepnorm", lambda: sn.DeepNorm(FEATURES, dim=1)),
    _images_stack("hyper-connections",
                  lambda: sn.HyperConnections(2, features=FEATURES, dim=1)),
    _images_stack("mHC",
                  lambda: sn.ManifoldHyperConnections(2, features=FEATURES, dim=1, steps=3)),
    _images_stack("attention residuals", lambda: sn.AttentionResiduals(FEATURES, dim=1)),
    _images_stack("reversible", sn.Reversible, FEATURES // 2),
]  # fmt: skip

each = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)


def _awake(module: nn.Module) -> nn.Module:
    """Move every parameter from its start, so that no gate hides what is behind it."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def _output_and_gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    output = module(x)
    gradients = torch.autograd.grad(output.square().sum(), [x, *module.parameters()])
    return [output.detach(), *gradients]


def _assert_same(one: list[Tensor], other: list[Tensor], **tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


@each
def test_every_parameter_gets_a_gradient(exhibit: Exhibit) -> None:
    module, x = _awake(exhibit.build()), exhibit.inputs()
    for gradient in _output_and_gradients(module, x):
        assert gradient.abs().sum() > 0


@each
def test_the_input_and_the_random_numbers_stay(exhibit: Exhibit) -> None:
    module, x = exhibit.build().eval(), exhibit.inputs()
    before, state = x.clone(), torch.get_rng_state()
    module(x)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


@each
def test_forward_makes_no_parameter_and_keeps_no_tensor(exhibit: Exhibit) -> None:
    module, x = exhibit.build(), exhibit.inputs()
    names = [name for name, _ in module.named_parameters()]
    kept = {id(t) for t in (*module.parameters(), *module.buffers())}
    module(x)
    assert [name for name, _ in module.named_parameters()] == names
    for part in module.modules():
        for value in vars(part).values():
            things = value.values() if isinstance(value, dict) else [value]
            assert not any(isinstance(t, Tensor) and id(t) not in kept for t in things)


@each
def test_copies_are_the_same_and_apart(exhibit: Exhibit) -> None:
    module, x = _awake(exhibit.build()), exhibit.inputs()
    expected = _output_and_gradients(module, x)
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for other in copies:
        _assert_same(_output_and_gradients(other, x), expected, rtol=0, atol=0)


@each
def test_a_state_dict_goes_round(exhibit: Exhibit) -> None:
    module, other, x = _awake(exhibit.build()), exhibit.build(), exhibit.inputs()
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    expected = _output_and_gradients(module, x)
    _assert_same(_output_and_gradients(other, x), expected, rtol=0, atol=0)


@each
def test_compiles_in_one_graph(exhibit: Exhibit) -> None:
    torch.compiler.reset()
    module, x = _awake(exhibit.build()), exhibit.inputs()
    expected = _output_and_gradients(module, x)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    if exhibit.random:  # other random numbers: the graph is what counts
        _output_and_gradients(compiled, x)
    else:
        _assert_same(_output_and_gradients(compiled, x), expected)


@each
def test_exports_with_any_batch(exhibit: Exhibit) -> None:
    module, x = _awake(exhibit.build()).eval(), exhibit.inputs()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    more = exhibit.inputs(7)
    torch.testing.assert_close(program.module()(more), module(more))


@each
def test_is_a_function_of_its_parameters(exhibit: Exhibit) -> None:
    module, other, x = _awake(exhibit.build()), _awake(exhibit.build()), exhibit.inputs()
    torch.manual_seed(1)
    called = functional_call(module, dict(other.state_dict()), (x,))
    torch.manual_seed(1)
    torch.testing.assert_close(called, other(x))


@each
def test_maps_over_a_further_axis(exhibit: Exhibit) -> None:
    module, xs = _awake(exhibit.build()), torch.stack([exhibit.inputs(), exhibit.inputs()])
    if exhibit.random:
        torch.vmap(module, randomness="different")(xs)
    else:
        mapped = torch.vmap(module)(xs)
        torch.testing.assert_close(mapped, torch.stack([module(x) for x in xs]))


@each
def test_autocast_computes_in_bfloat16_what_it_may(exhibit: Exhibit) -> None:
    module, x = _awake(exhibit.build()), exhibit.inputs()
    expected = _output_and_gradients(module, x)
    with torch.autocast("cpu", torch.bfloat16):
        got = _output_and_gradients(module, x)
    a, b = (torch.cat([t.float().flatten() for t in tensors]) for tensors in (got, expected))
    assert 0 < (a - b).norm() <= 0.02 * b.norm()
    assert all(gradient.dtype == torch.float32 for gradient in got[1:])


@each
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_changes_nothing(exhibit: Exhibit, reentrant: bool) -> None:
    module, x = _awake(exhibit.build()), exhibit.inputs()
    expected = _output_and_gradients(module, x)
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    output = checkpoint(module, x, use_reentrant=reentrant)
    output.square().sum().backward()
    got = [output.detach(), x.grad, *(p.grad for p in module.parameters())]
    _assert_same(got, expected)


# A finite difference needs the same numbers twice.
@pytest.mark.parametrize("exhibit", [e for e in EXHIBITS if not e.random], ids=lambda e: e.name)
def test_gradients_are_those_of_the_numbers(exhibit: Exhibit) -> None:
    module, x = _awake(exhibit.build()).double(), exhibit.inputs(2).double().requires_grad_()
    assert torch.autograd.gradcheck(module, (x,), fast_mode=True)
