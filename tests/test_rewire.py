"""Where skips go, what the network is then, and what its code says."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import skipway
from skipway import Plan, PlannedSkip, rewire
from skipway._errors import ModelError, RewireError
from skipway._results import Diagnosis, LayerReading
from zoo import Plain, Recurrent, Residual, Restless

each_way = pytest.mark.parametrize("how", ["add", "cat"])


def _ends(plan: Plan) -> list[tuple[str, str]]:
    return [(skip.source, skip.destination) for skip in plan.skips]


def _plain_with_skips(net: Plain, x: Tensor) -> Tensor:
    """`Plain` with a skip around every two hidden layers, by hand."""
    x = net.stem(x)
    for first, second in zip(net.hidden[::2], net.hidden[1::2], strict=True):
        x = x + second(torch.relu(first(torch.relu(x))))
    return net.head(torch.relu(x))


def _same(model: nn.Module | None, inputs: Any, expected: Tensor) -> None:
    assert model is not None
    torch.testing.assert_close(model(inputs), expected)


# Where


def test_every_two_weight_layers_and_never_onto_the_logits() -> None:
    rewiring = rewire(Plain(depth=50), torch.randn(3, 4))
    odd = [f"hidden.{i}" for i in range(1, 50, 2)]
    assert _ends(rewiring.plan) == list(zip(["stem", *odd], odd, strict=False))
    assert all(skip.branch_scale == 1 for skip in rewiring.plan.skips)


@each_way
def test_it_computes_what_the_same_net_by_hand_does(how: Any) -> None:
    net, x = Plain(), torch.randn(5, 4)
    model = rewire(net, x, how=how).model
    _same(model, x, _plain_with_skips(net, x))


def test_the_gradient_is_that_of_the_net_by_hand() -> None:
    net, x = Plain(), torch.randn(5, 4)
    model = rewire(net, x).model
    assert model is not None
    model(x).sum().backward()
    _plain_with_skips(net, x).sum().backward()
    for (name, mine), theirs in zip(model.named_parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, msg=name)


def test_an_unrolled_loop_gets_a_skip_every_two_steps() -> None:
    net, x = Recurrent(steps=6), torch.randn(5, 6, 3)
    rewiring = rewire(net, x)
    by_hand = torch.zeros(5, 8)
    kept = None
    for t in range(6):
        step = net.hidden(by_hand)
        if f"hidden#{t}" in dict(map(reversed, _ends(rewiring.plan))):
            step = kept + step
        if f"hidden#{t}" in dict(_ends(rewiring.plan)):
            kept = step
        by_hand = torch.tanh(net.input(x[:, t]) + step)
    assert len(rewiring.plan.skips) == 2
    _same(rewiring.model, x, net.head(by_hand))


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm, self.act = nn.BatchNorm2d(after), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        kinds = [(1, 4), (4, 4), (4, 4), (4, 4), (4, 8, 2), (8, 8), (8, 8)]
        self.blocks = nn.Sequential(*(Block(*kind) for kind in kinds))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x).mean((2, 3)))


def test_layers_in_different_blocks_meet_where_the_blocks_are_called() -> None:
    net, x = Blocks().eval(), torch.randn(4, 1, 7, 7)
    rewiring = rewire(net, x)
    assert _ends(rewiring.plan) == [
        ("blocks.0.conv", "blocks.2.conv"),
        ("blocks.2.conv", "blocks.4.conv"),
        ("blocks.4.conv", "blocks.6.conv"),
    ]
    model = rewiring.model
    assert model is not None
    b, shortcut = net.blocks, model.blocks.shortcut
    y = b[0](x)
    y = y + b[2](b[1](y))
    y = shortcut(y) + b[4](b[3](y))
    y = y + b[6](b[5](y))
    _same(model, x, net.head(y.mean((2, 3))))
    assert [skip.shortcut for skip in rewiring.plan.skips] == ["identity", "pool + 1x1", "identity"]


@each_way
def test_other_widths_and_sizes_are_bridged(how: Any) -> None:
    layers: list[nn.Module] = []
    for before, after, stride in [(1, 4, 1), (4, 4, 2), (4, 4, 1), (4, 6, 1), (6, 6, 1), (6, 3, 1),
                                  (3, 3, 1), (3, 3, 1), (3, 3, 2)]:  # fmt: skip
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 10), nn.Tanh(), nn.Linear(10, 8),
                        nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))  # fmt: skip
    x = torch.randn(2, 1, 15, 15)
    rewiring = rewire(net, x, how=how)
    found = {skip.shortcut for skip in rewiring.plan.skips}
    assert found == ({"pool", "pad", "1x1", "linear"} if how == "add" else {"pool", "identity"})
    assert rewiring.model is not None
    rewiring.model(x).sum().backward()
    assert all(p.grad is not None for p in rewiring.model.parameters())


def test_a_stream_that_would_overflow_has_its_branches_scaled() -> None:
    net = nn.Sequential(
        nn.Linear(32, 32), *(m for _ in range(40) for m in (nn.ReLU(), nn.Linear(32, 32))),
    )  # fmt: skip
    for parameter in net.parameters():
        (nn.init.kaiming_normal_ if parameter.dim() > 1 else nn.init.zeros_)(parameter)
    x = torch.randn(64, 32)
    rewiring = rewire(net, x)
    assert {skip.branch_scale for skip in rewiring.plan.skips} == {0.229}  # 1 / sqrt(19)
    assert len(rewiring.plan.skips) == 19
    assert "x = skip + 0.229 * x" in rewiring.source()
    assert rewiring.model is not None
    assert rewiring.model(x).std() < 10


def _diagnosis(elasticities: dict[str, float]) -> Diagnosis:
    layers = tuple(
        LayerReading(name, "Linear", "arrives", e, e, e, 0.0, 1.0, 1.0, 1.0, 1, 1)
        for name, e in elasticities.items()
    )
    return Diagnosis("vanishing", "skip", "", "", layers, (), (), (), "", 4, 2.3, 1.0, 2.3, 0, "")


def test_a_diagnosis_says_which_part_needs_skips() -> None:
    net, x = Plain(depth=20), torch.randn(3, 4)
    names = ["stem", *(f"hidden.{i}" for i in range(20)), "head"]
    everywhere = {name: 10.0 ** (i - 21) for i, name in enumerate(names)}
    assert len(rewire(net, x, diagnosis=_diagnosis(everywhere)).plan.skips) == 10
    # All is lost between hidden.7 and hidden.13; before and after that nothing.
    some = {name: 10.0 ** min(0, max(-6, i - 14)) for i, name in enumerate(names)}
    found = _ends(rewire(net, x, diagnosis=_diagnosis(some)).plan)
    assert found == [(f"hidden.{i}", f"hidden.{i + 2}") for i in (7, 9, 11)]
    # What has died out altogether is not healthy.
    dead = {name: 0.0 if i < 10 else e for i, (name, e) in enumerate(everywhere.items())}
    assert len(rewire(net, x, diagnosis=_diagnosis(dead)).plan.skips) == 10


def test_no_draw_of_the_weights_leaves_out_an_end_of_a_chain() -> None:
    case = skipway.cases.load("plain-mlp")
    x, _ = batch = case.batch()
    for seed in range(16):
        torch.manual_seed(seed)
        model = case.model()
        diagnosis = skipway.diagnose(model, batch, case.loss)
        rewiring = rewire(model, x, diagnosis=diagnosis)
        assert "for i in range(0, 50, 2):" in rewiring.source(), seed
        assert tuple(_ends(rewiring.plan)) == diagnosis.findings[0].skips
        assert len(rewiring.plan.skips) == 25


# What the network is then


class Moody(nn.Module):
    """Dropout by a function, a scale by the mode, keyword-only and default arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(6))
        self.register_buffer("offset", torch.ones(6))

    def forward(self, x: Tensor, shift: float = 0.5, *, gain: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(F.dropout(torch.tanh(x), 0.5, self.training))
        x = x + self.offset * (2.0 if self.training else 1.0) + shift
        return x if gain is None else x * gain


def test_train_and_evaluation_stay_apart() -> None:
    net, x = Moody(), torch.randn(3, 6)
    model = rewire(net, x).model
    assert model is not None
    assert type(model).__name__ == "Moody"
    model.eval()
    torch.testing.assert_close(model(x), model(x))
    torch.testing.assert_close(model(x, 1.5) - model(x), torch.ones(3, 6))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_gain_works_whether_given_or_not() -> None:
    net, x = Moody().eval(), torch.randn(3, 6)
    model = rewire(net, x).model
    assert model is not None
    torch.testing.assert_close(model(x, gain=torch.tensor(2.0)), 2 * model(x))


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(6))

    def forward(self, x: Tensor, shift: float = 0.5, *, scale: float = 2.0) -> Tensor:
        for layer in self.layers:
            x = layer(F.dropout(torch.tanh(x), 0.3, self.training))
        return scale * (x + shift) * (3.0 if self.training else 1.0)


