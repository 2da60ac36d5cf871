"""Networks as people write them: their residual sums, counted by hand, under another rule."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pasted import pasted
from skipway import reconnect, skips
from tampered import Tampered, halved, sums_of, tensors

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks" / "evidence"))
from typical_code import NETWORKS

# How many residual sums each has: skips by addition, the long one of each block or loop.
SUMS = {
    "residual MLP": 30, "SE-ResNet": 4, "pre-activation loop": 3, "nanoGPT": 8,  # 4 layers
    "GPT-J": 8, "looped ViT": 6, "universal transformer": 8,  # 4 times one block
    "post-norm encoder": 6, "pre-norm encoder": 6,
    "nn.Transformer": 10,  # 2 layers of 2, and 2 of 3
    "DiT": 6, "residual GRU": 3,  # the first layer has none
    "TCN": 3, "WaveNet": 7,  # 4 layers, and the sum over what they hand out
    "graph network": 4, "MLP-Mixer": 4,
}  # fmt: skip


def run(model: nn.Module, inputs: Any) -> Any:
    torch.manual_seed(1)
    given = copy.deepcopy(inputs)
    with torch.no_grad():
        return model(*given) if isinstance(given, tuple) else model(given)


def check(found: Any, expected: Any, tolerance: float = 0.0) -> None:
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NETWORKS)
def test_its_residual_sums_are_found(name: str) -> None:
    build, inputs = NETWORKS[name]
    kinds = skips(build().eval(), inputs()).counts
    assert kinds.get("identity", 0) + kinds.get("projection", 0) == SUMS.get(name, 0)


@pytest.mark.parametrize("name", SUMS)
def test_all_of_them_follow_another_rule(name: str) -> None:
    build, make = NETWORKS[name]
    model, inputs = build().eval(), make()
    rewiring = reconnect(model, inputs)
    assert rewiring.model is not None
    assert len(rewiring.plan.skips) == SUMS[name]
    check(run(rewiring.model, inputs), run(model, inputs), 1e-6)
    training = [copy.deepcopy(each).train() for each in (rewiring.model, model)]
    check(run(training[0], inputs), run(training[1], inputs), 1e-5)
    changed = {(s.source, s.destination, s.module) for s in rewiring.plan.skips}
    for cut in (False, True):
        skipped, count = sums_of(model, inputs, changed)
        with torch.no_grad(), Tampered(skipped, inputs, cut=cut) as mode:
            torch.manual_seed(1)
            given = mode.inputs
            expected = model(*given) if isinstance(given, tuple) else model(given)
        assert mode.count == count
        other = reconnect(model, inputs, rule=None).model if cut else halved(rewiring)
        check(run(other, inputs), expected, 1e-4)
    twin = pasted(rewiring)
    assert twin is not None
    check(run(twin, inputs), run(rewiring.model, inputs))
