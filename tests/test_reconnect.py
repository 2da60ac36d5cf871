"""Existing skips under another rule: real networks against transcriptions by hand."""

from __future__ import annotations

import copy
import importlib
import io
import pickle
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from oracle import torchvision
from skipway import nn as sn
from skipway import reconnect
from skipway._errors import ModelError, RewireError
from snapshot import snapshot
from zoo import Plain, UNet

Join = Callable[[Tensor, Tensor], Tensor]
RULES = ["rezero", "skipinit", "layerscale", "stochastic-depth", "fixup", "scaled", "deepnorm",
         "highway", None]  # fmt: skip
KEEPS = ["rezero", "skipinit", "layerscale", "stochastic-depth", "fixup"]


# The blocks of known networks, transcribed: what they compute, with the sum left open.


def basic_block(block: Any, x: Tensor, join: Join) -> Tensor:
    out = F.relu(block.bn1(block.conv1(x)))
    out = block.bn2(block.conv2(out))
    return F.relu(join(x if block.downsample is None else block.downsample(x), out))


def convnext_block(block: Any, x: Tensor, join: Join) -> Tensor:
    return join(x, block.stochastic_depth(block.layer_scale * block.block(x)))


def inverted_residual(block: Any, x: Tensor, join: Join) -> Tensor:
    return join(x, block.conv(x)) if block.use_res_connect else block.conv(x)


def vit_block(block: Any, x: Tensor, join: Join) -> Tensor:
    h = block.ln_1(x)
    x = join(x, block.dropout(block.self_attention(h, h, h, need_weights=False)[0]))
    return join(x, block.mlp(block.ln_2(x)))


def timm_block(block: Any, x: Tensor, join: Join) -> Tensor:
    x = join(x, block.attn(block.norm1(x)))
    return join(x, block.mlp(block.norm2(x)))


def torch_layer(block: Any, x: Tensor, join: Join) -> Tensor:
    x = block.norm1(join(x, block.self_attn(x, x, x, need_weights=False)[0]))
    return block.norm2(join(x, block.linear2(F.relu(block.linear1(x)))))


@dataclass(frozen=True)
class Known:
    build: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    kind: Callable[[nn.Module], bool]
    block: Callable[[Any, Tensor, Join], Tensor]
    skips: int
    dim: int = 1


def _named(name: str) -> Callable[[nn.Module], bool]:
    return lambda module: type(module).__name__ == name


def _timm_vit() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = pytest.importorskip("timm")
        return timm.create_model("vit_tiny_patch16_224", img_size=32, depth=3)


def _images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size)


