"""10. Repair a stalled network.

Two trainings stand below, train_deep and train_second. Both sit at chance: one digit in ten is
right, the loss stays where it was, and nothing raises an error. Find out why, then repair both.

cause_of(model, batch, optimizer)
    Let skipway.diagnose find out, and return the word it has for it, the `.cause` of its result.
    batch is (images, labels), the loss is F.cross_entropy; without the optimizer it can judge
    gradients, but no steps. Print the whole result to read where it is, why, and what would help.

train_deep(images, labels), train_second(images, labels)
    Repair what is wrong, wherever it is, until each gets 90 % of the test digits right. All layers
    stay. Not every stall comes from depth, and not every one is cured by a skip connection.

`python 10_repair.py` runs both trainings and prints what came of them.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import skipway


def cause_of(
    model: nn.Module, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer
) -> str:
    """Return what is wrong with a training, in skipway's word."""
    raise NotImplementedError


class Deep(nn.Module):
    """30 hidden layers with tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 48)
        self.hidden = nn.ModuleList(nn.Linear(48, 48) for _ in range(30))
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of flat images, `(batch, 64)` to `(batch, 10)`."""
        x = self.stem(x)
        for layer in self.hidden:
            x = layer(torch.tanh(x))
        return self.head(torch.tanh(x))


class Second(nn.Module):
    """6 hidden layers with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 64)
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(6))
        self.head = nn.Linear(64, 10)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of flat images, `(batch, 64)` to `(batch, 10)`."""
        x = torch.relu(self.stem(x))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)


def train_deep(images: Tensor, labels: Tensor) -> nn.Module:
    """Train the deep network."""
    model = Deep()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return fit(model, optimizer, images, labels)


def train_second(images: Tensor, labels: Tensor) -> nn.Module:
    """Train the second network."""
    model = Second()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    return fit(model, optimizer, images, labels)


def fit(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> nn.Module:
    """Train 8 epochs, the learning rate falling to zero in a straight line."""
    order = [batch for _ in range(8) for batch in torch.randperm(len(labels)).split(50)]
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(order))
    for batch in order:
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
        falling.step()
    return model


if __name__ == "__main__":
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
    labels = torch.tensor(digits.target)[order]
    for train in (train_deep, train_second):
        torch.manual_seed(10)
        model = train(images[:1400], labels[:1400])
        right = (model(images[1400:]).argmax(1) == labels[1400:]).float().mean()
        print(f"{train.__name__}: {right:.0%} of the test digits are right")
