"""The real step of the optimizer, taken on a copy, and what it did to every weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._trace._numbers_at import Numbers, count_of, moved, norm
from .._trace._travelled import TRAVELLED, travelled
from .._trace._untouched import random_state
from ._closure import Asked
from ._copied_step import Gradients, exact_step, step_on_copy
from ._epsilon import measure_epsilon
from ._memory import growth
from ._stepped import Stepped
from ._together import Together

_RESCALING = (
    torch.optim.Adam,
    torch.optim.Adamax,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
)


@dataclass(frozen=True)
class Move:
    """What the step did to one parameter.

    Attributes:
        size: how many numbers it holds.
        weight: `||W||` before the step.
        gradient: `||dL/dW||`.
        with_gradient: how many have a gradient that is not zero.
        moved: how many of those changed.
        changed: how many changed at all.
        step: `||dW||`.
        progress: `-<dL/dW, dW>`, not yet divided by the loss.
        planned: the same of the step as it would be in float64.
        decay: size of weight decay's part of that step; where the optimizer rescales what it
            is given (Adam), of what it is given.
        plain: size of the rest.
        meant: size of that step as a whole.
    """

    size: int
    weight: float
    gradient: float
    with_gradient: int
    moved: int
    changed: int
    step: float
    progress: float
    planned: float
    decay: float
    plain: float
    meant: float


@dataclass(frozen=True)
class Taken:
    """One real step, taken on a copy.

    Attributes:
        moves: what it did, by name of the parameter.
        epsilon: the share of the weights that had a gradient whose step Adam's epsilon sets;
            `None` for other optimizers.
        after: the parameters that the optimizer holds, after the step.
        growing: by name, how many times larger its steps get by momentum.
        part: by name, which of several optimizers steps it.
        calls: how often the step asked for the loss anew.
    """

    moves: dict[str, Move]
    epsilon: float | None
    after: dict[str, nn.Parameter]
    growing: dict[str, float]
    part: dict[str, int]
    calls: int = 0


# A step of which rounding swallows this share of the weights, or less, is the exact one.
_TRACE = 0.005


def take_step(
    model: nn.Module, optimizer: Together, gradients: Gradients, asked: Asked | None = None
) -> Taken:
    """Step a copy of the optimizer and return what happened.

    The caller's weights, optimizer and its hooks are left alone.

    Args:
        model: whose parameters are stepped.
        optimizer: that steps them.
        gradients: by name.
        asked: what a closure is made from, for an optimizer that asks for one.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    before = {name: p for name, p in model.named_parameters() if id(p) in held}
    asked = asked if optimizer.asking else None
    back = (lambda: None) if asked is None else random_state()
    real, used, calls = step_on_copy(before, optimizer, gradients, asked=asked)
    decays = any(group.get("weight_decay", 0) for group in optimizer.param_groups)
    sums = {n: travelled(p, real[n], _dense(gradients.get(n))) for n, p in before.items()}
    rounded = [name for name, each in sums.items() if decays or _is_rounded(each)]
    if asked is None:
        exact = bare = exact_step(before, optimizer, gradients, rounded)
        if decays:
            bare = exact_step(before, optimizer, gradients, rounded, decay=False)
    else:
        given = before, optimizer, gradients, asked
        exact, bare = _with_closure(*given, real, back, decays) if rounded else ({}, {})
    added = _added_decay(optimizer)
    numbers = Numbers()
    for index, (name, weight) in enumerate(before.items()):
        for kind, value in zip(TRAVELLED, sums[name], strict=True):
            numbers.put(kind, index, value)
        if name in exact:
            after = exact[name], bare[name]
            _compare(numbers, index, weight, gradients.get(name), *after)
        if id(weight) in added:
            _compare_decay(numbers, index, weight, gradients.get(name), added[id(weight)])
    measure_epsilon(numbers, used)
    for parameter in real.values():
        parameter.grad = None  # may be the caller's own
    read = numbers.resolve()
    moves = {name: _move(read, i, count_of(p)) for i, (name, p) in enumerate(before.items())}
    small, all_of = read.get("small", {}), read.get("of", {})
    epsilon = sum(small.values()) / max(sum(all_of.values()), 1) if all_of else None
    grown, part = growth(optimizer), optimizer.part
    return Taken(
        moves,
        epsilon,
        real,
        growing={name: grown[id(p)] for name, p in before.items()},
        part={name: part[id(p)] for name, p in before.items()},
        calls=calls,
    )


def _with_closure(
    before: Mapping[str, nn.Parameter],
    optimizer: Together,
    gradients: Gradients,
    asked: Asked,
    real: Mapping[str, nn.Parameter],
    back: Callable[[], None],
    decays: bool,
) -> tuple[Mapping[str, nn.Parameter], Mapping[str, nn.Parameter]]:
    """Return the step that nothing rounds, with decay and without, where the closure has part.

    The whole model runs in float64 for it. One that cannot has the real step in its place.
    """

    def again(exact: bool, decay: bool) -> Mapping[str, nn.Parameter]:
        back()  # what the closure draws, it draws again
        options = {"exact": exact, "decay": decay}
        return step_on_copy(before, optimizer, gradients, asked=asked, **options)[0]

    try:
        exact = again(True, True)
        return exact, again(True, False) if decays else exact
    except Exception:
        return real, again(False, False) if decays else real


