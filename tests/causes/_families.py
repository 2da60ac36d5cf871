"""Families of patients: a network and its data, built from plain settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipway import Case

from . import _data as data
from . import _networks as networks
from . import _sequences as sequences
from ._patient import problem

_OF_THE_PROBLEM = set(inspect.signature(problem).parameters)


def _case(network: Callable[..., nn.Module], pairs: Any, settings: dict[str, Any]) -> Case:
    of_problem = {key: value for key, value in settings.items() if key in _OF_THE_PROBLEM}
    of_network = {key: value for key, value in settings.items() if key not in _OF_THE_PROBLEM}
    return problem(functools.partial(network, **of_network), *pairs, **of_problem)


def mlp(**settings: Any) -> Case:
    """Digits by a fully connected network."""
    return _case(networks.MLP, data.digits(64), settings)


def regression(**settings: Any) -> Case:
    """Two numbers from sixteen, by the squared error."""
    return _case(
        networks.MLP, data.waves(), {"inputs": 16, "outputs": 2, "kind": "square", **settings}
    )


def convolutions(**settings: Any) -> Case:
    """Digits as images by convolutions."""
    return _case(networks.Convolutions, data.digits(1, 8, 8), settings)


def resnet(**settings: Any) -> Case:
    """Digits as images by a small ResNet."""
    return _case(networks.ResidualImages, data.digits(1, 8, 8), settings)


def recurrent(*, length: int = 24, told: int = -1, **settings: Any) -> Case:
    """One class out of four, told at one step of a noisy sequence."""
    return _case(sequences.Steps, data.memory(length, told), settings)


def transformer(**settings: Any) -> Case:
    """Which of four tokens occurs in a sequence; with `outputs=0` the next token."""
    pairs = data.tokens() if settings.get("outputs", 4) else data.text()
    return _case(sequences.Transformer, pairs, {"optimizer": "adam", "rate": 3e-3, **settings})


def bag(**settings: Any) -> Case:
    """Which of four tokens occurs in a sequence, by the mean of embeddings."""
    return _case(sequences.Bag, data.tokens(), settings)


def unet(**settings: Any) -> Case:
    """Where the ink of a noisy digit is."""
    return _case(networks.Unet, data.masks(), {"kind": "binary", **settings})


def autoencoder(**settings: Any) -> Case:
    """Digits through a bottleneck and back."""
    pairs = tuple((images, images) for images, _ in data.digits(64))
    return _case(networks.Autoencoder, pairs, {"kind": "square", **settings})


def two_parts(**settings: Any) -> Case:
    """Digits by two branches that are concatenated."""
    return _case(networks.TwoParts, data.digits(64), settings)


def dict_output(**settings: Any) -> Case:
    """Digits by a network that answers with a dict, under an objective."""

    def objective(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0])["logits"], batch[1])

    constant = float(torch.tensor(10.0).log())
    return _case(
        networks.DictOutput,
        data.digits(64),
        {"objective": objective, "constant": constant, **settings},
    )


def below_zero(*, lift: float = 20.0, **settings: Any) -> Case:
    """Regression under a loss with a large negative constant, whose size says nothing."""

    def objective(model: nn.Module, batch: Any) -> Tensor:
        # The evaluation asks for what is above the constant; training sees all of it.
        error = F.mse_loss(model(batch[0]), batch[1])
        return error - (lift if model.training else 0.0)

    pairs = data.waves()
    constant = float(pairs[1][1].var(0, unbiased=False).mean())
    return _case(
        networks.MLP,
        pairs,
        {"inputs": 16, "outputs": 2, "objective": objective, "constant": constant, **settings},
    )
