"""The diagnosis on networks of every structure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracle import torchvision
from skipway import diagnose, report
from test_diagnose import Residual, digits, judge, mlp, sgd

# Known to train from this start; at it, elasticities go far above those of small networks.
TRAIN_WELL = ("resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2_x1_0", "regnet_x_400mf")


@pytest.mark.parametrize("name", [*TRAIN_WELL, "efficientnet_b0"])
def test_reference_networks_are_not_called_exploding(name):
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).train()
    batch = torch.randn(4, 3, 64, 64), torch.arange(4)
    found = diagnose(model, batch, F.cross_entropy)
    assert found.cause == "healthy"
    assert "exploding" not in {finding.cause for finding in found.findings}


def test_a_gradient_that_explodes_behind_normalisation_is_told():
    # Yang et al. 2019 (1902.08129): batch normalisation without skips explodes through depth.
    torch.manual_seed(0)
    model = mlp(50, norm=torch.nn.BatchNorm1d)
    inputs = torch.randn(64, 64)
    batch = inputs, inputs[:, :10].argmax(1)
    assert diagnose(model, batch, F.cross_entropy).cause == "exploding"
    # In between, a few steps decide (below); without an optimizer it is a suspicion.
    torch.manual_seed(0)
    model = mlp(40, norm=torch.nn.BatchNorm1d)
    found = diagnose(model, batch, F.cross_entropy)
    assert [finding.cause for finding in found.findings] == ["healthy", "exploding"]
    assert "Suspected" in found.findings[1].sure


def test_a_gradient_that_nearly_explodes_asks_for_smaller_steps():
    told = 0
    for seed in range(6):  # so near the limit about every other start trains; which, is rounding
        torch.manual_seed(seed)
        model = mlp(32, norm=torch.nn.BatchNorm1d)
        inputs = torch.randn(64, 64)
        batch = inputs, inputs[:, :10].argmax(1)
        found = diagnose(model, batch, F.cross_entropy, optimizer=sgd(model, 1e-3))
        if found.cause == "lr-too-large":
            rate = found.findings[0].suggestion["learning_rate"]
            again = diagnose(model, batch, F.cross_entropy, optimizer=sgd(model, rate))
            assert again.cause == "healthy"
            told += 1
        else:
            assert found.cause == "healthy"
    assert told


class Gated(nn.Module):
    """`x + gate(b(relu(a(x))))`, the gate being a constant, a parameter or one for each channel."""

    def __init__(self, gate: float | nn.Parameter, blocks: int = 6) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.a = nn.ModuleList(nn.Linear(64, 64) for _ in range(blocks))
        self.b = nn.ModuleList(nn.Linear(64, 64) for _ in range(blocks))
        self.gate = gate
        self.mixed = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for at, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            gate = 1.0 if self.mixed and at != 2 else self.gate
            x = x + gate * b(torch.relu(a(x)))
        return self.head(x)


class LongBranches(nn.Module):
    """Two branches of `depth` layers, each beside a skip; as `nn.Linear` starts, they are dying."""

    def __init__(self, depth: int, orthogonal: bool = False) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)
        self.branches = nn.ModuleList(mlp(depth)[:-1] for _ in range(2))
        if not orthogonal:
            self.branches.apply(lambda module: getattr(module, "reset_parameters", int)())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


def causes(found) -> list[tuple[str, str]]:
    return [(finding.cause, finding.title) for finding in found.findings]


def test_a_dead_branch_beside_a_healthy_skip_is_seen():
    torch.manual_seed(0)
    model = Residual()
    with torch.no_grad():
        model.a[3].bias.fill_(-50)  # its ReLUs are off for every sample
    found = judge(model)
    # What every norm over the whole depth sees: nothing at all.
    assert found.decades_lost < 1
    assert causes(found) == [
        ("healthy", "A whole way is open"),
        ("dead-units", "A branch beside a skip is dead"),
    ]
    finding = found.findings[1]
    assert finding.layers == ("a.3", "b.3")
    assert "`a.3` to `b.3`" in finding.place
    assert "kaiming_normal_" in finding.remedy
    with torch.no_grad():
        for layer in model.a[:8]:
            layer.bias.fill_(-50)
    found = judge(model)
    assert found.cause == "dead-units"
    assert found.headline == "The branches are dead; only the skips are left."


def test_a_branch_that_a_constant_scales_away_is_dead():
    torch.manual_seed(0)
    model = Gated(1e-9)
    model.mixed = True
    found = judge(model)
    assert causes(found)[1:] == [("vanishing", "A branch beside a skip is dead")]
    assert found.findings[1].layers == ("a.2", "b.2")
    assert judge(Gated(1e-9)).cause == "vanishing"


@pytest.mark.parametrize("zero", ["last weight", "scalar gate", "gates", "layer scale"])
def test_a_branch_that_starts_at_zero_is_not_dead(zero):
    torch.manual_seed(0)
    start = {"scalar gate": torch.zeros(()), "gates": torch.zeros(64)}.get(zero)
    start = torch.full((64,), 1e-6) if start is None else start
    model = Residual(zero=True) if zero == "last weight" else Gated(nn.Parameter(start))
    assert causes(judge(model)) == [("healthy", "The gradient arrives everywhere")]


def test_a_residual_network_started_at_zero_is_healthy():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None, zero_init_residual=True).train()
    batch = torch.randn(4, 3, 64, 64), torch.arange(4)
    assert causes(diagnose(model, batch, F.cross_entropy))[0][0] == "healthy"
    assert len(causes(diagnose(model, batch, F.cross_entropy))) == 1


def test_a_long_branch_in_which_the_gradient_dies_is_seen():
    torch.manual_seed(0)
    found = judge(LongBranches(12))
    assert found.cause == "vanishing"
    assert found.treatment == "skip"
    assert found.findings[0].title == "The gradient dies inside of a branch"
    assert set(found.findings[0].layers) == {
        layer.name for layer in found.layers if layer.name.startswith("branches")
    }
    assert len(causes(judge(LongBranches(12, orthogonal=True)))) == 1


def test_what_goes_around_a_layer_is_weighed_by_hand():
    torch.manual_seed(0)
    model = Residual(blocks=3)
    found = judge(model)
    twin, (inputs, targets) = Residual(blocks=3).double(), digits()
    twin.load_state_dict(model.state_dict())
    x = twin.stem(inputs.double())
    stream = x
    inner = twin.a[0](stream)
    branch = twin.b[0](torch.relu(inner))
    past = 1.0 * stream  # the skip by itself, so that its own gradient can be asked for
    x = past + branch
    for a, b in zip(twin.a[1:], twin.b[1:], strict=True):
        x = x + b(torch.relu(a(x)))
    loss = F.cross_entropy(twin.head(x), targets)
    to_inner, to_past = torch.autograd.grad(loss, [inner, past])
    own = float(to_inner.norm() * inner.detach().norm())
    beside = float(to_past.norm() * past.detach().norm())
    expected = beside**2 / (own**2 + beside**2)
    assert found.layer("a.0").around == pytest.approx(expected, rel=1e-5)
    assert found.layer("stem").around is None
    assert "Around it, over skips" in report.page(found.to_dict())
    assert judge(mlp(3)).layers[1].around is None


# --- any structure: right numbers at the start and later, and no false alarm ---------------------


class TwoHeads(nn.Module):
    """Two inputs, two outputs in a dict, one module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.other = nn.Linear(64, 32), nn.Linear(3, 32)
        self.shared = nn.Linear(32, 32)
        self.digit, self.even = nn.Linear(64, 10), nn.Linear(64, 2)

    def forward(self, image: Tensor, *, other: Tensor) -> dict[str, Tensor]:
        parts = [
            torch.relu(self.shared(torch.relu(x))) for x in (self.image(image), self.other(other))
        ]
        both = torch.cat(parts, 1)
        return {"digit": self.digit(both), "even": self.even(both)}


