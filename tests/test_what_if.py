"""`what_if` against the same question written into the network by hand."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from skipway import cases, diagnose, read, report, rewire
from skipway._errors import ModelError, SkipwayError
from skipway._results import Diagnosis
from snapshot import snapshot


class Deep(nn.Module):
    """Plain; `added` is a skip for the gradient alone, written by hand."""

    def __init__(self, depth: int = 12, inplace: bool = False, drop: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.hidden = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.head = nn.Linear(8, 3)
        self.inplace, self.drop = inplace, drop

    def forward(self, x: Tensor, added: tuple[int, int] | None = None, seen=None) -> Tensor:
        x, way = self.stem(x), None
        for at, layer in enumerate(self.hidden):
            x = layer(F.dropout(F.relu(x, inplace=self.inplace), self.drop, self.training))
            if seen is not None:
                x.retain_grad()
                seen.append(x)
            if added and at == added[1]:
                x = x + way
            if added and at == added[0]:
                way = x - x.detach()
        return self.head(F.relu(x))


class Blocks(nn.Module):
    """Residual; `cut` is the number of a block whose skip carries no gradient, by hand."""

    def __init__(self, how: str = "add", blocks: int = 4) -> None:
        super().__init__()
        self.how = how
        self.stem = nn.Linear(6, 8)
        self.a = nn.ModuleList(nn.Linear(8, 8) for _ in range(blocks))
        self.b = nn.ModuleList(nn.Linear(8, 8) for _ in range(blocks))
        self.fuse = nn.ModuleList(nn.Linear(16, 8) for _ in range(blocks))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, cut: int | None = None, seen=None) -> Tensor:
        x = self.stem(x)
        for at, (a, b, fuse) in enumerate(zip(self.a, self.b, self.fuse, strict=True)):
            if seen is not None:
                x.retain_grad()
                seen.append(x)
            past = x.detach() if at == cut else x
            branch = b(torch.relu(a(x)))
            if self.how == "cat":
                x = fuse(torch.cat([past, branch], 1))
            elif self.how == "+=":
                x = branch
                x += past
            elif self.how == "keyword":
                x = torch.add(input=past, other=branch)
            else:
                x = past + branch
        return self.head(x)


def batch(count: int = 16) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    return torch.randn(count, 6), torch.arange(count) % 3


def look(model: nn.Module, **options) -> Diagnosis:
    return diagnose(model, batch(), F.cross_entropy, **options)


def by_hand(model: nn.Module, **how) -> list[float]:
    """Elasticities along the network, from plain autograd in float64."""
    model, (inputs, targets) = copy.deepcopy(model).double(), batch()
    model.inplace = False  # nothing can be read off a tensor that is overwritten
    seen: list[Tensor] = []
    loss = F.cross_entropy(model(inputs.double(), seen=seen, **how), targets)
    loss.backward()
    return [float(h.grad.norm() * h.detach().norm() / loss.detach()) for h in seen]


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("ends", [(0, 11), (3, 6), (10, 11)])
def test_an_added_skip_is_the_one_written_by_hand(ends, inplace):
    torch.manual_seed(0)
    model = Deep(inplace=inplace)
    asked = look(model).what_if(skip=(f"hidden.{ends[0]}", f"hidden.{ends[1]}"))
    expected = by_hand(model, added=ends)
    # At the start of the skip and before it; between its ends the skip itself counts too.
    for at in range(ends[0] + 1):
        assert asked.layer(f"hidden.{at}").elasticity == pytest.approx(expected[at], rel=1e-4)
        assert expected[at] > 1.01 * by_hand(model)[at]
    for at in range(ends[1], 12):
        assert asked.layer(f"hidden.{at}").branch_elasticity == pytest.approx(expected[at], 1e-4)


@pytest.mark.parametrize("how", ["add", "+=", "keyword", "cat"])
@pytest.mark.parametrize("block", [0, 2])
def test_a_cut_skip_is_the_one_detached_by_hand(how, block):
    torch.manual_seed(0)
    model = Blocks(how)
    found = look(model)
    skip = found.skips[block]
    asked = found.what_if(cut=(skip.source, skip.destination))
    kind = "concatenation" if how == "cat" else "identity"
    assert (skip.kind, len(asked.skips_after)) == (kind, len(found.skips) - 1)
    expected, before = by_hand(model, cut=block), by_hand(model)
    assert asked.layer("stem").elasticity == pytest.approx(expected[0], rel=1e-4)
    assert found.layer("stem").elasticity == pytest.approx(before[0], rel=1e-4)
    assert abs(expected[0] / before[0] - 1) > 0.02
    assert found.what_if(cut=skip).after == asked.after


def test_the_main_case_says_what_a_skip_would_do():
    case = cases.load("plain-mlp")
    torch.manual_seed(0)
    model = case.model()
    found = diagnose(model, case.batch(), case.loss)
    asked = found.what_if(skip=("hidden.0", "hidden.49"))
    assert found.layer("hidden.0").elasticity < 1e-15
    assert asked.layer("hidden.0").elasticity > 0.01
    assert found.decades_lost > 15 > 1 > asked.lost_after
    assert "`hidden.0` would be 0." in asked.answer


def test_every_layer_says_what_a_skip_from_it_would_do():
    torch.manual_seed(0)
    found = look(Deep())
    told = [layer for layer in found.layers if layer.with_skip is not None]
    assert [layer.name for layer in told] == ["stem", *(f"hidden.{at}" for at in range(10))]
    assert {layer.skip_to for layer in told} == {"hidden.11"}
    for layer in told:
        asked = found.what_if(skip=(layer.name, layer.skip_to)).layer(layer.name)
        assert layer.with_skip == pytest.approx(asked.elasticity, rel=1e-5)


def test_many_skips_at_once_are_those_of_a_plan():
    torch.manual_seed(0)
    model = Deep()
    found = look(model)
    plan = rewire(model, batch()[0], diagnosis=found).plan
    asked = found.what_if(skip=plan.skips)
    assert len(asked.skips_after) == len(plan.skips)
    assert {(s.source, s.destination) for s in asked.skips_after} == {
        (s.source, s.destination) for s in plan.skips
    }
    assert asked.lost_after < 1 < found.decades_lost
    pairs = [(s.source, s.destination) for s in plan.skips]
    assert found.what_if(skip=pairs).after == asked.after


def test_nothing_is_trained_and_nothing_changes():
    torch.manual_seed(0)
    model = Deep(drop=0.2)
    found = look(model, optimizer=torch.optim.SGD(model.parameters(), 0.1), steps=0)
    # Random numbers in the forward: the same ones are drawn again, or the loss would differ.
    torch.rand(7)
    before = snapshot(model)
    first = found.what_if(skip=("hidden.0", "hidden.11"))
    assert found.what_if(skip=("hidden.0", "hidden.11")) == first
    assert snapshot(model) == before
    with pytest.raises(SkipwayError):
        found.what_if(skip=("hidden.0", "nowhere"))
    assert snapshot(model) == before


class Through(nn.Module):
    """A recurrence, so that one module is many layers."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.cell, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 8)
        for step in range(x.shape[1]):
            h = torch.tanh(self.read(x[:, step]) + self.cell(h))
        return self.head(h)


