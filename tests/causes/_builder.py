"""What the held-out sets are built with: a case from parts, and a patient with the usual cures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from skipway import Case

from . import _data as data
from ._patient import Patient, Scaled

PAIRS: Mapping[str, Callable[[], Any]] = {
    "digits": lambda: data.digits(64),
    "images": lambda: data.digits(1, 8, 8),
    "pairs": data.pairs,
    "missing": data.missing,
    "noise": lambda: tuple((x[:, :8] * 4 - 2, x) for x, _ in data.digits(64)),
    "masks": data.masks,
    "waves": data.waves,
    "one wave": lambda: tuple((x, y[:, 0]) for x, y in data.waves()),
    "tokens": data.tokens,
    "rare": data.rare,
    "decay": data.decay,
    "nodes": data.nodes,
}


def build(
    network: Callable[..., nn.Module],
    pairs: Any,
    optimizer: Any,
    batch: int,
    kind: str,
    objective: Any = None,
    factor: float = 1.0,
    **settings: Any,
) -> Case:
    """Return a case.

    Args:
        network: built from `settings`.
        pairs: inputs and targets to train on, and to test.
        optimizer: a function of the parameters.
        batch: its size.
        kind: of the loss.
        objective: instead of it, with what the best constant answer gets.
        factor: of the loss.
        settings: of the network.
    """
    train, test = pairs
    constant = objective.constant(*test) if objective else 1.0
    return Case(
        model=functools.partial(network, **settings),
        train=train,
        test=test,
        loss=None if objective else Scaled(kind, factor),
        objective=objective,
        metric=(lambda _, __: constant) if objective else None,
        optimizer=optimizer,
        batch_size=batch,
    )


def in_units(pairs: Any, inputs_by: float = 1.0, targets_by: float = 1.0) -> Any:
    """Return the pairs with inputs and targets in other units."""
    if (inputs_by, targets_by) == (1.0, 1.0):
        return pairs
    return tuple((_by(inputs, inputs_by), _by(targets, targets_by)) for inputs, targets in pairs)


def _by(tensor: Tensor, factor: float) -> Tensor:
    return tensor if factor == 1 else tensor * factor


def patient(
    family: Callable[..., Case],
    name: str,
    network: Callable[..., nn.Module],
    optimizer: Any,
    cures: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    steps: int,
    goal: float = 0.7,
    before: int = 0,
    rates: float = 10.0,
    **settings: Any,
) -> Patient:
    """Return a patient; one with cures is also tried at a rate `rates` times as large and small."""
    every = dict(cures or {})
    if cures is not None:
        for word, rate in (
            ("larger rate", optimizer.rate * rates),
            ("smaller rate", optimizer.rate / rates),
        ):
            every.setdefault(word, {"optimizer": replace(optimizer, rate=rate)})
    own = {"network": network, "optimizer": optimizer, **settings}
    return Patient(
        name=name, family=family, settings=own, cures=every, steps=steps, goal=goal, before=before
    )
