"""Several batches, and gradients at neighbouring inputs."""

from __future__ import annotations

import copy
import math
import statistics
from collections import UserDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import diagnose, read, report
from skipway._errors import BatchError
from snapshot import snapshot
from test_diagnose import Residual, digits, judge, mlp, sgd


def quarters(count: int = 64) -> list[tuple[Tensor, Tensor]]:
    inputs, targets = digits(count)
    return list(zip(inputs.chunk(4), targets.chunk(4), strict=True))


def test_numbers_are_medians_and_the_step_is_that_of_the_mean_gradient(tmp_path):
    torch.manual_seed(0)
    model = mlp(6)
    each = [judge(model, batch=part) for part in quarters()]
    whole = judge(model, sgd(model), steps=0)
    cut = judge(model, sgd(model), steps=0, batches=4)
    given = judge(model, sgd(model), batch=quarters()[0], steps=0, batches=quarters()[1:])
    assert given.layers == cut.layers
    assert (cut.batches, cut.batch, whole.batches) == (4, 64, 1)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-6)
    assert cut.chance == pytest.approx(whole.chance)
    for at, layer in enumerate(cut.layers):
        parts = [found.layers[at] for found in each]
        elastic = [part.elasticity for part in parts]
        assert layer.elasticity == pytest.approx(statistics.median(elastic), rel=1e-6)
        assert layer.spread == pytest.approx(math.log10(max(elastic) / min(elastic)), abs=1e-6)
        assert layer.signal == pytest.approx(statistics.median(part.signal for part in parts))
        # The gradient of the weights is that of the whole batch, and so is the step.
        assert layer.gradient == pytest.approx(whole.layers[at].gradient, rel=1e-5)
        assert layer.progress == pytest.approx(whole.layers[at].progress, rel=1e-4)
    assert read(cut.save(tmp_path / "cut.json")) == cut
    assert all(layer.spread is None for layer in whole.layers)
    assert "on 4 batches, together of 64" in report.page(cut.to_dict())
    assert "Decades between batches" in report.page(cut.to_dict())


def test_a_unit_that_any_batch_wakes_is_not_dead():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(8, 4))
        model[0].bias.zero_()
    asleep, awake = -torch.rand(16, 4), torch.rand(16, 4)
    targets = torch.arange(16) % 3
    found = diagnose(model, (asleep, targets), F.cross_entropy)
    assert found.layers[0].silent == 1
    both = diagnose(model, (asleep, targets), F.cross_entropy, batches=[(awake, targets)])
    assert both.layers[0].silent == 0.5  # half of the units have no weights at all


class Named(NamedTuple):
    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Framed:
    x: Tensor
    y: Tensor
    note: str = "kept"


class Encoded(UserDict):
    """As a tokenizer's: keys are attributes too."""

    def __getattr__(self, name):
        return self.data[name]


@pytest.mark.parametrize("kind", [Named, Framed, lambda x, y: Encoded(x=x, y=y)])
def test_a_batch_of_any_kind_is_counted_and_cut(kind):
    torch.manual_seed(0)
    model, (x, y) = mlp(4), digits(64)

    def objective(model: nn.Module, batch: object) -> Tensor:
        return F.cross_entropy(model(batch.x), batch.y)

    wanted = diagnose(model, (x, y), F.cross_entropy, batches=4)
    found = diagnose(model, kind(x, y), objective=objective, batches=4)
    assert (found.batch, found.batches) == (64, 4)
    assert found.loss == wanted.loss
    assert found.layers == wanted.layers
    with pytest.raises(BatchError, match="NaN"):
        diagnose(model, kind(x * math.nan, y), objective=objective)


def test_what_if_asks_all_batches():
    torch.manual_seed(0)
    model = mlp(12, nn.Tanh, gain=0.5)
    found = judge(model, batches=4)
    names = [layer.name for layer in found.layers]
    asked = found.what_if(skip=(names[0], names[-2]))
    expected = [
        judge(model, batch=part).what_if(skip=(names[0], names[-2])).layer(names[0]).elasticity
        for part in quarters()
    ]
    assert asked.layer(names[0]).elasticity == pytest.approx(statistics.median(expected))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(12, 8), nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.embedding(tokens).mean(1))