def test_the_mode_and_the_signature_are_in_the_source() -> None:
    rewiring = rewire(Dropping(), torch.randn(3, 6))
    source = rewiring.source()
    assert "def forward(self, x: Tensor, shift: float = 0.5, *, scale: float = 2.0)" in source
    assert "F.dropout(torch.tanh(x), p=0.3, training=self.training)" in source
    assert "(3.0 if self.training else 1.0)" in source
    model, x = rewiring.model, torch.randn(3, 6)
    assert model is not None
    model.eval()
    torch.testing.assert_close(model(x, scale=4.0), 2 * model(x))


def _overwriting(kind: str) -> nn.Module:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(6))
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x)
                if kind == "module":
                    x = self.act(x)
                elif kind == "method":
                    x = x.view(-1, 6).relu_()
                elif kind == "function":
                    x = F.dropout(x, 0.0, self.training)
                    x = F.relu(x, inplace=True)
            return x

    return Overwriting()


@pytest.mark.parametrize("kind", ["module", "method", "function"])
@pytest.mark.parametrize("training", [True, False])
def test_an_in_place_activation_does_not_reach_the_skip(kind: str, training: bool) -> None:
    net, x = _overwriting(kind).train(training), torch.randn(4, 6)
    rewiring = rewire(net, x)
    y = net.layers[0](x)
    for first in (1, 3):
        branch = net.layers[first + 1](torch.relu(net.layers[first](torch.relu(y))))
        y = y + branch
    expected = torch.relu(net.layers[5](torch.relu(y)))
    assert ".clone()" in rewiring.source()
    _same(rewiring.model, x, expected)


