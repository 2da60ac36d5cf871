"""Rules with several streams over networks as they are: against a Stack of the same branches."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from oracle import torchvision
from skipway import nn as sn
from skipway import reconnect
from skipway._errors import RewireError, SkipError
from snapshot import snapshot

NAMED = ["hyper-connections", "manifold-hyper-connections", "denseformer",
         "attention-residuals", "delta-attention-residuals"]  # fmt: skip
KEEPS = [name for name in NAMED if name != "attention-residuals"]


class Halved(sn.Rule):
    """A rule of the user's own."""

    def begin(self, x: Tensor) -> Any:
        return (x,)

    def read(self, state: Any, layer: int) -> tuple[Tensor, Any]:
        return state[0], state

    def write(self, waiting: Any, layer: int, y: Tensor) -> Any:
        return (waiting[0] + y / 2,)

    def end(self, state: Any) -> Tensor:
        return state[0]


def rule_of(name: str, features: int, dim: int) -> sn.Rule:
    rules: dict[str, Callable[[], sn.Rule]] = {
        "hyper-connections": lambda: sn.HyperConnections(4, dim=dim),
        "manifold-hyper-connections": lambda: sn.ManifoldHyperConnections(4, dim=dim),
        "denseformer": sn.DenseFormer,
        "attention-residuals": lambda: sn.AttentionResiduals(features, dim=dim),
        "delta-attention-residuals": lambda: sn.DeltaAttentionResiduals(features, dim=dim),
        "halved": Halved,
    }
    return rules[name]()


class Branch(nn.Module):
    """What lies on one branch, by a function of the block: its modules stay the network's."""

    def __init__(self, block: nn.Module, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.block, self.run = block, run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.block, x)


class Block(nn.Module):
    """A transformer's, in miniature; it takes a mask, and names its tensors as people do."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.feed = nn.Linear(width, width), nn.Linear(width, width)

    def attend(self, x: Tensor, scale: float) -> Tensor:
        return torch.tanh(self.mix(self.norm1(x))) * scale

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """Return the block's output."""
        shortcut = x
        x = self.attend(x, scale)
        x = shortcut + x
        x = x + F.gelu(self.feed(self.norm2(x)))
        return x  # noqa: RET504


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(3, 8), nn.Linear(8, 2)
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, 0.5)
        return self.head(x)


class Loop(nn.Module):
    """The sums in the loop itself, one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(3, 8), nn.Linear(8, 2)
        self.pairs = nn.ModuleList(
            nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)]) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x += 1.0
        for first, second in self.pairs:
            x = torch.tanh(first(x)) + x
            x += second(x)
        return self.head(x)


def _vit() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=5)


def _convnext() -> nn.Module:
    block = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.ConvNeXt([block(8, 16, 2), block(16, None, 3)])


def _attention(block: Any, x: Tensor) -> Tensor:
    h = block.ln_1(x)
    return block.self_attention(h, h, h, need_weights=False)[0]


@dataclass(frozen=True)
class Known:
    """A network, its stretches as (features, branches), and how it runs around them."""

    build: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    dim: int
    stretches: Callable[[Any], list[tuple[int, list[nn.Module]]]]
    run: Callable[[Any, Tensor, list[Callable[[Tensor], Tensor]]], Tensor]


def _of_tower(net: Any) -> list[tuple[int, list[nn.Module]]]:
    branches: list[nn.Module] = []
    for block in net.blocks:
        branches.append(Branch(block, lambda b, x: b.attend(x, 0.5)))
        branches.append(Branch(block, lambda b, x: F.gelu(b.feed(b.norm2(x)))))
    return [(8, branches)]


def _of_loop(net: Any) -> list[tuple[int, list[nn.Module]]]:
    branches: list[nn.Module] = []
    for first, second in net.pairs:
        branches += [
            Branch(first, lambda b, x: torch.tanh(b(x))),
            Branch(second, lambda b, x: b(x)),
        ]
    return [(8, branches)]


def _of_vit(net: Any) -> list[tuple[int, list[nn.Module]]]:
    branches: list[nn.Module] = []
    for block in net.encoder.layers:
        branches += [Branch(block, _attention), Branch(block, lambda b, x: b.mlp(b.ln_2(x)))]
    return [(16, branches)]


def _of_convnext(net: Any) -> list[tuple[int, list[nn.Module]]]:
    def run(block: Any, x: Tensor) -> Tensor:
        return block.layer_scale * block.block(x)

    stages = [net.features[1], net.features[3]]
    return [(stage[0].layer_scale.shape[0], [Branch(b, run) for b in stage]) for stage in stages]


def _run_vit(net: Any, x: Tensor, stacks: list[Callable[[Tensor], Tensor]]) -> Tensor:
    x = net._process_input(x)
    x = torch.cat([net.class_token.expand(len(x), -1, -1), x], 1) + net.encoder.pos_embedding
    return net.heads(net.encoder.ln(stacks[0](x))[:, 0])


def _run_convnext(net: Any, x: Tensor, stacks: list[Callable[[Tensor], Tensor]]) -> Tensor:
    x = stacks[0](net.features[0](x))
    x = stacks[1](net.features[2](x))
    return net.classifier(net.avgpool(x))


NETS = {
    "tower": Known(Tower, lambda: torch.randn(4, 3), -1, _of_tower,
                   lambda net, x, stacks: net.head(stacks[0](net.stem(x)))),
    "loop": Known(Loop, lambda: torch.randn(4, 3), -1, _of_loop,
                  lambda net, x, stacks: net.head(stacks[0](net.stem(x) + 1))),
    "vit": Known(_vit, lambda: torch.randn(2, 3, 32, 32), -1, _of_vit, _run_vit),
    "convnext": Known(_convnext, lambda: torch.randn(2, 3, 32, 32), 1, _of_convnext,
                      _run_convnext),
}  # fmt: skip


def awake(model: nn.Module) -> nn.Module:
    """Give what starts at nothing (a head, a layer scale) weights that can be seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.abs().max() < 1e-3:
                parameter.uniform_(-0.5, 0.5)
    return model.eval()