class Encoder(nn.Module):
    """A transformer, from rows of an image to a class."""

    def __init__(self, before: bool = True) -> None:
        super().__init__()
        self.read = nn.Linear(8, 32)
        self.places = nn.Parameter(torch.randn(8, 32) / 10)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=before)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.read(x.view(-1, 8, 8)) + self.places).mean(1))


class Rows(nn.Module):
    """A recurrent net that reads an image row by row, its steps written out or not."""

    def __init__(self, cell: bool) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 32) if cell else nn.GRU(8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.view(-1, 8, 8)
        if isinstance(self.cell, nn.GRU):
            return self.head(self.cell(rows)[0][:, -1])
        h = x.new_zeros(len(x), 32)
        for at in range(8):
            h = self.cell(rows[:, at], h)
        return self.head(h)


class Denoiser(nn.Module):
    """A U-Net with two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(1, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.low = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1))
        self.up, self.out = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = torch.relu(self.stem(x.view(-1, 1, 8, 8)))
        coarse = torch.relu(self.low(self.down(fine)))
        return self.out(torch.cat([fine, self.up(coarse)], 1)).flatten(1)


class Parallel(nn.Module):
    """Branches of other lengths that meet, and a mixture that only some samples go through."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 32), nn.Linear(64, 10)
        self.short, self.gate = nn.Linear(32, 32), nn.Linear(32, 1)
        self.long = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        far = self.long(x) * torch.sigmoid(self.gate(x))
        return self.head(torch.cat([torch.relu(self.short(x)), torch.relu(far)], 1))


STRUCTURES = {
    "transformer": Encoder,
    "post-norm transformer": lambda: Encoder(before=False),
    "gru": lambda: Rows(cell=False),
    "gru cell": lambda: Rows(cell=True),
    "branches": Parallel,
    "residual": Residual,
    "plain": lambda: mlp(4),
}


def trained(model: nn.Module, loss, batch, steps: int, rate: float = 1e-3):
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
    return optimizer


def agrees(model: nn.Module, loss, batch, found) -> None:
    """Hold weights' gradients and elasticities against plain autograd."""
    named = dict(model.named_parameters(remove_duplicate=False))
    value = loss(model, batch)
    gradients = dict(
        zip(named, torch.autograd.grad(value, list(named.values()), allow_unused=True), strict=True)
    )
    assert found.loss == pytest.approx(float(value.detach()), rel=1e-5)
    for layer in found.layers:
        name = next(n for n in (f"{layer.name.split('#')[0]}.weight", layer.name) if n in named)
        slope = float(gradients[name].norm())
        assert layer.gradient == pytest.approx(slope, rel=1e-3), layer.name
        expected = slope * float(named[name].detach().norm()) / float(value.detach())
        assert layer.weight_elasticity == pytest.approx(expected, rel=1e-3), layer.name


@pytest.mark.parametrize("steps", [0, 15])
@pytest.mark.parametrize("name", STRUCTURES)
def test_any_structure_at_any_point_of_training(name, steps):
    torch.manual_seed(0)
    model, batch = STRUCTURES[name](), digits(128)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    optimizer = trained(model, loss, batch, steps)
    found = judge(model, optimizer, batch=batch, when=f"after {steps} steps")
    assert found.cause == "healthy", found.summary
    assert len({layer.name for layer in found.layers}) == len(found.layers)
    if "transformer" not in name and "gru" not in name:  # their layers hold several weights
        agrees(model, loss, batch, found)


@pytest.mark.parametrize("steps", [0, 30])
def test_several_inputs_and_outputs_and_a_shared_module(steps):
    torch.manual_seed(0)
    model, (image, target) = TwoHeads(), digits(128)
    batch = {"image": image, "other": torch.randn(128, 3)}, {"digit": target, "even": target % 2}

    def criterion(output: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        return sum(F.cross_entropy(output[key], targets[key]) for key in targets)

    def loss(model: nn.Module, batch) -> Tensor:
        return criterion(model(**batch[0]), batch[1])

    optimizer = trained(model, loss, batch, steps)
    found = diagnose(model, batch, criterion, optimizer=optimizer)
    assert found.cause == "healthy", found.summary
    names = ["image", "other", "shared#0", "shared#1", "digit", "even"]
    assert [layer.name for layer in found.layers] == names
    agrees(model, loss, batch, found)


@pytest.mark.parametrize("steps", [0, 30])
def test_a_u_net(steps):
    torch.manual_seed(0)
    model, (image, _) = Denoiser(), digits(128)
    batch = image + 0.3 * torch.randn_like(image), image

    def loss(model: nn.Module, batch) -> Tensor:
        return F.mse_loss(model(batch[0]), batch[1])

    optimizer = trained(model, loss, batch, steps)
    found = diagnose(model, batch, F.mse_loss, optimizer=optimizer)
    assert found.cause == "healthy", found.summary
    agrees(model, loss, batch, found)
    assert [skip.kind for skip in found.skips] == ["concatenation"]
    # The branch of the long skip is switched off: what comes out of it are its biases.
    with torch.no_grad():
        model.low[0].bias.fill_(-1e3)
        model.low[0].weight.fill_(1e-3)
    found = diagnose(model, batch, F.mse_loss)
    (dead,) = found.findings  # three of its five layers: what the network is sick of
    assert (dead.cause, dead.title) == ("dead-units", "A branch beside a skip is dead")
    assert dead.layers == ("down", "low.2", "up")


def test_a_branch_that_starts_as_a_constant_is_not_dead():
    torch.manual_seed(0)
    model = Residual()
    for layer in model.b:
        nn.init.zeros_(layer.weight)  # its bias is left, so every sample gets the same
    assert causes(judge(model)) == [("healthy", "The gradient arrives everywhere")]


class Two(nn.Module):
    """A plain body and another way from its start to its end: identity, a layer, or two layers."""

    def __init__(self, beside: nn.Module, depth: int = 30) -> None:
        super().__init__()
        self.stem, self.head, self.beside = nn.Linear(64, 64), nn.Linear(64, 10), beside
        self.body = nn.Sequential(
            *(m for _ in range(depth) for m in (nn.Linear(64, 64), nn.Tanh()))
        )

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.beside(x) + self.body(x))


BESIDE = {
    "identity": nn.Identity,
    "projection": lambda: nn.Linear(64, 64),
    "branch": lambda: nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64)),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_a_long_branch_that_dies_is_seen_whatever_lies_beside_it(beside):
    torch.manual_seed(0)
    model = Two(BESIDE[beside]())
    inputs = torch.randn(64, 64)
    batch = inputs, inputs[:, :10].argmax(1)
    found = diagnose(model, batch, F.cross_entropy)
    assert found.cause == "vanishing"
    finding = found.findings[0]
    assert finding.title == "The gradient dies inside of a branch"
    assert set(finding.layers) == {f"body.{2 * at}" for at in range(30)}
    assert ("the skip from" in finding.place) == (beside != "branch")
    for layer in model.body[::2]:
        nn.init.orthogonal_(layer.weight, 1.05)
        nn.init.zeros_(layer.bias)
    assert diagnose(model, batch, F.cross_entropy).cause == "healthy"


