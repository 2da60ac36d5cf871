"""Folds of networks in which hardly two layers are alike: their names tell blocks and stages."""

from __future__ import annotations

import warnings

import torch

from oracle import torchvision
from skipway.models import unet
from skipway.report._cells import between
from skipway.report._folds import folds
from skipway.report._stages import block_of
from skipway.report._values import clipped


def layers_of(model: str) -> list[str]:
    """Name the convolutions and linear layers of a network of torchvision."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(torchvision.models, model)(weights=None)
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    return [name for name, module in made.named_modules() if isinstance(module, kinds)]


def folded(names: list[str], kept: set[int] = frozenset()) -> list[tuple[str, str]]:
    """Fold layers of which no two are alike; return what the folds say."""
    return [
        (fold.label, between(block_of(names[fold.first : fold.head]),
                             block_of(names[fold.tail : fold.end])))
        for fold in folds(list(range(len(names))), [0] * len(names), kept, names)
    ]  # fmt: skip


def test_a_network_without_two_layers_alike_folds_by_the_names_of_its_modules():
    # Huang et al. 2017, table 1: blocks of 6, 12, 24 and 16 layers; both ends of each stay.
    names = layers_of("densenet121")
    assert folded(names) == [
        ("Block × 4", "features.denseblock1.denselayer2 – 5"),
        ("Block × 10", "features.denseblock2.denselayer2 – 11"),
        ("Block × 22", "features.denseblock3.denselayer2 – 23"),
        ("Block × 14", "features.denseblock4.denselayer2 – 15"),
    ]
    # The block of a layer that is to stay in sight stays whole, and cuts the others.
    kept = names.index("features.denseblock3.denselayer9.conv1")
    assert folded(names, {kept})[2:4] == [
        ("Block × 6", "features.denseblock3.denselayer2 – 7"),
        ("Block × 13", "features.denseblock3.denselayer11 – 23"),
    ]
    # Tan and Le 2021, table 4, EfficientNetV2-L: 7, 7, 10, 19, 25 and 7 blocks after the first 4.
    told = folded(layers_of("efficientnet_v2_l"))
    assert [label for label, _ in told[1:]] == [f"Block × {n}" for n in (7, 7, 10, 19, 25, 7)]
    # Szegedy et al. 2015: no numbers in its names, eleven mixed modules.
    told = [where for _, where in folded(layers_of("inception_v3"))]
    assert len(told) == 11
    assert all(where.startswith("Mixed_") for where in told)


def test_the_levels_of_a_u_net_are_told_apart():
    inside = "level.below.body."
    written = {
        "level.encode.0": "level.encode.0",
        f"{inside}level.encode.0": "level.below…y.level.encode.0",
        f"{inside * 2}level.encode.0": "level…×2.level.encode.0",
        f"{inside * 4}level.encode.0": "level…×4.level.encode.0",
        f"{inside * 3}up": "level…×3.up",
        "body.body.body.body.body.body.conv": "body×6.conv",
        "features.0.0.0.0.branches.0.0.conv1": "features.0.…anches.0.0.conv1",
    }
    assert {name: clipped(name) for name in written} == written
    names = layers_of("densenet121") + [name for name, _ in unet(3, 10).named_modules()]
    assert len({clipped(name, 40) for name in names}) == len(set(names))
