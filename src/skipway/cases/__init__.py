"""The built-in cases, and finding a case by name or in a file.

Importing this module does not import torch; `load` does, for the case it loads.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .._errors import CaseError
from ._find import case_in_file, close_to

if TYPE_CHECKING:
    from .._case import Case

__all__ = ["find", "load", "names", "summaries"]

_SUMMARIES = {
    "plain-mlp": "50 hidden layers in a row with ReLU and nothing around them; vanishing",
    "plain-cnn": "40 convolutions in a row without normalisation; vanishing",
    "tanh-mlp": "30 hidden layers with tanh; vanishing",
    "sigmoid-mlp": "30 hidden layers with sigmoid; vanishing, without saturation",
    "plain-rnn": "one recurrent layer over 40 steps of time; vanishing",
    "healthy-mlp": "3 layers, well started, at a good learning rate; nothing to cure",
    "dead-relu": "biases far below zero switch nearly every unit off; dead units",
    "tiny-learning-rate": "the healthy network at a learning rate of 0.0000001",
    "huge-learning-rate": "the healthy network at a learning rate of 30",
    "bf16-updates": "bfloat16 weights and steps too small for them; lost to rounding",
    "frozen": "every weight was frozen, the new head's too",
    "detached": "a detach in the middle of forward cuts the gradient off",
    "solved": "a network that has already learned the task",
}


def names() -> tuple[str, ...]:
    """Return the names of the built-in cases, the default one first.

    Example:
        >>> from skipway import cases
        >>> cases.names()[0]
        'plain-mlp'
    """
    return tuple(_SUMMARIES)


def summaries() -> dict[str, str]:
    """Return one line about each built-in case, by name.

    Example:
        >>> from skipway import cases
        >>> cases.summaries()["solved"]
        'a network that has already learned the task'
    """
    return dict(_SUMMARIES)


def load(name: str) -> Case:
    """Return a built-in case.

    Raises:
        CaseError: there is none of this name; the message lists close ones.

    Example:
        >>> from skipway import cases
        >>> cases.load("healthy-mlp").batch_size
        64
    """
    if name not in _SUMMARIES:
        raise CaseError(
            f"No built-in case is called {name!r}.{close_to(name, names())} "
            "`skipway cases` lists them all; a case of your own is given as path/to/file.py."
        )
    module = importlib.import_module(f"{__name__}._{name.replace('-', '_')}")
    case: Case = module.case
    return case


def find(spec: str) -> Case:
    """Return the case that `spec` means: a built-in name, or `path/to/file.py[:name]`.

    Without `:name` the file's `case` is taken, or else the only `Case` it holds. A case from a
    file can be sent to worker processes, which need not be able to import the file.

    Raises:
        CaseError: no such case, file or name, or the file raises while it is imported; the
            message gives the line.

    Example:
        >>> from skipway import cases
        >>> cases.find("plain-mlp").name
        'plain-mlp'
    """
    path, separator, name = spec.rpartition(":")
    if not separator or not path.endswith(".py"):
        path, name = spec, ""
    if path.endswith(".py"):
        return case_in_file(path, name)
    return load(spec)