def summed(taken: Taken, scale: float) -> Stepped:
    """Sum over the whole network; `scale` is the loss that progress is a fraction of."""
    moves = taken.moves
    with_gradient = sum(move.with_gradient for move in moves.values())
    moved = sum(move.moved for move in moves.values())
    decay = math.hypot(*(move.decay for move in moves.values()))
    plain = math.hypot(*(move.plain for move in moves.values()))
    return Stepped(
        progress=sum(move.progress for move in moves.values()) / scale,
        planned=sum(move.planned for move in moves.values()) / scale,
        lost=1 - moved / with_gradient if with_gradient else 0.0,
        decay=decay / plain if plain else (math.inf if decay else 0.0),
        epsilon=taken.epsilon,
        growing=_growing(taken),
        steady_each=_steady_each(taken, scale),
        calls=taken.calls,
    )


def _growing(taken: Taken) -> float:
    """Return how many times larger the step as a whole gets, its parts weighed by what they do."""
    known = set(taken.growing.values())
    if len(known) < 2:
        return next(iter(known), 1.0)
    whole = sum(move.planned for move in taken.moves.values())
    grown = sum(taken.growing[name] * move.planned for name, move in taken.moves.items())
    mean = grown / whole if whole else math.nan
    return min(max(mean, min(known)), max(known)) if math.isfinite(mean) else max(known)


def _steady_each(taken: Taken, scale: float) -> tuple[float, ...]:
    """Return what each optimizer plans once its momentum is up to its full size."""
    found = [0.0] * (1 + max(taken.part.values(), default=0))
    for name, move in taken.moves.items():
        found[taken.part[name]] += taken.growing[name] * move.planned / scale
    return tuple(found)


def _is_rounded(sums: Tensor) -> bool:
    """Tell whether rounding takes more than a trace of the step, or breaks it.

    On a device this would make the host wait; there the exact step is always taken.
    """
    if sums.device.type != "cpu":
        return True
    known: dict[str, float] = dict(zip(TRAVELLED, sums.tolist(), strict=True))
    if not all(map(math.isfinite, known.values())):
        return True
    return known["with_gradient"] - known["moved"] > _TRACE * known["with_gradient"]


def _compare(
    numbers: Numbers,
    index: int,
    weight: Tensor,
    gradient: Tensor | None,
    exact: Tensor,
    bare: Tensor,
) -> None:
    """Measure the step that nothing rounds, and what of it is decay's."""
    step, progress = moved(weight, exact, _dense(gradient))
    numbers.put("planned", index, -progress)
    numbers.put("meant", index, step)
    if bare is not exact:
        numbers.put("decay", index, moved(bare, exact, None)[0])
        numbers.put("plain", index, moved(weight, bare, None)[0])


def _added_decay(optimizer: Together) -> dict[int, float]:
    """Return, by id of the parameter, the decay that is added to a gradient before it is rescaled.

    Adam and its like bring every step to one size, so that the step itself does not show how much
    of its direction is decay's; what goes into it does.
    """
    own = [each for each in optimizer.each if isinstance(each, _RESCALING)]
    return {
        id(parameter): float(group["weight_decay"])
        for each in own
        for group in each.param_groups
        if not isinstance(each, torch.optim.AdamW)
        and group.get("weight_decay")
        and not group.get("decoupled_weight_decay")
        for parameter in group["params"]
    }


def _compare_decay(
    numbers: Numbers, index: int, weight: Tensor, gradient: Tensor | None, decay: float
) -> None:
    slope = _dense(gradient)
    numbers.put("decay", index, decay * norm(weight))
    numbers.put("plain", index, norm(torch.zeros_like(weight) if slope is None else slope))


def _dense(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:
        return None
    gradient = gradient.detach()
    return gradient.to_dense() if gradient.is_sparse else gradient


def _move(read: Mapping[str, Mapping[int, float]], index: int, size: int) -> Move:
    def known(name: str, otherwise: float) -> float:
        return read.get(name, {}).get(index, otherwise)

    step, progress = math.sqrt(read["step"][index]), -read["progress"][index]
    meant = known("meant", step)
    return Move(
        size=size,
        weight=math.sqrt(read["weight"][index]),
        gradient=math.sqrt(read["gradient"][index]),
        with_gradient=round(read["with_gradient"][index]),
        moved=round(read["moved"][index]),
        changed=round(read["changed"][index]),
        step=step,
        progress=progress,
        planned=known("planned", progress),
        decay=known("decay", 0.0),
        plain=known("plain", meant),
        meant=meant,
    )
