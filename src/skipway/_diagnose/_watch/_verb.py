"""`watch`: what happens to the layers while someone trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ..._errors import OptimizerError, SkipwayError
from ..._several_optimizers import parts
from ..._trace._watch._across import Across
from ..._trace._watch._layers import bare, find_layers
from ..._trace._watch._outputs import Outputs
from ..._trace._watch._steps import Steps
from ..._trace._watch._turn import Turn
from .._check import check_model, check_optimizer, is_whole
from ._watching import Watch

_OFTEN, _APART = 10, 100  # looks and steps from one look at the outputs to the next
_BETWEEN = 4  # steps from one look at large tensors to the next
WEIGHTS = 2**18  # numbers of large tensors that one look takes on


class Watched(AbstractContextManager[Watch]):
    """What `watch` returns: a context manager that gives the `Watch` when it is entered."""

    def __init__(self, entered: AbstractContextManager[Watch]) -> None:
        self._entered = entered
        self._used = False

    def __enter__(self) -> Watch:
        if self._used:
            raise SkipwayError(
                "This watch was entered before. Call skipway.watch(...) again for another block; "
                "what the first one saw is kept in it.",
                page="watch#watching-a-training",
            )
        self._used = True
        return self._entered.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._entered.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        if hasattr(Watch, name):
            raise SkipwayError(
                f"Nothing is watched before it is entered. Write `with skipway.watch(...) as seen:`"
                f" around the loop, and seen.{name} within.",
                page="watch#every-kind-of-loop",
            )
        raise AttributeError(name)


def watch(
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    every: int = 10,
    outputs: int | None = None,
    scaler: Any = None,
    notify: Callable[[str], None] | None = None,
    weights: int | None = None,
) -> Watched:
    """Watch the layers of a model while you train it, in your own loop.

    Training goes exactly as it would without: hooks on the optimizer read the gradients before
    and the weights before and after its real steps, and hooks on the layers read what passes.
    They are gone on leaving, also after an exception, and what was seen is kept.

    Args:
        model: that is trained; also wrapped in DistributedDataParallel, sharded by `fully_shard`,
            or compiled if it has not run yet.
        optimizer: that trains it, or several.
        every: how many steps from one look to the next. The first step is looked at too.
        outputs: at how many looks once the outputs of the layers are looked at, Adam's epsilon,
            and every single weight; 0 for never. The first three looks are among them. By default
            every tenth, and at least 100 steps lie between them: they cost several times as much.
            Layers that compute in one piece (a dense block of `skipway.models`) are then left
            alone; with a number of yours they compute layer by layer at these looks.
        scaler: the GradScaler, if one is used with an optimizer that is not fused.
        notify: is called with one line for every finding, when it appears; by default it is a
            `SkipwayWarning`.
        weights: how many numbers of large tensors (65,536 and more) one look takes on, one tensor
            at least; they take turns. All of them with a large number; by default 262,144, and
            about four steps apart.

    Returns:
        A context manager that gives the `Watch`.

    Raises:
        ModelError: the model has no parameters, or was compiled and has run before, so that its
            layers cannot be seen any more.
        OptimizerError: an optimizer holds none of the model's parameters.
        LossError: the loss that was handed in is not the one that backward() is called on.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> x = torch.randn(64, 4)
        >>> with watch(net, optimizer) as seen:
        ...     for _ in range(15):
        ...         optimizer.zero_grad()
        ...         seen.loss((net(x) - x.sum(1, keepdim=True)).square().mean()).backward()
        ...         optimizer.step()
        >>> seen.step, seen.diagnosis().cause, round(seen.scalars()["loss"], 2)
        (15, 'healthy', 0.08)
    """
    make = partial(
        _made,
        model,
        optimizer,
        every=every,
        outputs=outputs,
        scaler=scaler,
        notify=notify,
        weights=weights,
    )
    return Watched(_around(make))


@contextmanager
def _around(make: Callable[[], tuple[Watch, Steps]]) -> Iterator[Watch]:
    made, steps = make()  # on entering: hooks of a compiled model are placed with it
    try:
        steps.place()
        yield made
    finally:
        steps.remove()


def _made(
    model: nn.Module,
    optimizer: Any,
    *,
    every: int,
    outputs: int | None,
    scaler: Any,
    notify: Callable[[str], None] | None,
    weights: int | None,
) -> tuple[Watch, Steps]:
    check_model(model)
    inner, _ = bare(model)
    optimizers = [_bare_optimizer(each) for each in _several(optimizer)]
    if not optimizers or None in optimizers:
        raise OptimizerError(
            "watch looks at the steps of the optimizer that trains the model, and was given none."
        )
    for each in optimizers:
        check_optimizer(each, inner)
    every, outputs, weights = _whole(every, outputs, weights)
    _check_named(scaler, notify)
    whole, layers = outputs is None, find_layers(model)
    if outputs is None:
        outputs = max(_OFTEN, math.ceil(_APART / every))
    parameters = [each.parameter for each in layers.owned]
    across = Across(model, parameters)
    places = {id(each): at for at, each in enumerate(parameters)}
    names = [each.layer for each in layers.owned]
    most = WEIGHTS if weights is None else weights
    pause = math.ceil(_BETWEEN / every) if weights is None else 1
    turns = [Turn(each, names, places, every, outputs, most, pause) for each in optimizers]
    looked = layers.apart() if whole else layers
    seen = None
    if outputs and looked.modules:
        seen = Outputs(looked.modules, lasting=looked.compiled, parts=looked.parts)
    made: list[Watch] = []
    steps = Steps(turns, seen, across, scaler, lambda turn, step: made[0]._see(turn, step))
    made.append(Watch(layers, turns, steps, across, notify))
    return made[0], steps


def _whole(every: Any, outputs: Any, weights: Any) -> tuple[int, int | None, int | None]:
    given = [each for each in (every, outputs, weights) if each is not None]
    if every is None or not all(is_whole(each) and each >= 0 for each in given) or every < 1:
        raise OptimizerError(
            f"every={every!r}, outputs={outputs!r}, weights={weights!r}: each is a whole number, "
            "every 1 or more, outputs and weights 0 or more.",
            page="watch#what-it-costs",
        )
    outputs, weights = (None if each is None else int(each) for each in (outputs, weights))
    return int(every), outputs, weights


def _check_named(scaler: Any, notify: Any) -> None:
    if notify is not None and not callable(notify):
        raise SkipwayError(
            f"notify is of type {type(notify).__name__}, and cannot be called. Give a function "
            "that takes one line of text, such as print.",
            page="watch#what-it-says-and-when",
        )
    if scaler is not None and not hasattr(scaler, "get_scale"):
        raise OptimizerError(
            f"scaler is of type {type(scaler).__name__}. Give the torch.amp.GradScaler that scales "
            "the loss, or leave it out where there is none.",
            page="watch#every-kind-of-loop",
        )


def _several(optimizer: Any) -> list[Any]:
    given = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
    # What a case makes of a list steps each of them; theirs are the state, the rates and the hooks.
    return [
        part for each in given for part in (parts(each) if isinstance(each, Optimizer) else (each,))
    ]


def _bare_optimizer(optimizer: Any) -> Any:
    # Accelerate wraps the optimizer in another one, whose own hooks never fire.
    inner = getattr(optimizer, "optimizer", None)
    return inner if isinstance(inner, Optimizer) else optimizer