@each_way
def test_it_compiles_whole_and_exports(how: Any) -> None:
    net, x = Plain(), torch.randn(5, 4)
    model = rewire(net, x, how=how).model
    assert model is not None
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))


def test_the_same_source_is_the_same_class() -> None:
    x = torch.randn(2, 4)
    first, second = rewire(Plain(), x).model, rewire(Plain(), x).model
    assert type(first) is type(second) is type(pickle.loads(pickle.dumps(first)))
    assert isinstance(first, Plain)
    assert type(first).__qualname__ == "Plain"


def test_a_sequential_is_rewired_without_new_steps() -> None:
    layers = [m for _ in range(6) for m in (nn.Linear(8, 8), nn.ReLU())]
    net, x = nn.Sequential(*layers), torch.randn(2, 8)
    model = rewire(net, x).model
    assert isinstance(model, nn.Sequential)
    assert len(model) == 12
    y = net[0](x)
    for at in (1, 5):
        y = y + net[at : at + 4](y)
    _same(model, x, net[9:](y))


def test_the_caller_draws_the_same_random_numbers_after() -> None:
    net, x = nn.Sequential(*(nn.Linear(8 - i, 7 - i) for i in range(6))), torch.randn(2, 8)
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    assert rewire(net, x).parameters_added
    assert torch.equal(torch.randn(3), expected)


# Where fx cannot read


