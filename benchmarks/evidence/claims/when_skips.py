"""When does one need a skip at all? Initialisation, normalisation, skips, for four activations.

python benchmarks/evidence/claims/when_skips.py
"""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from record import Claim
from sklearn.datasets import load_digits
from torch import nn

from skipway import Case, compare, rewire

SEEDS = 3
DEPTH = 30
WIDTH = 48
WITHOUT = ("plain", "better start", "normalised")
WITH = ("addition", "concatenation", "norm and addition")
Ends = dict[tuple[str, str], float]
ACTIVATIONS = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "GELU": nn.GELU}


def network(activation: type[nn.Module], norm: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for layer in range(DEPTH):
        parts.append(nn.Linear(64 if layer == 0 else WIDTH, WIDTH))
        parts += [nn.LayerNorm(WIDTH)] if norm else []
        parts.append(activation())
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


def main() -> None:
    claim = Claim(
        __file__,
        "Deep networks need skip connections; on plain networks of this depth normalisation or a "
        "good initialisation can do the same.",
        "He et al. 2015 (arXiv:1512.03385); Xiao et al. 2018 (arXiv:1806.05393); Ioffe & Szegedy "
        "2015 (arXiv:1502.03167)",
        SEEDS,
    )
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    axes = claim.axes(x="", y="test accuracy, %")
    ends: Ends = {}
    for name, activation in ACTIVATIONS.items():
        plain = Case(
            name=name, model=lambda activation=activation: network(activation, False),
            train=(x[:1400], y[:1400]), test=(x[1400:], y[1400:]), epochs=6, batch_size=32,
            loss=nn.functional.cross_entropy, optimizer=lambda p: torch.optim.SGD(p, lr=0.01),
        )  # fmt: skip

        def treated(norm: bool, how: str, activation=activation):
            return rewire(network(activation, norm), x[:8], how=how).model

        cases = {
            "plain": plain,
            "addition": plain.replace(model=lambda t=treated: t(False, "add")),
            "concatenation": plain.replace(model=lambda t=treated: t(False, "cat")),
            "norm and addition": plain.replace(model=lambda t=treated: t(True, "add")),
        }
        result = compare(cases, seeds=SEEDS, workers=1)
        for variant in result.variants:
            ends[name, variant.name] = variant.median
            claim.row(
                activation=name, variant=variant.name, median=variant.median, least=variant.low,
                most=variant.high, learning_rate=variant.learning_rate,
            )  # fmt: skip
    draw(axes, ends)
    found, holds = verdict(ends)
    claim.close(found, holds=holds, axes=axes)


def draw(axes: Axes, ends: Ends) -> None:
    for at, way in enumerate((*WITHOUT, *WITH)):
        places = [number + (at - 2.5) * 0.13 for number in range(len(ACTIVATIONS))]
        axes.bar(places, [ends[name, way] for name in ACTIVATIONS], 0.12, label=way)
    axes.set_xticks(range(len(ACTIVATIONS)), list(ACTIVATIONS))
    axes.set_ylim(0, 145)  # room for the legend
    axes.set_yticks(range(0, 101, 20))


def verdict(ends: Ends) -> tuple[str, str]:
    """Say how far the best network with a skip is ahead of the best without, per activation."""
    told, needed = [], 0
    for name in ACTIVATIONS:
        levels = ", ".join(f"{way} {ends[name, way]:.0f}" for way in (*WITHOUT, *WITH))
        told.append(f"{name}: {levels}")
        without = max(ends[name, way] for way in WITHOUT)
        needed += max(ends[name, way] for way in WITH) > without + 1
    found = (
        f"{DEPTH} hidden layers on digits, test accuracy in %, medians of {SEEDS} seeds at tuned "
        f"learning rates. {'; '.join(told)}. For {needed} of {len(ACTIVATIONS)} activations the "
        "best network with a skip is more than a point ahead of the best without; a good "
        "initialisation alone lifts every one far above chance, a norm alone does not."
    )
    return found, "yes" if needed == 0 else "partly"


if __name__ == "__main__":
    main()
