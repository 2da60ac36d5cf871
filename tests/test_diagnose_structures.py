"""The diagnosis on networks of every structure."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from oracle import torchvision
from skipway import diagnose
from test_diagnose import mlp, sgd

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
    batch = torch.randn(64, 64), torch.arange(64) % 10
    assert diagnose(model, batch, F.cross_entropy).cause == "exploding"
    # In between, a few steps decide; without an optimizer it is a suspicion.
    torch.manual_seed(0)
    model = mlp(40, norm=torch.nn.BatchNorm1d)
    found = diagnose(model, batch, F.cross_entropy)
    assert [finding.cause for finding in found.findings] == ["healthy", "exploding"]
    assert "Suspected" in found.findings[1].sure
    found = diagnose(model, batch, F.cross_entropy, optimizer=sgd(model, 1e-3))
    assert found.cause == "lr-too-large"
    rate = found.findings[0].suggestion["learning_rate"]
    again = diagnose(model, batch, F.cross_entropy, optimizer=sgd(model, rate))
    assert again.cause == "healthy"
