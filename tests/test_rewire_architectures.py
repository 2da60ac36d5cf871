"""The kinds of network that people have: transformers, recurrent stacks, encoder-decoders."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from skipway import Plan, PlannedSkip, rewire
from skipway._errors import RewireError, SkipError

each_way = pytest.mark.parametrize("how", ["add", "cat", "dense"])


def _ends(plan: Plan) -> list[tuple[str, str]]:
    return [(skip.source, skip.destination) for skip in plan.skips]


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    """A transformer's block whose residuals were cut."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 2)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(self.norm1(x))
        return self.mlp(self.norm2(x))


class TorchBlock(nn.Module):
    """The same with PyTorch's attention, which returns a tuple."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.up, self.down = nn.Linear(width, 16), nn.Linear(16, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x, _ = self.attention(y, y, y, need_weights=False)
        return self.down(F.dropout(F.gelu(self.up(self.norm2(x))), 0.1, self.training))


class Transformer(nn.Module):
    def __init__(self, block: Any = Block, depth: int = 3, width: int = 8) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(11, width), nn.Embedding(16, width)
        self.blocks = nn.ModuleList(block(width) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 11)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _pre_norm(net: Transformer, tokens: Tensor) -> Tensor:
    """The transformer that everybody uses: `x + f(norm(x))` around attention and around the MLP."""
    x = net.tokens(tokens) + net.positions(torch.arange(tokens.shape[1]))
    for block in net.blocks:
        if isinstance(block, TorchBlock):
            y = block.norm1(x)
            x = x + block.attention(y, y, y, need_weights=False)[0]
            x = x + block.down(F.gelu(block.up(block.norm2(x))))
        else:
            x = x + block.attention(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
    return net.head(net.norm(x))


@pytest.mark.parametrize("block", [Block, TorchBlock])
@pytest.mark.parametrize("how", ["add", "cat"])
def test_a_transformer_without_residuals_gets_those_of_the_textbook(block: Any, how: Any) -> None:
    net, tokens = Transformer(block).eval(), torch.randint(11, (2, 5))
    model = rewire(net, tokens, how=how).model
    assert model is not None
    torch.testing.assert_close(model(tokens), _pre_norm(net, tokens))


def test_the_source_of_a_block_is_shown_once_for_all() -> None:
    source = rewire(Transformer(), torch.randint(11, (2, 5))).source()
    assert "# blocks.0, blocks.1, blocks.2" in source
    assert source.count("class Block(nn.Module):") == 1
    assert source.count("x = skip + x") == 2


class Stacked(nn.Module):
    def __init__(self, kind: Any = nn.LSTM, depth: int = 4) -> None:
        super().__init__()
        self.read = nn.Linear(3, 8)
        self.layers = nn.ModuleList(kind(8, 8, batch_first=True) for _ in range(depth))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.read(x)
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


class LooseStack(Stacked):
    """Looks at its data: hooks have to carry what a layer returns in a tuple."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        x = self.read(x)
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("net", [Stacked, LooseStack])
@pytest.mark.parametrize("how", ["add", "cat"])
def test_recurrent_layers_get_a_skip_across_each(kind: Any, net: Any, how: Any) -> None:
    plain, x = net(kind), torch.randn(2, 5, 3)
    model = rewire(plain, x, how=how).model
    assert model is not None
    y = plain.read(x)
    for layer in plain.layers:
        y = y + layer(y)[0]
    torch.testing.assert_close(model(x), plain.head(y[:, -1]))


