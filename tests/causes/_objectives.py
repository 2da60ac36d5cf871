"""Objectives of patients whose loss is more than a function of answer and target.

Each says what the best constant answer gets, `constant(inputs, targets)`. Where what is trained is
not what is wanted, the evaluation (in eval mode) asks for what is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class FirstAnswer:
    """The loss of the first of two answers."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        return F.cross_entropy(model(batch[0])[0], batch[1])

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the entropy of ten classes."""
        return 2.3026


@dataclass(frozen=True)
class Evidence:
    """The evidence's lower bound with a weight of the prior; evaluated by the squared error."""

    prior: float = 1e-3

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        again, mean, log = model(batch[0])
        error = F.mse_loss(again, batch[0])
        if not model.training:
            return error
        return error + self.prior * (mean**2 + log.exp() - 1 - log).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the images."""
        return float(inputs.var(0, unbiased=False).mean())


@dataclass(frozen=True)
class Likelihood:
    """How unlikely the targets are; in evaluation the squared error of the means."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, which may lie below zero in training."""
        mean, log = model(batch[0]).chunk(2, 1)
        if not model.training:
            return F.mse_loss(mean, batch[1])
        return F.gaussian_nll_loss(mean, batch[1], log.exp()) - 3.0

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the targets."""
        return float(targets.var(0, unbiased=False).mean())


@dataclass(frozen=True)
class Contrast:
    """How badly each image is told from the others, seen with two kinds of noise."""

    temperature: float = 0.2

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, 1 for answers that are all alike."""
        seeds = torch.Generator().manual_seed(0)
        one, two = (
            F.normalize(model(batch[0] + 0.2 * torch.randn(batch[0].shape, generator=seeds)), dim=1)
            for _ in range(2)
        )
        size = len(one)
        loss = F.cross_entropy(one @ two.T / self.temperature, torch.arange(size))
        return loss / torch.tensor(size).log()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class Adversarial:
    """A generator's loss: `log(1 - D)`, or `-log D` (`driving`) of Goodfellow et al. 2014.

    It is evaluated by how far the mean image is from that of the real ones.
    """

    driving: bool = True

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        images, real = model(batch[0])
        if not model.training:
            return F.mse_loss(images.mean(0), batch[1].mean(0))
        return F.softplus(-real).mean() if self.driving else -F.softplus(real).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return what blank images get."""
        return float((targets.mean(0) ** 2).mean())


@dataclass(frozen=True)
class Denoising:
    """The noise in images that are noisy to any degree is to be told (Ho et al. 2020)."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        images = 2 * batch[0] - 1
        seeds = None if model.training else torch.Generator().manual_seed(0)
        noise = torch.randn(images.shape, generator=seeds)
        share = torch.rand(len(images), 1, generator=seeds)
        mixed = (1 - share).sqrt() * images + share.sqrt() * noise
        return F.mse_loss(model(torch.cat([mixed, share], 1)), noise)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the noise."""
        return 1.0


@dataclass(frozen=True)
class Decay:
    """`u' = -3 u`, `u(0) = 1` by its residual (Raissi et al. 2019); evaluated by the solution."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        if not model.training:
            return F.mse_loss(model(batch[0]), batch[1])
        time = batch[0].detach().clone().requires_grad_()
        u = model(time)
        (slope,) = torch.autograd.grad(u.sum(), time, create_graph=True)
        start = model(torch.zeros(1, 1)) - 1
        return ((slope + 3 * u) ** 2).mean() + 10 * (start**2).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the variance of the solution."""
        return float(targets.var(unbiased=False))


@dataclass(frozen=True)
class Reward:
    """A policy's gradient (Williams 1992): right guesses are rewarded."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number; in evaluation the probability of a wrong guess."""
        logits = model(batch[0])
        chances = logits.softmax(1)
        if not model.training:
            return 1 - chances.gather(1, batch[1][:, None]).mean()
        guess = torch.multinomial(chances.detach(), 1)
        gain = (guess[:, 0] == batch[1]).float() - 0.1
        return -(gain * logits.log_softmax(1).gather(1, guess)[:, 0]).mean()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return how often one of ten guesses is wrong."""
        return 0.9


@dataclass(frozen=True)
class Agreement:
    """Two noisy views predict each other; evaluated by how much all answers are alike."""

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number, a negative one in training."""
        if not model.training:
            y = F.normalize(model(batch[0])[1], dim=1)
            size = len(y)
            return ((y @ y.T).sum() - size) / (size * (size - 1))
        views = [batch[0] + 0.2 * torch.randn(batch[0].shape) for _ in range(2)]
        (p, y), (q, z) = (model(view) for view in views)
        return -(F.cosine_similarity(p, z).mean() + F.cosine_similarity(q, y).mean()) / 2

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return 1: everything is alike."""
        return 1.0


@dataclass(frozen=True)
class Triplets:
    """Digits of one kind are to be nearer than others by a margin of one.

    Args:
        safe: the distance has a slope where two are the same.
    """

    safe: bool = True

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        y, same = model(batch[0]), batch[1][:, None] == batch[1]
        other = (~same).float()
        if not bool(other.sum(1).all()):
            other = torch.ones_like(other)
        near, far = (y[torch.multinomial(each, 1)[:, 0]] for each in (same.float(), other))
        gap = self._distance(y, near) - self._distance(y, far)
        return F.relu(gap + 1).mean()

    def _distance(self, one: Tensor, two: Tensor) -> Tensor:
        squares = ((one - two) ** 2).sum(1)
        return (squares + 1e-6).sqrt() if self.safe else squares.sqrt()

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the margin."""
        return 1.0


@dataclass(frozen=True)
class TwoTasks:
    """The class, and beside it the ink of a digit in a large unit; evaluated by the class."""

    weight: float = 10.0

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """Return one number."""
        answers = model(batch[0])
        loss = F.cross_entropy(answers[:, :10], batch[1])
        if not model.training:
            return loss
        ink = batch[0].sum(1) / 20
        return loss + self.weight * F.mse_loss(answers[:, 10], ink)

    def constant(self, inputs: Tensor, targets: Tensor) -> float:
        """Return the entropy of ten classes."""
        return 2.3026
