"""Names of layers that are too long, and numbers that are none: what stands in their place."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipway import Diagnosis, Plan, PlannedSkip, diagnose, watch
from skipway.report import page
from skipway.report._names import clipped_apart

PATH = "feature_extraction_backbone.hierarchical_encoder.{}.multi_head_cross_modal_projection"
LONG = [PATH.format(at) for at in range(12)]
KINDS = ("attention.self.query", "attention.self.key", "attention.output.dense", "output.dense")
BERT = [f"bert.encoder.layer.{at}.{kind}" for at in range(12) for kind in KINDS]
TWICE = [f"{'a' * 40}{i}{'b' * 40}{j}{'c' * 30}" for i in range(3) for j in range(12)]


@pytest.mark.parametrize("names", [LONG, BERT, TWICE], ids=["long", "bert", "twice"])
@pytest.mark.parametrize("most", [14, 26, 28])
def test_names_that_differ_differ_when_they_are_shortened(names, most):
    short = clipped_apart(names, most)
    assert len(set(short)) == len(names)
    assert all(len(each) <= most for each in short)
    for name, each in zip(names, short, strict=True):  # nothing is made up
        assert re.fullmatch(".*".join(map(re.escape, each.split("…"))), name)


def test_one_name_twice_stays_one_name_and_short_names_stay_whole():
    assert len(set(clipped_apart([LONG[0], LONG[0], LONG[1]]))) == 2
    assert clipped_apart(["0", "2", "head"]) == ["0", "2", "head"]


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        encoder = nn.ModuleList(
            nn.ModuleDict({"multi_head_cross_modal_projection": nn.Linear(8, 8)}) for _ in range(12)
        )
        self.feature_extraction_backbone = nn.ModuleDict({"hierarchical_encoder": encoder})
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.feature_extraction_backbone["hierarchical_encoder"]:
            x = torch.sigmoid(block["multi_head_cross_modal_projection"](x))
        return self.head(x)


X = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
Y = X[:, :4].argmax(1)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, factor: float = 1.0) -> torch.Tensor:
    optimizer.zero_grad()
    return factor * F.cross_entropy(model(X), Y)


def watched(model: nn.Module, factors: list[float]) -> tuple[Diagnosis, dict[str, float]]:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, every=1, notify=lambda words: None) as seen:
        for factor in factors:
            seen.loss(step(model, optimizer, factor)).backward()
            optimizer.step()
    return seen.diagnosis(), seen.scalars()


@pytest.mark.parametrize("width", [40, 100])
def test_in_a_terminal_every_layer_has_its_own_name_and_no_name_is_cut(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    torch.manual_seed(0)
    model = Deep()
    found = diagnose(model, (X, Y), F.cross_entropy)
    table = str(found).partition("\nLayer")[2].partition("\n\n")[0].splitlines()[1:]
    names = [line.split()[0] for line in table]
    assert len(set(names)) == len(names) >= 13
    whole = re.sub(r"\s", "", str(found).partition("\n1  ")[2].replace("`", ""))
    for layer in (0, 2):
        assert PATH.format(layer) in whole  # as one has to write it


def test_the_page_and_the_notebook_tell_the_layers_apart():
    torch.manual_seed(0)
    found, _ = watched(Deep(), [1.0] * 5)
    shown = found._repr_html_()
    for at in range(12):
        assert len(re.findall(rf">[^<]*r\.{at}[.…][^<]*<", shown)) >= 2  # the spine, the heat map


@pytest.mark.parametrize("holds", [math.nan, math.inf])
def test_a_layer_of_nan_neither_arrives_nor_moves(holds):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    with torch.no_grad():
        model[2].weight[0, 0] = holds
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = diagnose(model, (X, Y), F.cross_entropy, optimizer=optimizer)
    assert found.cause == "non-finite"
    assert found.layers[1].state == "broken"
    for shown in (str(found), found._repr_html_()):
        assert "not a number" in shown
        assert "loses none" not in shown
        assert "decades of gradient lost" not in shown


def test_a_training_that_ends_in_nan_shows_nan_and_no_zeros(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    found, numbers = watched(model, [1.0] * 6 + [math.nan] * 6)
    assert found.cause == "non-finite"
    for layer in found.layers:
        assert layer.state == "broken"
        values = (layer.weight, layer.gradient, layer.weight_elasticity, layer.step, layer.progress)
        assert all(value is not None and math.isnan(value) for value in values)
        assert layer.moved is None
    assert all(
        row[-1] is not None and math.isnan(row[-1]) for row in found.watching.weight_elasticity
    )
    # An elasticity of a loss that is no number is none, and not one of another unit.
    assert math.isnan(numbers["loss"])
    assert not any(name.startswith(("elasticity/", "decades lost/")) for name in numbers)
    assert "the largest" not in found._repr_html_()
    shown = str(found)
    assert "0  is the gradient" not in shown
    assert re.search(r"^0 [█▓▒░·]{6}×{6}$", shown, re.MULTILINE)
    found.save(tmp_path / "found.json")
    assert "nan" in (tmp_path / "found.json").read_text()
    found.save(tmp_path / "found.html")


def test_the_page_of_a_training_that_ends_in_nan_says_so_where_one_points(visit):
    torch.manual_seed(0)
    found, _ = watched(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)), [1.0, math.nan])
    page = visit(found.to_dict())
    reading = page.execute_script("return document.getElementById('reading').textContent")
    assert reading.endswith("elasticity of the weights NaN")
    assert page.execute_script("return document.querySelectorAll('.key b').length") == 5


def test_wherever_skips_are_named_they_are_told_apart(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    ends = tuple(PlannedSkip(PATH.format(at), PATH.format(at + 2)) for at in range(0, 8, 2))
    table = str(Plan(how="add", skips=ends)).partition("From")[2].splitlines()[1:]
    rows = [line.split()[:2] for line in table if "…" in line]
    assert len(rows) == 4
    assert len({tuple(row) for row in rows}) == 4
    assert rows[0][1] == rows[1][0]  # one layer has one name

    torch.manual_seed(0)
    asked = diagnose(Deep(), (X, Y), F.cross_entropy).what_if(skip=(PATH.format(0), PATH.format(8)))
    card = re.search(r"Skips: [^<\"]*", page(asked.to_dict()))
    assert card is not None
    assert "r.8" in card[0] or "r.0" in card[0]


def test_a_row_for_what_is_left_out_is_never_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    torch.manual_seed(0)
    layers = [each for _ in range(40) for each in (nn.Linear(8, 8), nn.Tanh())]
    found = diagnose(nn.Sequential(*layers, nn.Linear(8, 4)), (X, Y), F.cross_entropy)
    rows = re.findall(r"^⋮.*", str(found), re.MULTILINE)
    assert rows
    assert all(re.match(r"⋮ \d+ layers? ", row) for row in rows)
