"""A batch normalisation that sees two numbers makes signs of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipway import Diagnosis, diagnose


def network(norm: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), norm, nn.ReLU(), nn.Linear(16, 4))


def look(model: nn.Module, *shape: int) -> Diagnosis:
    targets = torch.arange(shape[0]) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return diagnose(model, (torch.randn(*shape), targets), F.cross_entropy, optimizer=optimizer)


def told(found: Diagnosis) -> list[str]:
    return [each.evidence for each in found.findings if "two numbers" in each.title]


def test_two_numbers_become_signs_and_it_is_said():
    norm = nn.BatchNorm1d(16)
    model = network(norm)
    answers = norm(model[0](torch.randn(2, 8)))
    assert torch.allclose(answers.abs(), torch.ones(2, 16), atol=0.03)  # the fact that is told
    found = look(model, 2, 8)
    (evidence,) = told(found)
    assert "`1` takes mean and variance of two" in evidence
    assert "two numbers" not in found.headline  # whether training sees more nobody knows


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(16), nn.LayerNorm(16), nn.BatchNorm1d(16).eval()])
def test_other_batches_and_normalisations_are_not_meant(norm):
    model = network(norm)
    batch = 2 if isinstance(norm, nn.LayerNorm) or not norm.training else 3
    assert not told(look(model, batch, 8))
    assert not told(look(model, 32, 8))


@pytest.mark.parametrize(("size", "many"), [(1, 1), (2, 0)])
def test_the_places_of_an_image_count_too(size, many):
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(size)]
    head = [nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * size**2, 4)]
    assert len(told(look(nn.Sequential(*body, *head), 2, 3, 6, 6))) == many
