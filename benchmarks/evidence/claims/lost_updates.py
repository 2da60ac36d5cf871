"""Updates that low precision loses, and the two cures.

python benchmarks/evidence/claims/lost_updates.py
"""

from __future__ import annotations

import torch
from record import Claim
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skipway import Case, compare

SEEDS = 5
RATE = 0.01
EPOCHS = 30


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def rounded(weight: Tensor, how: str) -> Tensor:
    """Round to bfloat16: to the nearest, or at random to one of the two neighbours."""
    if how == "nearest":
        return weight.bfloat16().float()
    # bfloat16 is float32 without its last 16 bits; noise in them carries over in proportion.
    bits = weight.view(torch.int32) + torch.randint(0, 1 << 16, weight.shape, dtype=torch.int32)
    return (bits & -65536).view(torch.float32)


def trainer(how: str):
    """Return a training whose weights are kept in bfloat16 (all but `"float32"`)."""

    def train(model, data, *, seed, rate, log):
        inputs, targets = data["train"]
        order = torch.Generator().manual_seed(seed)
        weights = list(model.parameters())
        masters = [weight.detach().clone() for weight in weights]
        for _ in range(EPOCHS):
            for index in torch.randperm(len(inputs), generator=order).split(64):
                model.zero_grad()
                nn.functional.cross_entropy(model(inputs[index]), targets[index]).backward()
                with torch.no_grad():
                    for weight, master in zip(weights, masters, strict=True):
                        if how == "float32":
                            weight.sub_(rate * RATE * weight.grad)
                        elif how == "master":
                            master.sub_(rate * RATE * weight.grad)
                            weight.copy_(rounded(master, "nearest"))
                        else:
                            weight.copy_(rounded(weight - rate * RATE * weight.grad, how))

    return train


def main() -> None:
    claim = Claim(
        __file__,
        "With weights in bfloat16, rounding to the nearest cancels small updates; rounding at "
        "random, or float32 master weights, brings the lost accuracy back.",
        "Zamirai et al. 2020 (arXiv:2010.06192); Gupta et al. 2015 (arXiv:1502.02551)",
        SEEDS,
    )
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target)
    case = Case(
        name="bfloat16", model=network, train=(x[:1400], y[:1400]), test=(x[1400:], y[1400:]),
        loss=nn.functional.cross_entropy, optimizer=lambda p: torch.optim.SGD(p, lr=RATE),
        learning_rates=(1.0, 10.0**0.5, 10.0),
    )  # fmt: skip
    ways = {
        "bfloat16, nearest": "nearest", "bfloat16, at random": "random",
        "bfloat16, float32 masters": "master", "float32": "float32",
    }  # fmt: skip
    axes = claim.axes(x="learning rate", y="test accuracy, %", log="x")
    ends: dict[tuple[str, float], float] = {}
    for factor in case.learning_rates:
        cases = {name: case.replace(training=trainer(how)) for name, how in ways.items()}
        result = compare(
            cases, seeds=SEEDS, learning_rates=(factor,), controls=False, workers=0
        )  # fmt: skip
        for variant in result.variants:
            ends[variant.name, factor] = variant.median
            low = high = None
            if variant.difference is not None:
                low, high = variant.difference.low, variant.difference.high
            claim.row(
                way=variant.name, learning_rate=RATE * factor, median=variant.median,
                least=variant.low, most=variant.high, against_nearest_low=low,
                against_nearest_high=high,
            )  # fmt: skip
    for name in ways:
        rates = [RATE * factor for factor in case.learning_rates]
        axes.plot(rates, [ends[name, f] for f in case.learning_rates], "o-", label=name)
    first = case.learning_rates[0]
    lost = ends["float32", first] - ends["bfloat16, nearest", first]
    back = [ends[name, first] - ends["bfloat16, nearest", first] for name in list(ways)[1:3]]
    claim.close(
        f"At a learning rate of {RATE:g} rounding loses {lost:.1f} points of test accuracy; "
        f"rounding at random brings back {back[0]:.1f} of them, master weights {back[1]:.1f}. At "
        f"ten times the rate {ends['float32', 10.0] - ends['bfloat16, nearest', 10.0]:.1f} points "
        "are lost.",
        holds="yes" if lost > 2 and min(back) > 0.7 * lost else "partly",
        axes=axes,
    )


if __name__ == "__main__":
    main()
