"""Skips where this network loses gradient, against as many evenly spaced or random ones.

python benchmarks/evidence/claims/places.py
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from record import Claim
from sklearn.datasets import load_digits
from torch import nn

from skipway import Case, Plan, PlannedSkip, compare, diagnose, rewire

SEEDS = 5
DEPTH = 42
SICK = range(14, 28)  # the layers that start as PyTorch starts them; the others start well
WIDTH = 48


def network() -> nn.Sequential:
    layers = [nn.Linear(64 if at == 0 else WIDTH, WIDTH) for at in range(DEPTH)]
    for at, layer in enumerate(layers):
        if at not in SICK:
            nn.init.orthogonal_(layer.weight, 1.05)
            nn.init.zeros_(layer.bias)
    parts = [part for layer in layers for part in (layer, nn.Tanh())]
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


def plan_of(starts: list[int]) -> Plan:
    """Return a plan of sums, each over the two weight layers behind a start."""
    skips = [PlannedSkip(source=str(2 * at), destination=str(2 * at + 4)) for at in sorted(starts)]
    return Plan(how="add", skips=tuple(skips))


def main() -> None:
    claim = Claim(
        __file__,
        "Places chosen from the measured decay of this network beat as many evenly spaced or "
        "random ones.",
        "the premise of skipway's own default",
        SEEDS,
    )
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    plain = Case(
        name="places", model=network, train=(x[:1400], y[:1400]), test=(x[1400:], y[1400:]),
        loss=nn.functional.cross_entropy, epochs=6,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.01),
    )  # fmt: skip
    torch.manual_seed(0)
    model = network()
    found = diagnose(model, (x[:64], y[:64]), nn.functional.cross_entropy)
    measured = rewire(model, x[:64], diagnosis=found).plan
    everywhere = rewire(model, x[:64]).plan
    count = len(measured.skips)
    evenly = [round(at) for at in np.linspace(0, DEPTH - 3, count)]
    random = np.random.default_rng(0)
    draws = [sorted(random.choice(DEPTH - 2, count, replace=False)) for _ in range(3)]
    plans = {
        "measured": dataclasses.replace(measured),
        "evenly spaced": plan_of(evenly),
        **{f"random {n}": plan_of([int(at) for at in draw]) for n, draw in enumerate(draws, 1)},
        "everywhere": everywhere,
    }

    def rewired(plan: Plan):
        return rewire(network(), x[:64], plan=plan).model

    cases = {"plain": plain}
    for name, plan in plans.items():
        cases[name] = plain.replace(model=lambda plan=plan: rewired(plan))
    result = compare(cases, seeds=SEEDS, controls=False, workers=1)
    axes = claim.axes(x="", y="test accuracy, %")
    for at, variant in enumerate(result.variants):
        ends = [run.test[-1] for run in variant.runs]
        skips = plans[variant.name].skips if variant.name in plans else ()
        inside = sum(int(each.destination) // 2 in SICK for each in skips)
        claim.row(
            places=variant.name, skips=len(skips), in_the_sick_part=inside, median=variant.median,
            least=variant.low, most=variant.high,
        )  # fmt: skip
        axes.plot([at] * len(ends), ends, "o", color="#0072B2", alpha=0.5)
    axes.set_xticks(range(len(cases)), [name.replace(" ", "\n") for name in cases])
    median = {variant.name: variant.median for variant in result.variants}
    others = [median[name] for name in plans if name not in ("measured", "everywhere")]
    told = ", ".join(f"{name} {value:.1f}" for name, value in median.items())
    claim.close(
        f"{DEPTH} tanh layers, of which the {len(SICK)} in the middle start badly; {count} skips "
        f"at measured places, as many elsewhere, {len(everywhere.skips)} everywhere. Test accuracy "
        f"in %, medians of {SEEDS} seeds at tuned learning rates: {told}.",
        holds="yes" if median["measured"] > max(others) + 1 else
        "partly" if median["measured"] > float(np.median(others)) + 1 else "no",
        axes=axes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