def _awake(model: nn.Module) -> nn.Module:
    """Give what starts at nothing (a head, a layer scale) weights that can be seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.abs().max() < 1e-3:
                parameter.uniform_(-0.5, 0.5)
    return model


def _vit() -> nn.Module:
    return _awake(torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=5))


def _convnext() -> nn.Module:
    block = torchvision.models.convnext.CNBlockConfig
    return _awake(torchvision.models.ConvNeXt([block(8, 16, 2), block(16, None, 1)]))


def _encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2)


NETS = {
    "resnet18": Known(torchvision.models.resnet18, _images, _named("BasicBlock"), basic_block, 8),
    "convnext": Known(_convnext, _images, _named("CNBlock"), convnext_block, 3),
    "mobilenet_v2": Known(
        lambda: torchvision.models.mobilenet_v2(width_mult=0.25), _images,
        _named("InvertedResidual"), inverted_residual, 11,  # the first block keeps its 8 channels
    ),
    "vit": Known(_vit, _images, _named("EncoderBlock"), vit_block, 4, -1),
    "timm vit": Known(_timm_vit, _images, _named("Block"), timm_block, 6, -1),
    "torch's transformer": Known(
        _encoder, lambda: torch.randn(2, 5, 8), _named("TransformerEncoderLayer"), torch_layer,
        4, -1,
    ),
}  # fmt: skip


# The rules, transcribed from their papers. `part` is the module of the rule, as it is.


def _along(vector: Tensor, x: Tensor, dim: int) -> Tensor:
    return vector if dim == -1 else vector[(...,) + (None,) * (x.ndim - 2)]


def _layer_norm(x: Tensor, norm: Any, dim: int) -> Tensor:
    mean = x.mean(dim, keepdim=True)
    deviation = (x - mean).pow(2).mean(dim, keepdim=True).add(norm.eps).sqrt()
    return (x - mean) / deviation * _along(norm.weight, x, dim) + _along(norm.bias, x, dim)


def _gate(part: Any, x: Tensor, dim: int) -> Tensor:
    linear = torch.einsum(
        "b...c,dc->b...d" if dim == -1 else "bc...,dc->bd...", x, part.transform.weight
    )
    return torch.sigmoid(linear + _along(part.transform.bias, x, dim))


FORMULAS: dict[str | None, Callable[[Any, Tensor, Tensor, int, int], Tensor]] = {
    "rezero": lambda part, x, y, dim, count: x + part.weight * y,
    "skipinit": lambda part, x, y, dim, count: x + part.weight * y,
    "layerscale": lambda part, x, y, dim, count: x + _along(part.weight, x, dim) * y,
    "stochastic-depth": lambda part, x, y, dim, count: x + y,
    "fixup": lambda part, x, y, dim, count: x + part.weight * y + part.bias,
    "scaled": lambda part, x, y, dim, count: x + y * float(f"{count**-0.5:.4g}"),
    "deepnorm": lambda part, x, y, dim, count: _layer_norm(
        count**0.25 * x + y, part.norm, dim
    ),
    "highway": lambda part, x, y, dim, count: (
        _gate(part, x, dim) * y + (1 - _gate(part, x, dim)) * x
    ),
    None: lambda part, x, y, dim, count: y,
}  # fmt: skip
PARTS = (sn.ReZero, sn.LayerScale, sn.StochasticDepth, sn.Affine, sn.DeepNormSum, sn.Highway)


def parts_of(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, PARTS)]


def by_hand(net: Known, model: nn.Module, rule: str | None, parts: list[nn.Module]) -> nn.Module:
    """Give the blocks of a copy the transcribed forward."""
    twin = copy.deepcopy(model)
    waiting: Iterator[Any] = iter(parts or [None] * net.skips)

    def forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return net.block(
            self, x, lambda a, b: FORMULAS[rule](next(waiting), a, b, net.dim, net.skips)
        )

    for module in twin.modules():
        if net.kind(module):
            module.forward = types.MethodType(forward, module)  # type: ignore[method-assign]
    return twin


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_it_computes_the_formula(name: str, rule: str | None) -> None:
    net = NETS[name]
    model, x = net.build().eval(), net.inputs()
    rewired = reconnect(model, x, rule=rule).model
    assert rewired is not None
    parts = parts_of(rewired)
    assert len(parts) == (0 if rule in ("scaled", None) else net.skips)
    with torch.no_grad():
        for part in parts:
            for parameter in part.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        expected = by_hand(net, model, rule, parts)(x)
        torch.testing.assert_close(rewired(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_what_holds_for_every_rule(name: str, rule: str | None) -> None:
    net = NETS[name]
    model, x = net.build().eval(), net.inputs()
    before = snapshot(model)
    rewiring = reconnect(model, x, rule=rule)
    assert snapshot(model) == before, "the caller's model is untouched"
    rewired = rewiring.model
    assert rewired is not None
    assert isinstance(rewired, type(model))
    assert len(rewiring.plan.skips) == net.skips
    state = rewired.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    added = sum(p.numel() for p in rewired.parameters()) - sum(
        p.numel() for p in model.parameters()
    )
    assert rewiring.parameters_added == added
    assert sum(p.numel() for p in rewiring.new_parameters()) == added
    output = rewired(x)
    if rule in KEEPS:
        torch.testing.assert_close(output, model(x), rtol=0, atol=0)
    else:
        assert not torch.allclose(output, model(x))
    for twin in (copy.deepcopy(rewired), pickle.loads(pickle.dumps(rewired))):
        torch.testing.assert_close(twin(x), output, rtol=0, atol=0)
    torch.testing.assert_close(rewiring.plain()(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize("rule", [*KEEPS, "scaled", "deepnorm", "highway"])
@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_gradients_reach_every_parameter(name: str, rule: str) -> None:
    net = NETS[name]
    x = net.inputs()
    rewired = reconnect(net.build(), x, rule=rule, preserve=True).model
    assert rewired is not None
    assert rewired.training
    torch.manual_seed(1)
    rewired(x).square().sum().backward()
    for key, parameter in rewired.named_parameters():
        assert parameter.grad is not None, key
        dropped = rule == "stochastic-depth"
        # One number added to all features is what a layer norm right behind takes away.
        removed = name == "vit" and "affine" in key and key.endswith("bias")
        assert parameter.grad.abs().sum() > 0 or dropped or removed, key


@pytest.mark.parametrize("rule", ["rezero", "deepnorm", "highway", None])
@pytest.mark.parametrize("name", ["resnet18", "vit", "torch's transformer"])
def test_it_compiles_whole_and_exports(name: str, rule: str | None) -> None:
    net = NETS[name]
    x = net.inputs()
    rewired = reconnect(net.build().eval(), x, rule=rule).model
    assert rewired is not None
    with torch.no_grad():
        expected = rewired(x)
        compiled = torch.compile(rewired, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), expected)
        torch.testing.assert_close(torch.export.export(rewired, (x,)).module()(x), expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_the_pasted_code_does_what_the_model_does(name: str, rule: str | None) -> None:
    net = NETS[name]
    x = net.inputs()
    rewiring = reconnect(net.build().eval(), x, rule=rule)
    namespace: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + rewiring.source(), namespace)
    rewired = rewiring.model
    assert rewired is not None
    pasted = copy.deepcopy(rewired)
    swapped = 0
    for module in pasted.modules():
        if net.kind(module):
            forward = namespace[type(module).__name__].forward
            module.forward = types.MethodType(forward, module)  # type: ignore[method-assign]
            swapped += 1
    assert swapped
    torch.testing.assert_close(pasted(x), rewired(x), rtol=0, atol=0)


def test_only_the_sum_differs_from_the_code_of_the_user() -> None:
    source = reconnect(torchvision.models.resnet18().eval(), _images()).source()
    assert "        out = self.gate(out) + identity\n        out = self.relu(out)\n" in source
    assert "        self.gate = skipway.nn.ReZero(1.0)\n" in source
    assert source.count("class ") == 1, "eight blocks have one class"


def test_a_cut_takes_with_it_what_only_the_skip_needed() -> None:
    rewiring = reconnect(torchvision.models.resnet18().eval(), _images(), rule=None)
    assert "identity" not in rewiring.source()
    assert "downsample" not in rewiring.source()
    assert rewiring.model is not None
    assert not skipway.skips(rewiring.model, _images())


def test_gates_start_as_in_their_papers_where_the_function_need_not_stay() -> None:
    net, x = NETS["vit"], _images()
    model = net.build().eval()
    for rule, start in (("rezero", 0.0), ("skipinit", 0.0), ("layerscale", 1e-5)):
        rewired = reconnect(model, x, rule=rule, preserve=False).model
        assert rewired is not None
        gates = [value for part in parts_of(rewired) for value in part.weight.flatten().tolist()]  # type: ignore[operator, union-attr]
        assert gates == pytest.approx([start] * len(gates))


def test_stochastic_depth_grows_with_depth_and_has_the_same_mean() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = x + layer(x)
            return x

    net, x = Deep(), torch.randn(1, 2).expand(4000, 2)
    rewired = reconnect(net, x, rule="stochastic-depth").model
    assert rewired is not None
    assert [part.p for part in parts_of(rewired)] == [0.25, 0.5]  # type: ignore[union-attr]
    torch.testing.assert_close(rewired(x).mean(0), net(x)[0], rtol=0.1, atol=0.05)
    assert len(rewired(x).unique(dim=0)) == 4, "each of two branches is there or not"
    torch.testing.assert_close(rewired.eval()(x), net(x))


# Code as people write it


class Loop(nn.Module):
    """Two sums in a loop, one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for attention, feed in self.layers:
            x = attention(x) + x
            x += F.relu(feed(x), inplace=True)
        return x