def rules_in(model: nn.Module) -> list[sn.Rule]:
    return [module for module in model.modules() if isinstance(module, sn.Rule)]


@pytest.mark.parametrize("rule", [*NAMED, "halved"])
@pytest.mark.parametrize("name", NETS)
def test_it_is_a_stack_of_the_same_branches(name: str, rule: str) -> None:
    known = NETS[name]
    net, x = awake(known.build()), known.inputs()
    rewiring = reconnect(net, x, rule=Halved() if rule == "halved" else rule)
    rewired = rewiring.model
    assert rewired is not None
    stretches = known.stretches(net)
    made = rules_in(rewired)
    assert len(made) == len(stretches)
    assert len(rewiring.plan.skips) == sum(len(branches) for _, branches in stretches)
    stacks = []
    with torch.no_grad():
        for own, (features, branches) in zip(made, stretches, strict=True):
            for parameter in own.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
            stack = sn.Stack(branches, rule=rule_of(rule, features, known.dim))
            stack.rule.load_state_dict(own.state_dict())
            stacks.append(stack)
        torch.testing.assert_close(rewired(x), known.run(net, x, stacks), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rule", NAMED)
@pytest.mark.parametrize("name", NETS)
def test_what_holds_for_every_rule(name: str, rule: str) -> None:
    known = NETS[name]
    net, x = awake(known.build()), known.inputs()
    before = snapshot(net)
    rewiring = reconnect(net, x, rule=rule)
    assert snapshot(net) == before, "the caller's model is untouched"
    rewired = rewiring.model
    assert rewired is not None
    state = rewired.state_dict()
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())
    added = sum(p.numel() for p in rewiring.new_parameters())
    assert rewiring.parameters_added == added > 0
    output = rewired(x)
    if rule in KEEPS:
        torch.testing.assert_close(output, net(x), rtol=1e-4, atol=1e-4)
    elif name in ("tower", "loop"):
        # Where a norm stands before every branch and at the end, an average is as good as a sum.
        assert not torch.allclose(output, net(x), rtol=1e-3, atol=1e-3)
    for twin in (copy.deepcopy(rewired), pickle.loads(pickle.dumps(rewired))):
        torch.testing.assert_close(twin(x), output, rtol=0, atol=0)
        assert len(rules_in(twin)) == len(rules_in(rewired)), "still one rule for all blocks"
    torch.testing.assert_close(rewiring.plain()(x), net(x), rtol=0, atol=0)
    rewired.train()(x).square().sum().backward()
    assert all(p.grad is not None for p in rewiring.new_parameters())


