"""Real images for the claims about convolutions, and how networks learn them."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Case

FASHION = Path("/usr/share/datasets/fashion-mnist")
Data = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


def digits() -> Data:
    """Return scikit-learn's digits of 8 × 8: 1,400 images to learn from, 397 to judge by."""
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(data.target)
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


def fashion(train: int, test: int) -> Data:
    """Return the first images of Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747).

    Each 2 × 2 pixels are one, which leaves 14 × 14: the networks take a third of the time.
    """
    if not FASHION.exists():
        sys.exit(
            f"{FASHION} is not there. On Debian and Ubuntu: apt-get install dataset-fashion-mnist"
        )
    return _fashion("train", train), _fashion("t10k", test)


def _fashion(part: str, count: int) -> tuple[Tensor, Tensor]:
    # IDX files: a header of 16 bytes before the images, of 8 before the labels.
    images = _bytes(f"{part}-images-idx3-ubyte.gz", 16, count * 28 * 28)
    labels = _bytes(f"{part}-labels-idx1-ubyte.gz", 8, count)
    return F.avg_pool2d(images.view(count, 1, 28, 28).float() / 255, 2), labels.long()


def _bytes(name: str, header: int, count: int) -> Tensor:
    with gzip.open(FASHION / name) as file:
        return torch.frombuffer(bytearray(file.read(header + count)[header:]), dtype=torch.uint8)


class Learn:
    """A training function for `Case(training=)`: SGD with momentum, one cycle of the rate.

    Beside what is judged it notes the error on the images learned from, and what else is asked.

    Args:
        name: of the network, for the notes.
        notes: a file of one JSON line a training.
        epochs: passes over the training data.
        rate: the highest of the cycle.
        decay: of the weights.
    """

    def __init__(
        self, name: str, notes: Path, epochs: int, rate: float = 0.05, decay: float = 5e-4
    ) -> None:
        self.name, self.notes, self.epochs, self.rate, self.decay = (
            name, notes, epochs, rate, decay,
        )  # fmt: skip

    def __call__(self, model: nn.Module, data: Any, *, seed: int, rate: float, log: Any) -> None:
        """Train the model in place."""
        images, labels = data["train"]
        images = images.contiguous(memory_format=torch.channels_last)
        model.to(memory_format=torch.channels_last)
        order = torch.Generator().manual_seed(seed)
        shuffled = [torch.randperm(len(labels), generator=order) for _ in range(self.epochs)]
        steps = [batch for epoch in shuffled for batch in epoch.split(64) if len(batch) > 1]
        highest = self.rate * rate
        optimizer = torch.optim.SGD(
            model.parameters(), highest, momentum=0.9, weight_decay=self.decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=len(steps))
        model.train()
        for batch in steps:
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
        training = 100 - accuracy(model, (images, labels))
        line = {"network": self.name, "seed": seed, "factor": rate, "training_error": training}
        self.notes.parent.mkdir(parents=True, exist_ok=True)
        with self.notes.open("a") as file:
            file.write(json.dumps({**line, **self.more(model, data["test"])}) + "\n")

    def more(self, model: nn.Module, test: tuple[Tensor, Tensor]) -> Mapping[str, Any]:
        """Return what else to note of a trained model; nothing here."""
        return {}

    def __repr__(self) -> str:  # what a kept training depends on
        return f"Learn({self.name!r}, {self.epochs}, {self.rate}, {self.decay})"


@torch.no_grad()
def accuracy(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Return the share of right answers in percent."""
    model.eval()
    answers = torch.cat([model(part).argmax(1) for part in data[0].split(500)])
    return 100 * float((answers == data[1]).double().mean())


def notes_in(path: Path) -> dict[tuple[str, int, float], dict[str, Any]]:
    """Return the notes by network, seed and factor of the rate; of two the later one."""
    lines = map(json.loads, path.read_text().splitlines())
    return {(line["network"], line["seed"], line["factor"]): line for line in lines}


def case_of(name: str, data: Data, model: Any, learn: Learn) -> Case:
    """Return one network's case; the optimizer named here only serves the checks."""
    train, test = data
    return Case(
        name=name, model=model, train=train, test=test, loss=F.cross_entropy, training=learn,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.05), epochs=learn.epochs,
        learning_rates=(1.0, 4.0),
    )  # fmt: skip