class Kept(nn.Module):
    """Layers inside of a checkpoint, run again on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.body = nn.Sequential(*(m for _ in range(6) for m in (nn.Linear(8, 8), nn.ReLU())))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor, keep: bool = True) -> Tensor:
        x = self.stem(x)
        x = checkpoint(self.body, x, use_reentrant=False) if keep else self.body(x)
        return self.head(x)


class Unseen(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        return gradient @ weight.t(), x.t() @ gradient


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8) / 8)

    def forward(self, x: Tensor) -> Tensor:
        return Unseen.apply(x, self.weight)


def test_recurrent_checkpointed_and_compiled_networks():
    torch.manual_seed(0)
    sequences = torch.randn(16, 12, 6), torch.arange(16) % 3
    through = diagnose(Through(), sequences, F.cross_entropy)
    assert through.layer("cell#3").skip_to == "cell#11"
    assert through.what_if(skip=("cell#1", "cell#11")).lost_after < through.decades_lost

    kept = Kept()
    asked = look(kept).what_if(skip=("body.0", "body.10"))
    plain = copy.deepcopy(kept)
    plain.forward = lambda x: Kept.forward(plain, x, keep=False)
    expected = look(plain).what_if(skip=("body.0", "body.10"))
    assert [layer.gradient for layer in asked.after] == pytest.approx(
        [layer.gradient for layer in expected.after]
    )
    compiled = torch.compile(Deep(), backend="eager")
    assert look(compiled).what_if(skip=("hidden.0", "hidden.11")).lost_after < 1


def test_a_custom_function_is_measured_and_not_altered():
    torch.manual_seed(0)
    custom = nn.Sequential(nn.Linear(6, 8), *(Custom() for _ in range(4)), nn.Linear(8, 3))
    same = nn.Sequential(nn.Linear(6, 8), *(nn.Linear(8, 8, bias=False) for _ in range(4)))
    same.append(nn.Linear(8, 3))
    for ours, theirs in zip(custom, same, strict=True):
        weight = ours.weight.detach()
        theirs.weight.data = weight.t() if isinstance(ours, Custom) else weight
        if getattr(ours, "bias", None) is not None:
            theirs.bias.data = ours.bias.detach()
    found, expected = look(custom), look(same)
    assert [layer.elasticity for layer in found.layers] == pytest.approx(
        [layer.elasticity for layer in expected.layers], rel=1e-5
    )
    assert all(layer.elasticity > 0 for layer in found.layers)
    with pytest.raises(ModelError, match=r"`1` carries no gradient where it is made"):
        found.what_if(skip=("1", "4"))


def test_what_cannot_be_asked_is_explained():
    torch.manual_seed(0)
    model = Deep()
    found = look(model)
    cases_ = [
        ({}, "either skip= or cut="),
        ({"skip": ("hidden.0", "hidden.5"), "cut": ("a", "b")}, "either skip= or cut="),
        ({"skip": ("nowhere", "hidden.5")}, "No layer is called 'nowhere'; the first ones are"),
        ({"skip": ("hidden.5", "hidden.0")}, "Swap the two"),
        ({"skip": ("hidden.0", "head")}, r"\[16, 8\] cannot be added to that of `head` \[16, 3\]"),
        ({"skip": "hidden.0"}, "names no skip"),
        ({"cut": ("stem", "head")}, "has no skip that could be cut"),
    ]
    for options, words in cases_:
        with pytest.raises(SkipwayError, match=words):
            found.what_if(**options)
    with pytest.raises(SkipwayError, match=r"No skip leads from 'b' to 'a'; there are \('stem'"):
        look(Blocks()).what_if(cut=("b", "a"))


class Overwritten(Blocks):
    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for a, b in zip(self.a, self.b, strict=True):
            branch = b(torch.relu(a(1.0 * x)))
            x.add_(branch)
        return self.head(x)


def test_a_skip_that_is_overwritten_is_refused():
    found = look(Overwritten())
    with pytest.raises(ModelError, match="overwritten where it joins"):
        found.what_if(cut=found.skips[0])


def test_a_model_that_has_changed_is_noticed():
    model = Deep()
    found = look(model)
    with torch.no_grad():
        model.head.weight.mul_(1 + 1e-7)
    with pytest.raises(SkipwayError, match="no longer what was diagnosed"):
        found.what_if(skip=("hidden.0", "hidden.5"))
    found = look(model)
    model.head.weight.data = 2 * model.head.weight.data
    with pytest.raises(SkipwayError, match="no longer what was diagnosed"):
        found.what_if(skip=("hidden.0", "hidden.5"))


def test_a_question_travels_and_a_diagnosis_leaves_its_model_behind(tmp_path):
    torch.manual_seed(0)
    found = look(Deep())
    asked = found.what_if(skip=("hidden.0", "hidden.11"))
    assert read(asked.save(tmp_path / "asked.json")) == asked
    for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert copied == found
        with pytest.raises(SkipwayError, match="holds no model"):
            copied.what_if(skip=("hidden.0", "hidden.11"))
    kept = read(found.save(tmp_path / "found.json"))
    assert kept == found
    with pytest.raises(SkipwayError, match="holds no model"):
        kept.what_if(skip=("hidden.0", "hidden.11"))
    with pytest.raises(SkipwayError, match="No layer is called 'body'"):
        asked.layer("body")


def test_the_page_speaks_of_a_question_and_not_of_a_treatment():
    torch.manual_seed(0)
    found = look(Deep())
    asked = found.what_if(skip=("hidden.0", "hidden.11"))
    for words in (report.page(asked.to_dict()), str(asked), asked._repr_html_()):
        assert "What if a skip led from" in words
        assert "treatment" not in words
        assert "After" not in words
    page = report.page(asked.to_dict())
    assert '<th scope="col">now</th><th scope="col">what if</th>' in page
    assert "What if: " in page  # the card's sentence on the second side
    # The report of the diagnosis says of every layer what a skip from it would do.
    layer = found.layer("hidden.0")
    number = f"{layer.with_skip:.2g}"
    said = f"What if a skip started here? Led to hidden.11, E here would be {number} instead of"
    assert said in report.page(found.to_dict())


def test_a_loss_without_a_level_is_answered_on_the_same_scale():
    torch.manual_seed(0)
    model = Deep()

    def objective(model: nn.Module, data: Tensor) -> Tensor:
        return -model(data).pow(2).mean()

    found = diagnose(model, batch()[0], objective=objective)
    asked = found.what_if(skip=("hidden.0", "hidden.11"))
    assert found.relative
    assert asked.relative
    # Behind the skip nothing changes, so the numbers there are the same, on one scale.
    assert asked.layer("head").elasticity == pytest.approx(found.layer("head").elasticity)
    assert math.isfinite(asked.lost_after)