@pytest.mark.parametrize("rule", NAMED)
@pytest.mark.parametrize("name", ["tower", "loop", "vit"])
def test_it_compiles_whole_and_exports(name: str, rule: str) -> None:
    known = NETS[name]
    net, x = awake(known.build()), known.inputs()
    rewired = reconnect(net, x, rule=rule).model
    assert rewired is not None
    with torch.no_grad():
        expected = rewired(x)
        compiled = torch.compile(rewired, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), expected)
        torch.testing.assert_close(torch.export.export(rewired, (x,)).module()(x), expected)


def test_the_source_reads_as_a_person_would_write_it() -> None:
    source = reconnect(Tower(), torch.randn(4, 3), rule="hyper-connections").source()
    assert "streams = skipway.nn.Streams(skipway.nn.HyperConnections(4), 6)\n" in source
    assert "        self.streams = streams.take(2)\n" in source
    written = source[source.index("    def forward") :]
    assert written == (
        "    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:\n"
        '        """Return the block\'s output."""\n'
        "        stream = self.streams.enter(x)\n"
        "        x = stream.read()\n"
        "        x = self.attend(x, scale)\n"
        "        x = stream.join(x)\n"
        "        x = stream.join(F.gelu(self.feed(self.norm2(x))))\n"
        "        return x  # noqa: RET504\n"
    )


def test_the_pasted_source_builds_the_same_network() -> None:
    net, x = Tower(), torch.randn(4, 3)
    rewiring = reconnect(net, x, rule="hyper-connections")
    namespace: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + rewiring.source(), namespace)
    for block in net.blocks:
        block.__class__ = type("Block", (Block,), {"forward": namespace["Block"].forward})
        block.streams = namespace["streams"].take(2)
    assert rewiring.model is not None
    torch.testing.assert_close(net(x), rewiring.model(x), rtol=0, atol=0)
    with pytest.raises(SkipError, match="6 of 6 sums have their block"):
        namespace["streams"].take(1)


class Watched(Tower):
    """Looks at what flows between its blocks."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, 1.0 if x.ndim == 2 else 0.0)
        return self.head(x)


class Collected(Tower):
    """Reads the stream in the middle for a second output."""

    def forward(self, x: Tensor) -> Tensor:
        x = middle = self.blocks[1](self.blocks[0](self.stem(x)))
        return self.head(self.blocks[2](x)) + self.head(middle)


def test_a_second_reader_ends_the_stretch() -> None:
    rewiring = reconnect(Collected(), torch.randn(4, 3), rule="hyper-connections")
    assert rewiring.model is not None
    assert [rule.depth for rule in rules_in(rewiring.model)] == [4, 2]
    assert "streams_2 = skipway.nn.Streams(skipway.nn.HyperConnections(4), 2)" in rewiring.source()


def test_refusals_say_what_was_seen_and_what_to_do() -> None:
    image = torch.randn(2, 3, 32, 32)
    with pytest.raises(RewireError, match=r"stands alone.*activation"):
        reconnect(torchvision.models.resnet18().eval(), image, rule="hyper-connections")
    for rule in NAMED:
        with pytest.raises(RewireError, match=r"looks at what flows.*rule='rezero'"):
            reconnect(Watched(), torch.randn(4, 3), rule=rule)
    with pytest.raises(RewireError, match=r"give one of rezero.*hyper-connections"):
        reconnect(Tower(), torch.randn(4, 3), rule="hyper")


def test_a_part_of_the_skips_and_another_instance() -> None:
    x = torch.randn(4, 3)
    made = reconnect(Tower(), x, rule="denseformer")
    part = skipway.Plan("reconnect", made.plan.skips[2:], rule="denseformer")
    rewired = reconnect(Tower(), x, plan=part).model
    assert rewired is not None
    assert [rule.depth for rule in rules_in(rewired)] == [4]


def test_a_rule_of_ones_own_is_not_used_up() -> None:
    rule, x = sn.HyperConnections(2), torch.randn(4, 3)
    for _ in range(2):
        rewiring = reconnect(Tower(), x, rule=rule)
        assert rewiring.plan.rule == "HyperConnections"
        assert "skipway.nn.HyperConnections(2, features=None, dim=-1), 6)" in rewiring.source()
    assert rule.depth == 0