class Loose(nn.Module):
    """Looks at its data, so fx cannot follow it."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


def _loose_with_skips(net: Loose, x: Tensor) -> Tensor:
    layers = net.layers
    y = layers[0](x)
    for at in (1, 3):
        y = y + layers[at + 1](torch.tanh(layers[at](torch.tanh(y))))
    return torch.tanh(layers[5](torch.tanh(y)))


@each_way
def test_hooks_carry_the_skips_of_a_forward_that_looks_at_its_data(how: Any) -> None:
    net, x = Loose(), torch.randn(4, 6)
    rewiring = rewire(net, x, how=how)
    assert "control flow" in rewiring.source()
    assert "# after layers.2" in rewiring.source()
    _same(rewiring.model, x, _loose_with_skips(net, x))


@each_way
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_with_hooks_has_skips_of_its_own(how: Any, copied: Any) -> None:
    net, x = Loose(), torch.randn(4, 6)
    model = rewire(net, x, how=how).model
    assert model is not None
    model(x)
    twin = copied(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    _same(twin, x, _loose_with_skips(net, x))
    kept = [v for m in twin.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    assert not kept, "no tensor is kept after a forward"


class Checkpointed(Loose):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        for layer in self.layers:
            x = torch.tanh(checkpoint(layer, x, use_reentrant=False))
        return x


def test_a_checkpoint_that_would_lose_the_skip_is_refused() -> None:
    with pytest.raises(RewireError, match=r"layers\.\d.*checkpoint"):
        rewire(Checkpointed(), torch.randn(4, 6), how="cat")


def test_a_skip_with_nothing_to_carry_raises() -> None:
    class Skipping(Loose):
        first = True

        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 1e9:
                return x
            for layer in self.layers if self.first else self.layers[2:]:
                x = torch.tanh(layer(x))
            return x

    model = rewire(Skipping(), torch.randn(4, 6)).model
    assert model is not None
    model.first = False  # type: ignore[assignment]  # an attribute of its own
    with pytest.raises(RewireError, match=r"from `layers.0` to `layers.2` has nothing to carry"):
        model(torch.randn(4, 6))


def test_a_checkpoint_that_needs_no_skip_has_the_right_gradient() -> None:
    net, x = Checkpointed(), torch.randn(4, 6)
    model = rewire(net, x).model
    assert model is not None
    model(x).sum().backward()
    _loose_with_skips(net, x).sum().backward()
    for mine, theirs in zip(model.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_what_fx_would_drop_without_a_word_is_kept() -> None:
    class Counting(Loose):
        def forward(self, x: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            with torch.no_grad():
                x = self.layers[0](x)
            for layer in self.layers[1:]:
                x = layer(torch.tanh(x))
            return x

    class Noisy(Loose):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x + torch.rand(6)))
            return x

    counting = rewire(Counting(), torch.randn(4, 6))
    noisy = rewire(Noisy(), torch.randn(4, 6))
    assert "with` block" in counting.source()
    assert "random numbers" in noisy.source()
    assert counting.model is not None
    assert noisy.model is not None
    counting.model(torch.randn(4, 6))
    counting.model(torch.randn(4, 6)).sum().backward()
    assert counting.model.calls == 2
    assert counting.model.layers[0].weight.grad is None
    x = torch.randn(4, 6)
    assert not torch.equal(noisy.model(x), noisy.model(x))


# Its code


@each_way
def test_a_checkpoint_that_can_be_read_stays_one(how: Any) -> None:
    class Readable(Loose):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = checkpoint(layer, torch.tanh(x), use_reentrant=False)
            return torch.tanh(x)

    net, x = Readable(), torch.randn(4, 6)
    rewiring = rewire(net, x, how=how)
    assert "checkpoint(self.layers[3], torch.tanh(x), use_reentrant=False)" in rewiring.source()
    assert rewiring.model is not None
    output, expected = rewiring.model(x), _loose_with_skips(net, torch.tanh(x))
    torch.testing.assert_close(output, expected)
    output.sum().backward()
    expected.sum().backward()
    for mine, theirs in zip(rewiring.model.parameters(), net.parameters(), strict=False):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_the_source_is_what_a_person_would_write() -> None:
    net = Plain(depth=4)
    assert rewire(net, torch.randn(2, 4)).source() == (
        "import torch\n"
        "from torch import Tensor, nn\n"
        "\n\n"
        "class Plain(nn.Module):\n"
        "    def forward(self, x: Tensor) -> Tensor:\n"
        "        x = self.stem(x)\n"
        "\n"
        "        skip = x\n"
        "        x = self.hidden[0](torch.relu(x))\n"
        "        x = self.hidden[1](torch.relu(x))\n"
        "        x = skip + x\n"
        "\n"
        "        skip = x\n"
        "        x = self.hidden[2](torch.relu(x))\n"
        "        x = self.hidden[3](torch.relu(x))\n"
        "        x = skip + x\n"
        "        return self.head(torch.relu(x))\n"
    )


@each_way
def test_added_lines_taken_out_leave_the_plain_forward(how: Any) -> None:
    net, x = Plain(), torch.randn(2, 4)
    rewiring = rewire(net, x, how=how)
    lines = rewiring.source().splitlines()
    kept = [line for number, line in enumerate(lines, 1) if number not in rewiring.added]
    assert not any("skip" in line or "fuse" in line for line in kept)
    namespace: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + "\n".join(kept), namespace)
    torch.testing.assert_close(namespace["Plain"].forward(net, x), net(x))


@each_way
def test_the_pasted_code_does_what_the_model_does(how: Any) -> None:
    net, x = Plain(), torch.randn(2, 4)
    rewiring = rewire(net, x, how=how)
    namespace: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + rewiring.source(), namespace)
    pasted = namespace["Plain"].forward
    assert rewiring.model is not None
    torch.testing.assert_close(pasted(rewiring.model, x), rewiring.model(x))


# Plans


def test_a_plan_can_be_edited_and_applied_to_another_instance() -> None:
    x = torch.randn(2, 4)
    plan = rewire(Plain(), x).plan
    edited = Plan("add", plan.skips[:1] + plan.skips[2:])
    net = Plain()
    model = rewire(net, x, plan=Plan.from_dict(edited.to_dict())).model
    h = net.hidden
    y = net.stem(x)
    y = y + h[1](torch.relu(h[0](torch.relu(y))))
    y = h[3](torch.relu(h[2](torch.relu(y))))
    # The second skip is gone, so the third starts at what hidden.3 alone puts out.
    y = y + h[5](torch.relu(h[4](torch.relu(y))))
    _same(model, x, net.head(torch.relu(y)))


def test_skips_of_a_plan_by_hand_may_nest_and_cross() -> None:
    net, x = Plain(), torch.randn(2, 4)
    pairs = [("stem", "hidden.4"), ("stem", "hidden.1"), ("hidden.0", "hidden.3")]
    model = rewire(net, x, plan=Plan("add", tuple(PlannedSkip(*pair) for pair in pairs))).model
    h = net.hidden
    stem = net.stem(x)
    zero = h[0](torch.relu(stem))
    one = stem + h[1](torch.relu(zero))
    three = zero + h[3](torch.relu(h[2](torch.relu(one))))
    four = stem + h[4](torch.relu(three))
    _same(model, x, net.head(torch.relu(h[5](torch.relu(four)))))


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        (PlannedSkip("stem", "hidden.99"), "hidden.99"),
        (PlannedSkip("hidden.3", "hidden.1"), "does not come before"),
        (PlannedSkip("hidden.3", "head"), "logits"),
        (
            PlannedSkip("stem", "hidden.1", source_shape=(2, 5), destination_shape=(2, 5)),
            r"stem.*\[8\]",
        ),
        (
            PlannedSkip("stem", "hidden.1", shortcut="pool", source_shape=(2, 8),
                        destination_shape=(2, 8)),
            "pool",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_does_not_fit_names_the_layer(skip: PlannedSkip, message: str) -> None:
    with pytest.raises(RewireError, match=message):
        rewire(Plain(), torch.randn(2, 4), plan=Plan("add", (skip,)))


# Refusals


class OneChannel(nn.Module):
    """Its second layer has one feature: added to eight it would broadcast without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(1, 1, 3, padding=1),
            nn.Conv2d(1, 1, 3),
            nn.Conv2d(1, 1, 6),
        )
        self.head = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.c(self.b(self.a(x))).flatten(1))


