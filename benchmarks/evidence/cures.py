"""Do skips cure? `nice -n 5 python benchmarks/evidence/cures.py [--seeds 5] [--only NAME ...]`.

Seven networks that do not train for their depth, each rewired by addition, by concatenation and
densely, beside the plain network, the same with the best known start, a shallow and a linear one;
all with the same data (scikit-learn's digits), order, epochs and learning rate. A variant has
cured the network when it gets, in each of the seeds, at least half of the way from guessing to the
best variant. The table lies beside this script; finished trainings are kept in `--folder`, so the
same call goes on where it stopped. Networks may be run one by one (`--only`): each puts its own
rows into the table.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from skipway.cases._digits import split_digits

CHANCE = 10.0
HOWS = ("add", "cat", "dense")


class MLP(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor], depth: int = 30, width: int = 64) -> None:
        super().__init__()
        self.act = act
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(self.act(x))
        return self.head(self.act(x))


class Convolutions(nn.Module):
    def __init__(self, norm: bool, depth: int = 39, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 2, 1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        kind = nn.BatchNorm2d if norm else nn.Identity
        self.norms = nn.ModuleList(kind(width) for _ in range(depth + 1))
        self.head = nn.Linear(16 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.body, strict=False):
            x = layer(torch.relu(norm(x)))
        return self.head(torch.relu(self.norms[-1](x)).flatten(1))


class Block(nn.Module):
    """A transformer's block without its residuals."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x, _ = self.attention(y, y, y, need_weights=False)
        return self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Reads the rows of an image as eight tokens."""

    def __init__(self, depth: int = 12, width: int = 32) -> None:
        super().__init__()
        self.read, self.head = nn.Linear(8, width), nn.Linear(width, 10)
        self.positions = nn.Parameter(torch.randn(8, width) / width**0.5)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.read(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class Unrolled(nn.Module):
    """Reads the rows one by one, and says which digit it was 92 steps later."""

    def __init__(self, steps: int = 100, width: int = 32) -> None:
        super().__init__()
        self.steps = steps
        self.input, self.hidden = nn.Linear(8, width), nn.Linear(width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.input(x[:, 0]))
        for t in range(1, 8):
            h = torch.tanh(self.input(x[:, t]) + self.hidden(h))
        for _ in range(8, self.steps):
            h = torch.tanh(self.hidden(h))
        return self.head(h)


@dataclass(frozen=True)
class Sick:
    """A network, the shape of one image, and how it is trained.

    Each variant takes the better of the rates `rate * factors`, on data that is not tested on.
    """

    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    optimizer: Callable[..., torch.optim.Optimizer]
    rate: float
    epochs: int
    factors: tuple[float, ...] = (1.0,)

    def case(self, name: str) -> skipway.Case:
        train, test = split_digits(*self.shape)
        return skipway.Case(
            name=name,
            model=self.model,
            train=train,
            test=test,
            loss=F.cross_entropy,
            optimizer=lambda parameters: self.optimizer(parameters, lr=self.rate),
            batch_size=64,
            epochs=self.epochs,
        )


SGD, ADAM = torch.optim.SGD, torch.optim.Adam
SICK = {
    "mlp-30 tanh": Sick(lambda: MLP(torch.tanh), (64,), SGD, 0.1, 8),
    "mlp-30 relu": Sick(lambda: MLP(torch.relu), (64,), SGD, 0.03, 12),
    "mlp-30 sigmoid": Sick(lambda: MLP(torch.sigmoid), (64,), SGD, 0.2, 22, (1.0, 0.5)),
    "conv-40": Sick(lambda: Convolutions(False), (1, 8, 8), SGD, 0.03, 14),
    "conv-40 bn": Sick(lambda: Convolutions(True), (1, 8, 8), SGD, 0.03, 6),
    "transformer-12 cut": Sick(Transformer, (8, 8), ADAM, 0.001, 5),
    "unrolled-100": Sick(Unrolled, (8, 8), ADAM, 0.003, 18, (1.0, 0.1)),
}


@dataclass(frozen=True)
class Rewired:
    """A factory: the plain network, rewired by a plan."""

    model: Callable[[], nn.Module]
    inputs: Tensor
    plan: skipway.Plan

    def __call__(self) -> nn.Module:
        plain = self.model()
        made = skipway.rewire(plain, self.inputs, plan=self.plan).model
        assert made is not None
        return made


def variants(case: skipway.Case) -> dict[str, skipway.Case]:
    found = {"plain": case}
    inputs = case.train[0][: case.batch_size]
    for how in HOWS:
        torch.manual_seed(0)
        plan = skipway.rewire(case.model(), inputs, how=how).plan
        found[how] = case.replace(model=Rewired(case.model, inputs, plan))
    return found


def rows(name: str, seeds: int, folder: Path) -> list[dict[str, object]]:
    case = SICK[name].case(name)
    result = skipway.compare(
        variants(case),
        seeds=seeds,
        learning_rates=SICK[name].factors,
        workers=0,
        folder=folder / name,
    )
    ends = {v.name: [run.test[-1] for run in v.runs] for v in result.variants}
    deep = [each for variant, each in ends.items() if variant not in ("shallow", "linear")]
    half = (CHANCE + max(statistics.mean(each) for each in deep)) / 2
    return [
        {
            "network": name,
            "variant": variant,
            "accuracy, least": f"{min(found):.1f}",
            "accuracy, median": f"{statistics.median(found):.1f}",
            "accuracy, most": f"{max(found):.1f}",
            "needed": f"{half:.1f}",
            "cured": "yes" if min(found) >= half else "no",
            "seeds": len(found),
        }
        for variant, found in ends.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(SICK))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for name in given.only:
            found = rows(name, given.seeds, given.folder or Path(place))
            for row in found:
                print(*row.values(), sep="\t", flush=True)
            keep(name, found)


def keep(name: str, found: list[dict[str, object]]) -> None:
    """Put the rows of one network into the table, in the place of those it had."""
    path = Path(__file__).with_suffix(".csv")
    known: list[dict[str, object]] = []
    if path.exists():
        with path.open(newline="") as file:
            known = [dict(row) for row in csv.DictReader(file) if row["network"] != name]
    table = sorted([*known, *found], key=lambda row: list(SICK).index(str(row["network"])))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
