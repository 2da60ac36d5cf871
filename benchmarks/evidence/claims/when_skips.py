"""When does one need a skip at all? Start, norm and skips, in every combination, four activations.

python benchmarks/evidence/claims/when_skips.py
"""

from __future__ import annotations

from itertools import product
from statistics import median

import torch
from matplotlib.axes import Axes
from record import Claim, gap
from sklearn.datasets import load_digits
from torch import nn

from skipway import Case, rewire

SEEDS = 5
DEPTH = 30
WIDTH = 48
RATE, FACTORS = 0.02, (1.0, 4.0, 16.0)
ACTIVATIONS = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "GELU": nn.GELU}
STARTS = ("default start", "better start")
NORMS = ("", "norm")
SKIPS = {"": None, "addition": "add", "concatenation": "cat"}
Ends = dict[tuple[str, str], list[float]]  # one a seed


def called(start: str, norm: str, skip: str) -> str:
    """Return a combination's name; `compare` has controls of two of these, which then give way."""
    if (norm, skip) == ("", ""):
        return "plain" if start == STARTS[0] else "better start"
    if (start, skip) == (STARTS[0], ""):
        return "normalised"
    words = ["better start"] if start == STARTS[1] else []
    return " and ".join([*words, *(word for word in (norm, skip) if word)])


WAYS = {called(*each): each for each in product(STARTS, NORMS, SKIPS)}
WITHOUT = [name for name, (_, _, skip) in WAYS.items() if not skip]
WITH = [name for name in WAYS if name not in WITHOUT]


def network(activation: type[nn.Module], start: str, norm: str) -> nn.Sequential:
    """Return 30 hidden layers, started as PyTorch does or as well as is known.

    Before rectifiers mirrored orthogonal matrices, with which a network begins as an isometry
    (Balduzzi et al. 2017, arXiv:1702.08591); before tanh orthogonal ones with a gain of 1.05 (Saxe
    et al. 2013, arXiv:1312.6120); before sigmoid with a gain of 5, centred around its middle.
    """
    parts: list[nn.Module] = []
    for layer in range(DEPTH):
        linear = nn.Linear(64 if layer == 0 else WIDTH, WIDTH)
        if start == "better start":
            restart(linear, activation, first=layer == 0)
        parts += [linear, *([nn.LayerNorm(WIDTH)] if norm else []), activation()]
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


@torch.no_grad()
def restart(linear: nn.Linear, activation: type[nn.Module], first: bool) -> None:
    nn.init.zeros_(linear.bias)
    if activation in (nn.ReLU, nn.GELU):
        rows, columns = linear.weight.shape
        half = nn.init.orthogonal_(torch.empty(rows // 2, columns if first else columns // 2))
        half = half if first else torch.cat([half, -half], 1)
        linear.weight.copy_(torch.cat([half, -half], 0))
        return
    nn.init.orthogonal_(linear.weight, 1.05 if activation is nn.Tanh else 5.0)
    if activation is nn.Sigmoid and not first:  # what comes in is 0.5 in the mean
        linear.bias.copy_(-0.5 * linear.weight.sum(1))


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
    ends: Ends = {}
    for name, activation in ACTIVATIONS.items():

        def built(start: str, norm: str, skip: str, activation=activation) -> nn.Module:
            model = network(activation, start, norm)
            how = SKIPS[skip]
            return model if how is None else rewire(model, x[:8], how=how).model

        plain = Case(
            name=name, model=lambda: built(*WAYS["plain"]), train=(x[:1400], y[:1400]),
            test=(x[1400:], y[1400:]), epochs=6, batch_size=32, loss=nn.functional.cross_entropy,
            optimizer=lambda p: torch.optim.SGD(p, lr=RATE), learning_rates=FACTORS,
        )  # fmt: skip
        cases = {
            way: plain.replace(model=lambda built=built, way=way: built(*WAYS[way])) for way in WAYS
        }
        # The linear and the shallow control know no activation of ours: once is enough.
        result = claim.compare(name, cases, controls=name == "ReLU")
        for variant in result.variants:
            ends[name, variant.name] = [run.test[-1] for run in variant.runs]
            claim.row(
                activation=name, variant=variant.name, median=variant.median, least=variant.low,
                most=variant.high, learning_rate=variant.learning_rate,
            )  # fmt: skip
    axes = claim.axes(x="test accuracy, % (medians)", y="")
    draw(axes, ends)
    found, holds = verdict(ends)
    claim.close(found, holds=holds, axes=axes)


def draw(axes: Axes, ends: Ends) -> None:
    axes.figure.set_size_inches(6.4, 5.2)
    marks = zip(ACTIVATIONS, ("o", "s", "^", "D"), strict=True)
    for name, mark in marks:
        axes.plot(
            [median(ends[name, way]) for way in WAYS], range(len(WAYS)), mark, label=name, alpha=0.8
        )
    axes.axvline(median(ends["ReLU", "linear"]), color="#999999", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(WAYS)), list(WAYS))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)


def verdict(ends: Ends) -> tuple[str, str]:
    """Say how far the best network with a skip is ahead of the best without, per activation."""
    told, ahead = [], []
    needed = 0
    for name in ACTIVATIONS:
        level = {way: median(ends[name, way]) for way in WAYS}
        told.append(f"{name}: {', '.join(f'{way} {level[way]:.0f}' for way in WAYS)}")
        best, other = (max(ways, key=level.__getitem__) for ways in (WITH, WITHOUT))
        apart = gap(ends[name, best], ends[name, other])
        needed += apart.sign == 1
        ahead.append(f"{name} {apart}")
    found = (
        f"{DEPTH} hidden layers on digits, test accuracy in %, medians of {SEEDS} seeds at tuned "
        f"learning rates. {'; '.join(told)}. The best of the eight with a skip ends above the best "
        f"of the four without, in points: {', '.join(ahead)}; so with those at hand a skip is "
        f"shown to help for {needed} of {len(ACTIVATIONS)} activations, although eight have more "
        f"chances than four. A linear network has {median(ends['ReLU', 'linear']):.0f}."
    )
    return found, "yes" if needed == 0 else "partly"


if __name__ == "__main__":
    main()