class Message(nn.Module):
    """A graph net without residuals; which graph a node is of is an input of whole numbers."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.start = nn.Linear(6, 16)
        self.tell = nn.ModuleList([nn.Linear(16, 16) for _ in range(depth)])
        self.update = nn.ModuleList([nn.Linear(32, 16) for _ in range(depth)])
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        h = torch.relu(self.start(x))
        for tell, update in zip(self.tell, self.update, strict=True):
            said = torch.relu(tell(h[edges[0]]))
            heard = torch.zeros_like(h).index_add(0, edges[1], said)
            h = torch.relu(update(torch.cat([h, heard], 1)))
        total = torch.zeros(int(graph.max()) + 1, 16).index_add(0, graph, h)
        return self.head(total / torch.bincount(graph)[:, None]).squeeze(-1)


@pytest.mark.parametrize(("depth", "cause"), [(2, "healthy"), (30, "vanishing")])
def test_an_input_of_whole_numbers_is_no_way_around_the_layers(depth: int, cause: str) -> None:
    torch.manual_seed(1)
    graph = torch.arange(32).repeat_interleave(6)
    x, edges = torch.randn(192, 6), torch.randint(0, 6, (2, 600))
    edges = edges + 6 * torch.randint(0, 32, (600,))
    targets = torch.zeros(32).index_add(0, graph, x[:, 0].square())
    model = Message(depth)
    found = diagnose(model, ((x, edges, graph), targets), F.mse_loss)
    # What autograd itself says: does the first layer get a gradient next to the last one's?
    F.mse_loss(model(x, edges, graph), targets).backward()
    first, last = (float(each.weight.grad.norm()) for each in (model.start, model.head))
    assert (first < 1e-6 * last) == (cause == "vanishing")
    assert found.cause == cause
    # An embedding looks whole numbers up, and what it says is a way in.
    words = nn.Sequential(nn.Embedding(50, 16), nn.Flatten(), nn.Linear(64, 3))
    asked = torch.randint(0, 50, (64, 4)), torch.arange(64) % 3
    assert diagnose(words, asked, F.cross_entropy).cause == "healthy"
