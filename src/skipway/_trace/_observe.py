"""Run a model once and get the graph of what it did."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any, TypeVar

import torch
from torch import nn

from .._case import call
from .._errors import ModelError, SkipwayError
from ._alter import Alteration
from ._graph import Graph
from ._recorder import Recorder, Visit
from ._scripted import scripted_calls
from ._untouched import untouched

T = TypeVar("T")


def observe(model: nn.Module, inputs: Any) -> Graph:
    """Return the graph of `model(inputs)`; the model is left untouched.

    Args:
        model: any module that runs eagerly.
        inputs: a tensor, a tuple of positional or a dict of keyword arguments.

    Raises:
        ModelError: the model raises in forward; the message names the module.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> [unit.name for unit in observe(net, torch.randn(3, 4)).units]
        ['0', '2']
    """
    with untouched(model), torch.no_grad():
        graph, _ = record(model, lambda: call(model, inputs))
        if not graph.units:
            graph, _ = record(model, lambda: call(model, inputs), kept=True)
    return graph


def record(
    model: nn.Module,
    run: Callable[[], T],
    *,
    visit: Visit | None = None,
    alter: Alteration | None = None,
    kept: bool = False,
) -> tuple[Graph, T]:
    """Call `run`, which calls the model, and return the graph of what the model did.

    Only calls inside the model's forward are recorded, not the loss around it. Hooks are removed
    on leaving, also after an exception. The model's state is the caller's to protect
    (`untouched`).

    Args:
        model: that `run` calls.
        run: a function without arguments.
        visit: sees every output.
        alter: changes the ways of the gradient; what it joins is recorded as a sum.
        kept: what a weight layer reads and the model keeps counts as an input, for a model whose
            layers read none of those it is given: the features of a whole graph of which the
            inputs say which nodes are asked for.

    Raises:
        ModelError: the model raises in forward, or `run` never called it.
    """
    recorder = Recorder(model, visit, alter, kept)
    with ExitStack() as stack:
        stack.enter_context(_eager())
        stack.enter_context(recorder.hooks())
        stack.enter_context(scripted_calls(recorder.scripted))
        stack.enter_context(recorder)
        try:
            value = run()
        except SkipwayError:
            raise
        except Exception as error:
            if recorder.stack:
                raise recorder.failure(error) from error
            raise
    if not recorder.called:
        raise ModelError(
            f"The model ({type(model).__name__}) was never called. An objective has to call the "
            "model it is given: objective(model, batch)."
        )
    return recorder.graph(), value


def _eager() -> Any:
    # Hooks that are added after torch.compile's first run never fire, and say nothing.
    stance = getattr(torch.compiler, "set_stance", None)
    return nullcontext() if stance is None else stance("force_eager")
