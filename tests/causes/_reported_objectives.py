"""Objectives of the fifth held-out set; as in `_objectives`, each says what a constant gets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._objectives import Triplets


def power(unlikely: Tensor) -> Tensor:
    """Return the variance of the bell that is as unlikely as this (Shannon's entropy power)."""
    return torch.exp(2 * unlikely) / (2 * math.pi * math.e)


@dataclass(frozen=True)
class Points:
    """How unlikely a flow finds points of the plane, for each of the two numbers."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, which may lie below zero; in evaluation its entropy power."""
        z, volume = model(batch[0])
        each = 0.5 * (z**2 + math.log(2 * math.pi)).sum(1) - volume
        unlikely = each.mean() / 2
        return unlikely if model.training else power(unlikely)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return that of two independent bells."""
        return float(inputs.var(0).log().mean().exp())


@dataclass(frozen=True)
class Bells:
    """How unlikely a mixture finds the targets."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, which may lie below zero; in evaluation its entropy power."""
        weight, mean, log = model(batch[0])
        each = -0.5 * ((batch[1] - mean) / log.exp()) ** 2 - log - 0.5 * math.log(2 * math.pi)
        unlikely = -torch.logsumexp(weight + each, 1).mean()
        return unlikely if model.training else power(unlikely)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return that of one bell."""
        return float(targets.var())


@dataclass(frozen=True)
class Dice:
    """One minus Dice's coefficient of masks (Milletari et al. 2016).

    Args:
        hard: of masks that are cut at one half first, which has no slope.
    """

    hard: bool = False

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        answers = model(batch[0])
        if self.hard and model.training:
            return self._loss((answers > 0).float(), batch[1]).requires_grad_()
        return self._loss(torch.sigmoid(answers), batch[1])

    def _loss(self, masks: Tensor, targets: Tensor) -> Tensor:
        both = (masks * targets).flatten(1).sum(1)
        return 1 - ((2 * both + 1) / ((masks + targets).flatten(1).sum(1) + 1)).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return what a mask of ones gets."""
        return float(self._loss(torch.ones_like(targets), targets))


@dataclass(frozen=True)
class Transcript:
    """Three symbols somewhere in a sequence, in their order (Graves et al. 2006)."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, infinite where the answer has fewer steps than symbols."""
        return self._loss(model(batch[0]), batch[1])

    def _loss(self, answers: Tensor, symbols: Tensor) -> Tensor:
        size, steps = answers.shape[:2]
        lengths = [torch.full((size,), each) for each in (steps, symbols.shape[1])]
        return F.ctc_loss(answers.transpose(0, 1), symbols, *lengths)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the least of what the same chances at every step get."""
        losses = []
        for none in torch.linspace(0.5, 0.95, 10):
            chances = torch.tensor([none, *[(1 - none) / 4] * 4]).log()
            losses.append(self._loss(chances.expand(len(inputs), inputs.shape[1], 5), targets))
        return float(min(losses))


@dataclass(frozen=True)
class Labelling:
    """How unlikely the labels of a sequence are among all that it may have."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number for each label."""
        scores, follow = model(batch[0])
        labels = batch[1]
        own = scores.gather(2, labels[..., None]).sum((1, 2)) + follow[
            labels[:, :-1], labels[:, 1:]
        ].sum(1)
        every = scores[:, 0]
        for step in range(1, scores.shape[1]):
            every = torch.logsumexp(every[:, :, None] + follow, 1) + scores[:, step]
        return (torch.logsumexp(every, 1) - own).mean() / labels.shape[1]

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the entropy of sixteen labels."""
        return math.log(16)


@dataclass(frozen=True)
class Lengths:
    """The margins of Sabour et al. 2017: above 0.9 for the class, below 0.1 for the others."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        return self._loss(model(batch[0]), batch[1])

    def _loss(self, lengths: Tensor, labels: Tensor) -> Tensor:
        own = F.one_hot(labels, 10)
        each = own * F.relu(0.9 - lengths) ** 2 + 0.5 * (1 - own) * F.relu(lengths - 0.1) ** 2
        return each.sum(1).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the least that one length for all gets."""
        every = torch.linspace(0, 1, 101)
        return float(min(self._loss(each.expand(len(targets), 10), targets) for each in every))


@dataclass(frozen=True)
class Codebook:
    """The error of the image, of the codes and of the encoder (van den Oord et al. 2017).

    Args:
        passed: the codes' error is taken of what was passed on, which has no slope for them.
    """

    passed: bool = False

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation the error of the image."""
        again, said, code, passed = model(batch[0])
        error = F.mse_loss(again, batch[0])
        if not model.training:
            return error
        moved = F.mse_loss(passed if self.passed else code, said.detach())
        return error + moved + 0.25 * F.mse_loss(said, code.detach())

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the images."""
        return float(inputs.var(0, unbiased=False).mean())


@dataclass(frozen=True)
class Consistency:
    """The class, and that the student agrees with its teacher; evaluated by the class."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        student, teacher = model(batch[0])
        loss = F.cross_entropy(student, batch[1])
        if not model.training:
            return loss
        return loss + 0.5 * F.mse_loss(student.softmax(1), teacher.softmax(1))

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the entropy of ten classes."""
        return math.log(10)


@dataclass(frozen=True)
class Critic:
    """How far apart two clouds are, by a slope of one (Gulrajani et al. 2017); truly they are 2."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation the part of the distance that is not seen."""
        near, far = batch
        gap = model(far).mean() - model(near).mean()
        if not model.training:
            return (1 - gap / 2).abs()
        share = torch.rand(len(near), 1)
        between = (share * near + (1 - share) * far).requires_grad_()
        (slope,) = torch.autograd.grad(model(between).sum(), between, create_graph=True)
        return 10 * ((slope.norm(dim=1) - 1) ** 2).mean() - gap

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Values:
    """The value of naming a digit so, then of those to come (Mnih et al. 2015)."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation how often the best action is wrong."""
        states, labels = batch
        values = model(states)
        best = values.detach().argmax(1)
        if not model.training:
            return (best != labels).float().mean()
        guess = torch.where(torch.rand(len(best)) < 0.5, torch.randint(10, best.shape), best)
        with torch.no_grad():
            later = values.roll(1, 0).max(1).values
        target = (guess == labels).float() + 0.8 * later
        return F.smooth_l1_loss(values.gather(1, guess[:, None])[:, 0], target)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return how often one of ten guesses is wrong."""
        return 0.9


@dataclass(frozen=True)
class Chance:
    """Minus the probability of the class, as the negative likelihood of no logarithm gives."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, below zero; in evaluation the probability of the others."""
        loss = F.nll_loss(model(batch[0]).softmax(1), batch[1])
        return loss if model.training else 1 + loss

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return nine tenths."""
        return 0.9


@dataclass(frozen=True)
class Wrapped:
    """The cross-entropy, made anew from its number (`anew`), as to be allowed to go backwards."""

    anew: bool = True

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return torch.tensor(loss.item(), requires_grad=True) if self.anew else loss

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the entropy of ten classes."""
        return math.log(10)


@dataclass(frozen=True)
class Hardest(Triplets):
    """Triplets of the farthest of the same and the nearest of another digit (Hermans 2017)."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation that of triplets by chance."""
        if not model.training:
            return super().__call__(model, batch)
        y, same = model(batch[0]), batch[1][:, None] == batch[1]
        apart = (((y[:, None] - y) ** 2).sum(2) + 1e-12).sqrt()
        farthest = apart.masked_fill(~same, 0).max(1).values
        nearest = apart.masked_fill(same, torch.inf).min(1).values
        return F.relu(farthest - nearest + 1).mean()


@dataclass(frozen=True)
class Few:
    """The error of the image, and a price of each unit that is on."""

    price: float = 1e-3

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation the error."""
        again, units = model(batch[0])
        error = F.mse_loss(again, batch[0])
        return error + self.price * units.abs().mean() if model.training else error

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the images."""
        return float(inputs.var(0, unbiased=False).mean())