class Helper(nn.Module):
    """A sum in a method that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def _block(self, x: Tensor, layer: nn.Module) -> Tensor:
        return x + layer(x)

    def forward(self, x: Tensor) -> Tensor:
        return self._block(self._block(x, self.a), self.b)


def _add(a: Tensor, b: Tensor) -> Tensor:
    return a + b


class Function(Helper):
    """A sum in a function of no module."""

    def forward(self, x: Tensor) -> Tensor:
        return _add(x, self.b(self.a(x).relu()))


class Nested(Helper):
    """Two branches on one skip, as attention and feed-forward side by side."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.a(x) + self.b(x)


class Called(Helper):
    """The three ways to call it."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.add(x, self.a(x))
        x = self.b(x).add(x)
        y = self.a(x)
        y.add_(x)
        return y


class Looking(Helper):
    """A forward that looks at its data, with keywords."""

    def forward(self, x: Tensor, *, twice: bool = True, **more: Any) -> Tensor:
        if x.sum() > -1e9:
            x = (x + self.a(x)).relu()
        if twice:
            x = self.b(x) + x
        return x


class InPlace(Helper):
    """An in-place activation after the sum, and one inside the branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = self.b(self.act(self.a(x)))
        out += x
        return self.act(out)


class Comprehension(Helper):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x + layer(x) for layer in (self.a, self.b)]).sum(0)


