"""Skips over one, two, three, four and six weight layers.

python benchmarks/evidence/claims/layers_per_skip.py
"""

from __future__ import annotations

import torch
from record import Claim, Gap
from sklearn.datasets import load_digits
from torch import nn

from skipway import Case, Comparison
from skipway.nn import Skip

SEEDS = 15
DEPTH = 36
WIDTH = 48
SPANS = (1, 2, 3, 4, 6)


def branch(layers: int) -> nn.Module:
    parts = [part for _ in range(layers) for part in (nn.ReLU(), nn.Linear(WIDTH, WIDTH))]
    return nn.Sequential(*parts)


def network(span: int) -> nn.Module:
    """Return 36 hidden layers with a skip over each `span` of them; 0 for none."""
    whole = [branch(DEPTH)] if span == 0 else [Skip(branch(span)) for _ in range(DEPTH // span)]
    model = nn.Sequential(nn.Linear(64, WIDTH), *whole, nn.Linear(WIDTH, 10))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            if span and layer.weight.shape == (WIDTH, WIDTH):
                # So that the stream grows as little with many branches as with few.
                layer.weight.data *= (DEPTH // span) ** (-1 / (2 * span))
    return model


def main() -> None:
    claim = Claim(
        __file__,
        "Two weight layers per skip are a good choice: one has no advantage over the plain "
        "network, with three or more the start is flatter and training harder.",
        "He et al. 2015 (arXiv:1512.03385); Li et al. 2016 (arXiv:1611.01186); Zagoruyko & "
        "Komodakis 2016 (arXiv:1605.07146)",
        SEEDS,
    )
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    plain = Case(
        name="span", model=lambda: network(0), train=(x[:1400], y[:1400]),
        test=(x[1400:], y[1400:]), loss=nn.functional.cross_entropy, epochs=4,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.003),
    )  # fmt: skip
    # Two layers first: every other number is held against it, for it is what `rewire` takes.
    cases = {"2": plain.replace(model=lambda: network(2)), "plain": plain}
    for span in SPANS:
        cases.setdefault(str(span), plain.replace(model=lambda span=span: network(span)))
    result = claim.compare("spans", cases, controls=False)
    axes = claim.axes(x="weight layers per skip", y="test accuracy, %")
    for name in ("plain", *map(str, SPANS)):
        variant = result.variant(name)
        ends = [run.test[-1] for run in variant.runs]
        claim.row(
            layers_per_skip=variant.name, median=variant.median, least=variant.low,
            most=variant.high, learning_rate=variant.learning_rate,
            against_two=variant.difference.mean if variant.difference else None,
            low=variant.difference.low if variant.difference else None,
            high=variant.difference.high if variant.difference else None,
            corrected_p=variant.evidence.corrected_p if variant.evidence else None,
            detectable=variant.evidence.detectable if variant.evidence else None,
        )  # fmt: skip
        at = 0 if variant.name == "plain" else int(variant.name)
        axes.plot([at] * len(ends), ends, "o", color="#0072B2", alpha=0.5)
    axes.set_xticks([0, *SPANS], ["none", *map(str, SPANS)])
    median = {variant.name: variant.median for variant in result.variants}
    found, holds = verdict(result, median)
    claim.close(found, holds=holds, axes=axes)


def verdict(result: Comparison, median: dict[str, float]) -> tuple[str, str]:
    """Say whether another number of layers beats two, which is what `rewire` takes by default."""
    ends = ", ".join(f"{median[str(span)]:.1f} with {span}" for span in SPANS)
    told = ", ".join(
        f"{span}: {Gap(each.mean, each.low, each.high)}"
        for span in SPANS
        if (each := result.variant(str(span)).difference) is not None
    )
    better = [span for span in SPANS if result.variant(str(span)).answer == "helped"]
    default = (
        f"so {' and '.join(map(str, better))} are shown to be better here than the default of two"
        if better
        else "so none is shown to be better than the default of two, and it stays: one layer "
        "would take twice as many skips"
    )
    found = (
        f"{DEPTH} rectifier layers on digits, branches scaled so that the stream starts alike: "
        f"{median['plain']:.1f} % without skips, {ends} layers per skip (medians of {SEEDS} seeds "
        f"at tuned learning rates). Against two layers, in points: {told}; {default}. One layer "
        f"per skip ends {median['1'] - median['plain']:.1f} points above no skips."
    )
    flatter = all(result.variant(str(span)).answer == "worse" for span in (3, 4, 6))
    alone = median["1"] < median["plain"] + 1
    return found, "yes" if flatter and alone else "partly" if flatter or alone else "no"


if __name__ == "__main__":
    main()