def test_nothing_broadcasts() -> None:
    with pytest.raises(RewireError, match="shapes"):
        rewire(OneChannel(), torch.randn(2, 1, 8, 8), plan=None)
    plan = Plan("add", (PlannedSkip("a", "b"),))
    with pytest.raises(RewireError, match="cannot join"):
        rewire(OneChannel(), torch.randn(2, 1, 8, 8), plan=plan)


def test_a_network_with_skips_is_told_so() -> None:
    with pytest.raises(RewireError, match="by addition"):
        rewire(Residual(), torch.randn(2, 4))


def test_rewiring_twice_is_refused() -> None:
    x = torch.randn(2, 4)
    model = rewire(Plain(), x).model
    assert model is not None
    with pytest.raises(RewireError, match="3 skip connections already"):
        rewire(model, x)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (nn.Linear(4, 4), torch.randn(2, 4), "1 weight layers"),
        (Restless(), torch.randn(2, 4), "2 weight layers"),
    ],
)
def test_a_shallow_network_has_no_place(model: nn.Module, inputs: Tensor, message: str) -> None:
    with pytest.raises(RewireError, match=message):
        rewire(model, inputs)


def test_wrong_arguments_are_told_how_to_be_right() -> None:
    net, x = Plain(), torch.randn(2, 4)
    with pytest.raises(RewireError, match='"cat" or "dense"'):
        rewire(net, x, how="residual")  # type: ignore[arg-type]
    with pytest.raises(RewireError, match="compile the result"):
        rewire(torch.compile(net, backend="eager"), x)  # type: ignore[arg-type]
    with pytest.raises(RewireError, match="not a torch"):
        rewire(lambda: net, x)  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        rewire(net, torch.randn(2, 5))


# What it has already


def test_skips_reads_what_rewire_adds() -> None:
    net, x = Plain(), torch.randn(2, 4)
    assert not skipway.skips(net, x)
    for how, kind in (("add", "identity"), ("cat", "concatenation")):
        rewiring = rewire(net, x, how=how)  # type: ignore[arg-type]
        assert rewiring.model is not None
        found = skipway.skips(rewiring.model, x)
        assert [skip.kind for skip in found] == [kind] * 3
        assert [skip.branch[-2:] for skip in found] == [
            ("hidden.0", "hidden.1"), ("hidden.2", "hidden.3"), ("hidden.4", "hidden.5"),
        ]  # fmt: skip