class Autoencoder(nn.Module):
    def __init__(self, dims: int = 2) -> None:
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        up = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
        pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[dims]
        self.encoder = nn.Sequential(
            conv(1, 4, 3, padding=1), nn.ReLU(), pool(2),
            conv(4, 6, 3, padding=1), nn.ReLU(), pool(2),
            conv(6, 6, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            up(6, 6, 2, 2), nn.ReLU(), up(6, 4, 2, 2), nn.ReLU(), conv(4, 1, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def _unet(net: Autoencoder, x: Tensor, fuses: list[Tensor]) -> Tensor:
    """The autoencoder with two long skips, written out; `fuses` from the finest level down."""
    e, d, levels = net.encoder, net.decoder, []
    for at in (0, 3):
        levels.append(e[at](x))
        x = e[at + 2](torch.relu(levels[-1]))
    x = torch.relu(e[6](x))
    for at, level, fuse in ((0, levels[1], fuses[1]), (2, levels[0], fuses[0])):
        both = torch.cat([level, d[at](x)], 1)
        x = torch.relu(torch.einsum("oi,ni...->no...", fuse.flatten(1), both))
    return d[4](x)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_plain_autoencoder_becomes_a_unet(dims: int) -> None:
    net, x = Autoencoder(dims), torch.randn(2, 1, *(8,) * dims)
    rewiring = rewire(net, x, how="cat")
    model: Any = rewiring.model
    assert _ends(rewiring.plan) == [("encoder.0", "decoder.2"), ("encoder.3", "decoder.0")]
    fuses = {fuse.width: fuse.weight for fuse in model.fuses}
    with torch.no_grad():
        for weight in fuses.values():
            weight.normal_(std=0.3)
    torch.testing.assert_close(model(x), _unet(net, x, [fuses[4], fuses[6]]))
    assert list(model.state_dict())[: len(net.state_dict())] == list(net.state_dict())


def test_an_encoder_with_a_hook_keeps_it_and_hooks_carry_the_skips() -> None:
    net, x = Autoencoder(), torch.randn(2, 1, 8, 8)
    seen: list[int] = []
    net.encoder.register_forward_hook(lambda module, args, output: seen.append(1))
    rewiring = rewire(net, x)
    assert "the hooks of `encoder` would not be called any more" in rewiring.source()
    seen.clear()
    assert rewiring.model is not None
    eye = [torch.cat([torch.eye(n), torch.eye(n)], 1) for n in (4, 6)]
    torch.testing.assert_close(rewiring.model(x), _unet(net, x, eye))
    assert seen == [1]


def test_a_deep_level_of_an_autoencoder_gets_short_skips_as_well() -> None:
    deep = [m for _ in range(6) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), *deep,
        nn.ConvTranspose2d(4, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1),
    )  # fmt: skip
    plan = rewire(net, torch.randn(2, 1, 8, 8)).plan
    assert _ends(plan) == [("0", "15"), ("3", "7"), ("7", "11")]


class Skippy(nn.Module):
    """A ResNet of one's own whose branches are six layers deep."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.bodies = nn.ModuleList(
            nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(8, 8), nn.Tanh())))
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for body in self.bodies:
            x = x + body(x)
        return self.head(x)


def test_long_branches_of_skips_that_are_there_get_skips_inside() -> None:
    net, x = Skippy(), torch.randn(3, 4)
    rewiring = rewire(net, x)
    y = net.stem(x)
    for body in net.bodies:
        z = y
        for at in (0, 4, 8):
            z = z + body[at + 2](torch.tanh(body[at](z if at == 0 else torch.tanh(z))))
        y = y + torch.tanh(z)
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), net.head(y))


NORMS = {
    "batch": lambda n: nn.BatchNorm2d(n), "group": lambda n: nn.GroupNorm(2, n),
    "instance": lambda n: nn.InstanceNorm2d(n, affine=True), "layer": lambda n: nn.GroupNorm(1, n),
    "local": lambda n: nn.LocalResponseNorm(2), "none": lambda n: nn.Identity(),
}  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
@each_way
def test_norms_of_all_kinds(norm: str, how: Any) -> None:
    kinds = [(1, 4, 1), *[(4, 4, 1)] * 3, (4, 6, 2), *[(6, 6, 1)] * 3]
    acts = (nn.ReLU, nn.ELU, nn.SiLU, nn.Hardswish)
    layers: list[nn.Module] = []
    for at, (before, after, stride) in enumerate(kinds):
        layers += [nn.Conv2d(before, after, 3, stride, 1), NORMS[norm](after)]
        layers += [acts[at % 4](), nn.Dropout2d(0.1)]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    x = torch.randn(4, 1, 8, 8)
    rewiring = rewire(net, x, how=how)
    assert rewiring.model is not None
    assert len({skip.destination for skip in rewiring.plan.skips}) == 3
    closed = rewire(net, x, how=how, preserve=True).model
    assert closed is not None
    torch.testing.assert_close(closed.eval()(x), net.eval()(x), rtol=0, atol=0)
    rewiring.model(x).sum().backward()
    assert all(p.grad is not None for p in rewiring.model.parameters())


@pytest.mark.parametrize("dims", [1, 3])
@each_way
def test_sequences_and_volumes(dims: int, how: Any) -> None:
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[dims]
    norm = {1: nn.BatchNorm1d, 3: nn.BatchNorm3d}[dims]
    layers: list[nn.Module] = []
    for a, b, s in [(2, 4, 1), (4, 4, 1), (4, 4, 1), (4, 8, 2), (8, 8, 1), (8, 8, 1), (8, 8, 1)]:
        layers += [conv(a, b, 3, s, 1), norm(b), nn.ReLU(inplace=True)]
    net, x = nn.Sequential(*layers), torch.randn(2, 2, *(6,) * dims)
    rewiring = rewire(net, x, how=how)
    assert rewiring.model is not None
    assert "pool" in {skip.shortcut.split(" ")[0] for skip in rewiring.plan.skips}
    assert rewiring.model(x).shape == net(x).shape


def test_parallel_branches_are_one_step() -> None:
    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(8, 4, 1)
            self.three = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.one(x), self.three(x)], 1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 8, 3, padding=1)
            self.blocks = nn.ModuleList(Inception() for _ in range(3))
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = block(torch.relu(x))
            return self.head(x.mean((2, 3)))

    net, x = Net(), torch.randn(2, 1, 6, 6)
    rewiring = rewire(net, x)
    y = net.stem(x)
    for block in net.blocks:
        y = y + block(torch.relu(y))
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), net.head(y.mean((2, 3))))


def test_a_skip_by_hand_may_start_inside_one_block_and_end_inside_another() -> None:
    net, x = Autoencoder(), torch.randn(2, 1, 8, 8)
    plan = Plan("add", (PlannedSkip("encoder.3", "decoder.0"),))
    model = rewire(net, x, plan=plan).model
    assert isinstance(model, Autoencoder)
    e, d = net.encoder, net.decoder
    fine = e[3](e[:3](x))
    expected = d[1:](fine + d[0](e[4:](fine)))
    torch.testing.assert_close(model(x), expected)


# Recurrent layers that one call runs all at once


def _one_by_one(rnn: nn.RNNBase, x: Tensor, scale: float = 1.0) -> Tensor:
    """The layers as modules of their own, with a skip across all but the first."""
    for layer in range(rnn.num_layers):
        width = x.shape[-1]
        kind: Any = type(rnn)
        one = kind(width, rnn.hidden_size, batch_first=True, bidirectional=rnn.bidirectional)
        with torch.no_grad():
            for name, parameter in one.named_parameters():
                parameter.copy_(rnn.get_parameter(name.replace("_l0", f"_l{layer}")))
        y = one(x)[0]
        x = y if layer == 0 else scale * x + y
    return x


class OneCall(nn.Module):
    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.rnn = kind(3, 4, 3, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        return self.head(y[:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bidirectional", [False, True])
@each_way
def test_a_stack_in_one_call_gets_skips_across_its_layers(
    kind: Any, bidirectional: bool, how: Any
) -> None:
    net, x = OneCall(kind, bidirectional=bidirectional), torch.randn(2, 5, 3)
    rewiring = rewire(net, x, how=how)
    assert _ends(rewiring.plan) == [("rnn[0]", "rnn[1]"), ("rnn[1]", "rnn[2]")]
    model = rewiring.model
    assert model is not None
    torch.testing.assert_close(model(x), net.head(_one_by_one(net.rnn, x)[:, -1]))
    assert list(model.state_dict())[:3] == list(net.state_dict())[:3]
    assert isinstance(model.rnn, kind)
    closed = rewire(net, x, how=how, preserve=True)
    assert closed.model is not None
    torch.testing.assert_close(closed.model(x), net(x), rtol=0, atol=0)
    torch.testing.assert_close(rewiring.plain()(x), net(x), rtol=0, atol=0)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    torch.testing.assert_close(copied(x), model(x), rtol=0, atol=0)
    again = rewire(net, x, plan=Plan.from_dict(rewiring.plan.to_dict()))
    assert again.source() == rewiring.source()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("batched", [True, False])
def test_layer_by_layer_is_the_same_computation(kind: Any, batched: bool) -> None:
    rnn = kind(3, 4, 3, bidirectional=True, dropout=0.2)
    x = torch.randn(5, 2, 3) if batched else torch.randn(5, 3)
    first = torch.randn(6, 2, 4) if batched else torch.randn(6, 4)
    hx = (first, first.flip(0)) if kind is nn.LSTM else first
    for states in (None, hx):
        torch.manual_seed(1)
        expected = rnn(x, states)
        torch.manual_seed(1)
        torch.testing.assert_close(skipway.nn.layer_by_layer(rnn, x, states), expected)
    if batched:
        lengths = torch.tensor([3, 5])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        torch.manual_seed(1)
        expected = rnn(packed, hx)
        torch.manual_seed(1)
        torch.testing.assert_close(skipway.nn.layer_by_layer(rnn, packed, hx), expected)


def test_a_skip_across_a_layer_that_is_not_there_is_told() -> None:
    with pytest.raises(SkipError, match="layer 3 of 3"):
        skipway.nn.layer_by_layer(nn.GRU(3, 4, 3), torch.randn(5, 2, 3), skipped=(3,))
    net, x = OneCall(nn.GRU), torch.randn(2, 5, 3)
    with pytest.raises(RewireError, match="more than one layer"):
        rewire(net, x, plan=Plan("add", (PlannedSkip("rnn[0]", "rnn[2]"),)))


def test_a_stage_that_goes_on_beyond_a_skip_of_its_own_is_no_end() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    def pair() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))

    stage = nn.Sequential(pair(), Residual(), pair())
    net, x = nn.Sequential(nn.Linear(4, 6), stage, nn.Linear(6, 2)), torch.randn(3, 4)
    rewiring = rewire(net, x)
    # Around the two pairs, and not around the stage as a whole.
    y = net[0](x)
    y = y + stage[0](y)
    y = stage[1](y)
    expected = net[2](y + stage[2](y))
    assert rewiring.model is not None
    torch.testing.assert_close(rewiring.model(x), expected)


@pytest.mark.parametrize("name", ["resnest14d", "cspresnet50", "ese_vovnet19b_dw"])
@each_way
def test_a_networks_own_plan_fits_it(name: str, how: str) -> None:
    # What is pooled or joined between two blocks has one shape inside and another outside of them.
    timm = pytest.importorskip("timm")
    net = timm.create_model(name, num_classes=10).eval()
    x = torch.randn(2, 3, 64, 64)
    rewiring = rewire(net, x, how=how)
    assert rewiring.plan.skips
    assert torch.equal(rewiring.plain()(x), net(x))
    again = rewire(net, x, plan=rewiring.plan).model
    torch.testing.assert_close(again(x), rewiring.model(x))