class Summed(Helper):
    def forward(self, x: Tensor) -> Tensor:
        return sum([x, self.b(self.a(x))])  # type: ignore[return-value]  # of tensors


class Above(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class Inherited(Above):
    """Calls the forward of its base."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.a(super().forward(x))


class Conditional(Helper):
    """Operands that need brackets of their own."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x) if self.training else self.b(x)
        return (x if y.ndim == 2 else y) + (2 * y if x.ndim else y)


def _around() -> type[nn.Module]:
    slope = 0.2

    class Around(Helper):
        """Reads a variable of the function that defines it."""

        def forward(self, x: Tensor) -> Tensor:
            return x + F.leaky_relu(self.a(x), slope)

    return Around


class Again(nn.Module):
    """One block that runs three times: its weights are shared, and so is its gate."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Nested()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.block(x)
        return x


class Total(nn.Module):
    """A sum that starts at the number 0: its first round adds no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layers = nn.Linear(4, 4), nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.stem(x), 0
        for layer in self.layers:
            x = torch.tanh(layer(x))
            total = total + x
        return total  # type: ignore[return-value]  # a tensor by now


class Turning(nn.Module):
    """A loop whose sum has the skip on the left in one round and on the right in the next."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            y = torch.tanh(layer(x))
            a, b = (x, y) if number else (y, x)
            x = a + b
        return x


class Mixed(Helper):
    """A sum before a loop and one behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(x)
        for layer in self.layers:
            x = x + layer(x)
        return x + self.b(x)


WRITTEN = {
    "loop": (Loop, 6, 6), "helper": (Helper, 2, 2), "function": (Function, 1, 1),
    "nested": (Nested, 2, 2), "called": (Called, 3, 3), "looking": (Looking, 2, 2),
    "in place": (InPlace, 1, 1), "comprehension": (Comprehension, 2, 2),
    "summed": (Summed, 1, 1), "inherited": (Inherited, 1, 1),
    "conditional": (Conditional, 1, 1), "around": (_around(), 1, 1), "again": (Again, 6, 2),
    "mixed": (Mixed, 4, 4), "total": (Total, 2, 2), "turning": (Turning, 2, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_sums_as_people_write_them(name: str) -> None:
    kind, skips, gates = WRITTEN[name]
    model, x = kind().eval(), torch.randn(3, 4)
    before = snapshot(model)
    rewiring = reconnect(model, x)
    assert snapshot(model) == before
    assert (len(rewiring.plan.skips), rewiring.parameters_added) == (skips, gates)
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), model(x), rtol=0, atol=0)
    plain = reconnect(model, x, rule=None).model
    assert plain is not None
    with torch.no_grad():
        for gate in parts_of(rewiring.model):
            gate.weight.fill_(1e4)  # type: ignore[operator, union-attr]
    shifted = rewiring.model(x)
    # Far out only what the gates weigh is left, so each of them has weight in the sum.
    assert (shifted.abs().max() > 100 * model(x).abs().max()).item()
    assert not [s for s in skipway.skips(plain, x) if s.kind == "identity"]
    copy.deepcopy(rewiring.model)(x)
    rewiring.model.train()(x).sum().backward()
    assert all(gate.weight.grad is not None for gate in parts_of(rewiring.model))  # type: ignore[union-attr]


def test_a_loop_stays_a_loop() -> None:
    source = reconnect(Loop(), torch.randn(3, 4)).source()
    assert "for attention, feed in self.layers:" in source
    assert "x = x + next(gates)(F.relu(feed(x), inplace=True))" in source
    assert "x = next(gates)(attention(x)) + x" in source


def test_each_pass_of_a_loop_has_its_own_gate() -> None:
    model, x = Loop(), torch.randn(3, 4)
    rewired = reconnect(model, x).model
    assert rewired is not None
    weights = [0.5, -1.0, 2.0, 0.25, 3.0, -0.5]
    with torch.no_grad():
        for gate, weight in zip(parts_of(rewired), weights, strict=True):
            gate.weight.fill_(weight)  # type: ignore[operator, union-attr]
    expected, waiting = x, iter(weights)
    for attention, feed in model.layers:  # type: ignore[misc]  # pairs of layers
        expected = next(waiting) * attention(expected) + expected
        expected = expected + next(waiting) * F.relu(feed(expected))
    torch.testing.assert_close(rewired(x), expected)


def test_the_gate_is_on_the_branch_in_every_round() -> None:
    model, x = Turning(), torch.randn(3, 4)
    rewired = reconnect(model, x).model
    assert rewired is not None
    first, second = parts_of(rewired)
    with torch.no_grad():
        first.weight.fill_(0.5)  # type: ignore[operator, union-attr]
        second.weight.fill_(-2.0)  # type: ignore[operator, union-attr]
    one = x + 0.5 * torch.tanh(model.layers[0](x))
    torch.testing.assert_close(rewired(x), one - 2 * torch.tanh(model.layers[1](one)))


def test_a_class_whose_text_is_not_there_is_read_by_its_trace() -> None:
    namespace: dict[str, Any] = {"nn": nn}
    exec(
        "class Typed(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(4, 4)\n"
        "    def forward(self, x):\n        return x + self.a(x)\n",
        namespace,
    )
    model, x = namespace["Typed"](), torch.randn(2, 4)
    rewiring = reconnect(model, x, rule=None)
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), model.a(x))