def test_sequences_of_other_lengths_and_batches_of_any_kind():
    torch.manual_seed(0)
    model, targets = Tokens(), torch.arange(8) % 3
    batches = [(torch.randint(12, (8, length)), targets) for length in (5, 7, 9)]
    found = diagnose(model, batches[0], F.cross_entropy, batches=batches[1:])
    assert found.batches == 3

    def objective(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch["tokens"]), batch["labels"])

    batch = {"tokens": torch.randint(12, (12, 5)), "labels": torch.arange(12) % 3}
    cut = diagnose(model, batch, objective=objective, batches=3)
    parts = [{key: value[at : at + 4] for key, value in batch.items()} for at in (0, 4, 8)]
    given = diagnose(model, parts[0], objective=objective, batches=parts[1:])
    assert cut.layers == given.layers


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (0, "measures nothing"),
        (40, "64 samples cannot be cut into 40 batches"),
        ("two", "batches is of type str"),
        ([(torch.zeros(1, 64), torch.zeros(1).long())], "one sample"),
        ([torch.zeros(8, 64)], "not a pair"),
    ],
)
def test_what_is_no_batch_is_explained(batches, words):
    with pytest.raises(BatchError, match=words):
        judge(mlp(2), batches=batches)


def test_correlations_agree_with_plain_autograd():
    torch.manual_seed(0)
    model = mlp(8)
    inputs: list[Tensor] = []
    handle = model.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
    before = snapshot(model)
    found = judge(model, shattering=True)
    assert snapshot(model) == before
    handle.remove()
    here, near = inputs[-2:]
    assert torch.equal(here, digits()[0])
    apart = (near - here).norm(dim=1) / (here - here.mean(0)).norm(dim=1)
    assert apart.tolist() == pytest.approx([0.1] * 64, rel=1e-4)

    twin = copy.deepcopy(model).double()

    def gradients(x: Tensor) -> list[Tensor]:
        layers, x = [], x.double()
        for layer in twin:
            x = layer(x)
            if isinstance(layer, nn.Linear):
                layers.append(x)
        return list(torch.autograd.grad(F.cross_entropy(x, digits()[1]), layers))

    pairs = zip(gradients(here), gradients(near), strict=True)
    expected = [float(F.cosine_similarity(a, b, dim=1).mean()) for a, b in pairs]
    assert [layer.alike for layer in found.layers] == pytest.approx(expected, abs=1e-4)
    assert judge(model).layers[0].alike is None


def test_gradients_shatter_in_plain_networks_and_not_beside_skips():
    # Balduzzi et al. 2017 (1702.08591): exponential decay with depth, and next to none with skips.
    def first(model: nn.Module) -> float:
        return judge(model, shattering=True).layers[0].alike

    torch.manual_seed(0)
    plain = [first(mlp(depth)) for depth in (5, 20, 80)]
    assert plain[0] > plain[1] > plain[2]
    residual = Residual(blocks=40)
    with torch.no_grad():
        for layer in residual.b:
            layer.weight.mul_(40**-0.5)
    assert first(residual) > plain[2] + 0.2
    # Nothing bends in a linear network whose loss is linear: the gradient is the same everywhere.
    straight = mlp(6, act=None)
    found = diagnose(straight, digits(), lambda out, _: out.mean() + 10, shattering=True)
    assert [layer.alike for layer in found.layers] == pytest.approx([1.0] * 7, abs=1e-6)
    assert "correlation of 1.0 at `0`" in " ".join(found.notes)


def test_neighbours_of_data_drawn_with_a_seed_lie_beside_it():
    model, seen = mlp(2), []
    handle = model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    for seed in (0, 1, 42):
        torch.manual_seed(seed)
        batch = torch.randn(64, 64), torch.arange(64) % 10
        diagnose(model, batch, F.cross_entropy, shattering=True)
        here, near = seen[-2:]
        along = F.cosine_similarity(near - here, here, dim=1)
        assert float(along.abs().mean()) < 0.2
    handle.remove()


def test_tokens_have_no_neighbours():
    torch.manual_seed(0)
    batch = torch.randint(12, (8, 5)), torch.arange(8) % 3
    found = diagnose(Tokens(), batch, F.cross_entropy, shattering=True)
    assert all(layer.alike is None for layer in found.layers)
    assert "no real numbers" in " ".join(found.notes)


def test_the_same_random_numbers_are_drawn_in_both_passes():
    torch.manual_seed(0)
    noisy = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 10))
    found = judge(noisy, shattering=True)
    # With other masks half of the units would differ, and the correlation with them.
    assert found.layers[0].alike > 0.9