def test_a_file_that_was_edited_since_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)\n\n"
        "    def forward(self, x):\n        return x + self.a(x)\n"
    )
    (tmp_path / "edited_net.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    model, x = importlib.import_module("edited_net").Net(), torch.randn(2, 4)
    (tmp_path / "edited_net.py").write_text(text.replace("self.a(x)", "self.b(x)"))
    rewired = reconnect(model, x, rule=None).model
    assert rewired is not None
    torch.testing.assert_close(rewired(x), model.a(x))


def test_torchs_layer_follows_the_rule_without_gradients_too() -> None:
    model = _encoder().eval()
    x = torch.randn(2, 5, 8)
    plain = reconnect(model, x, rule=None).model
    assert plain is not None
    with_gradients = plain(x)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():
        torch.testing.assert_close(plain(x), with_gradients)
        assert not torch.allclose(plain(x), model(x))
        masked = plain(x, src_key_padding_mask=padding)
    torch.testing.assert_close(masked, plain(x, src_key_padding_mask=padding))


def test_reconnecting_twice_keeps_both() -> None:
    model, x = Loop(), torch.randn(3, 4)
    first = reconnect(model, x, rule="rezero").model
    assert first is not None
    second = reconnect(first, x, rule="layerscale").model
    assert second is not None
    assert len(parts_of(second)) == 12
    torch.testing.assert_close(second(x), model(x))
    rewired = skipway.rewire(Plain(), torch.randn(2, 4)).model
    assert rewired is not None
    again = reconnect(rewired, torch.randn(2, 4), rule=None).model
    assert again is not None
    assert not skipway.skips(again, torch.randn(2, 4))


def test_train_and_evaluation_and_the_mode_of_each_part() -> None:
    model = torchvision.models.resnet18()
    model.layer1.eval()
    rewired = reconnect(model, _images()).model
    assert rewired is not None
    assert {n: m.training for n, m in model.named_modules()} == {
        n: m.training for n, m in rewired.named_modules() if "gate" not in n
    }
    assert not rewired.layer1[0].gate.training  # type: ignore[index, union-attr]
    assert rewired.layer2[0].gate.training  # type: ignore[index, union-attr]


def test_parts_take_the_type_of_the_layers_beside_them() -> None:
    model, x = Loop().double(), torch.randn(2, 4).double()
    rewired = reconnect(model, x, rule="layerscale").model
    assert rewired is not None
    assert {p.dtype for p in rewired.parameters()} == {torch.float64}


def test_it_is_saved_and_loaded_in_another_process_by_state_dict() -> None:
    model, x = torchvision.models.resnet18().eval(), _images()
    rewired = reconnect(model, x, rule="layerscale").model
    assert rewired is not None
    file = io.BytesIO()
    torch.save(rewired.state_dict(), file)
    file.seek(0)
    other = reconnect(torchvision.models.resnet18().eval(), x, rule="layerscale").model
    assert other is not None
    other.load_state_dict(torch.load(file))
    torch.testing.assert_close(other(x), rewired(x), rtol=0, atol=0)


# Plans


def test_a_plan_is_data_and_can_be_edited_and_applied_to_another_instance() -> None:
    x = _images()
    made = reconnect(torchvision.models.resnet18().eval(), x, rule=None)
    assert skipway.Plan.from_dict(made.plan.to_dict()) == made.plan
    kept = made.plan.skips[2:5]
    shorter = skipway.Plan("reconnect", kept, rule=None)
    model = torchvision.models.resnet18().eval()
    rewiring = reconnect(model, x, plan=shorter)
    assert rewiring.plan.skips == kept
    assert rewiring.model is not None
    found = skipway.skips(rewiring.model, x)
    assert len(found) == 5
    assert not {s.destination for s in found} & {s.destination for s in kept}


def test_a_plan_that_does_not_fit_is_refused() -> None:
    model, x = Loop(), torch.randn(3, 4)
    plan = reconnect(model, x).plan
    with pytest.raises(RewireError, match=r"no skip from `.*` to `layers.0.0`"):
        reconnect(Helper(), x, plan=plan)
    with pytest.raises(RewireError, match="adds skips by add"):
        reconnect(model, x, plan=skipway.Plan("add", ()))
    with pytest.raises(RewireError, match="holds no skip"):
        reconnect(model, x, plan=skipway.Plan("reconnect", ()))
    with pytest.raises(RewireError, match=r"skipway\.reconnect"):
        skipway.rewire(model, x, plan=plan)


# Refusals


def test_refusals_say_what_was_seen_and_what_to_do() -> None:
    x = torch.randn(2, 4)
    with pytest.raises(RewireError, match=r"no skip connection.*skipway\.rewire"):
        reconnect(Plain(), x)
    with pytest.raises(RewireError, match=r"1 skip connections.*`up`: it concatenates"):
        reconnect(UNet(), torch.randn(2, 1, 8, 8))
    with pytest.raises(RewireError, match="There is no rule 'rezro'; give one of rezero"):
        reconnect(Loop(), x, rule="rezro")
    with pytest.raises(RewireError, match="not a torch"):
        reconnect(lambda: None, x)  # type: ignore[arg-type]
    with pytest.raises(RewireError, match="compile the result"):
        reconnect(torch.compile(Loop(), backend="eager"), x)  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        reconnect(Loop(), torch.randn(2, 5))


class Half(Helper):
    """One sum that can change; one that broadcasts, and a concatenation, which cannot."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(x)
        x = x + self.b(x).mean(-1, keepdim=True)
        return torch.cat([x, self.b(x)], 1)


def test_it_prints_shows_itself_and_is_read_again(tmp_path: Path) -> None:
    for rule in ("rezero", "hyper-connections", None):
        rewiring = reconnect(Loop(), torch.randn(3, 4), rule=rule)
        words = "6 skips of Loop " + ("cut." if rule is None else f"by the rule {rule}.")
        assert str(rewiring).startswith(words)
        page = rewiring.save(tmp_path / "r.html").read_text("utf-8")
        assert words.replace("Loop", "<code>Loop</code>") in page
        assert "Loop" in rewiring._repr_html_()
        again = skipway.read(rewiring.save(tmp_path / "r.json"))
        assert again == rewiring


def test_what_is_left_as_it_is_is_said() -> None:
    rewiring = reconnect(Half(), torch.randn(2, 4))
    assert len(rewiring.plan.skips) == 1
    assert "What joins after `b#0` stays as it is: it broadcasts one" in rewiring.plan.reason
    assert "concatenates" in rewiring.plan.reason
    assert "x + a f(x)" in str(rewiring)
    assert str(rewiring).startswith("1 skip of Half by the rule rezero.")
