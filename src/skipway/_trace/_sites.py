"""Where in the user's code a sum stands: the method, and the place in its text."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn

from .._case import call
from ._graph import Graph
from ._observe import record
from ._untouched import untouched

_OPS = {"add"}
_HERE = str(Path(__file__).parent)
# The frame of an operator of a tensor that torch wraps in Python.
_WRAPPERS = (_HERE, str(Path(torch.__file__).parent / "_tensor.py"))


@dataclass(frozen=True)
class Site:
    """The place of one call.

    Attributes:
        owner: path of the module whose method holds it.
        code: of that method.
        lines: first and last line in its file, from 1.
        columns: where it begins and ends in them, in bytes; `None` where Python does not keep it
            (before 3.11).
        hits: how many calls of one run have this place, in this module.
    """

    owner: str
    code: CodeType
    lines: tuple[int, int]
    columns: tuple[int, int] | None
    hits: int = 1


def observe_sites(model: nn.Module, inputs: Any) -> tuple[Graph, dict[int, Site]]:
    """Return the graph of `model(inputs)` and, by node, where its sums are written.

    A sum that is no part of a module's method (of a function, a comprehension) has no site. The
    model is left untouched.

    Raises:
        ModelError: the model raises in forward.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    found: dict[int, Site] = {}

    def visit(index: int, op: str, tensor: Tensor, module: str, arguments: tuple[Any, ...]) -> None:
        if op in _OPS:
            site = _site(sys._getframe(1), paths)
            if site is not None:
                found[index] = site

    with untouched(model), torch.no_grad():
        graph, _ = record(model, lambda: call(model, inputs), visit=visit)
    hits = Counter(found.values())
    return graph, {
        index: Site(s.owner, s.code, s.lines, s.columns, hits[s] // graph.calls.get(s.owner, 1))
        for index, s in found.items()
    }


def _site(frame: FrameType | None, paths: dict[int, str]) -> Site | None:
    while frame is not None and frame.f_code.co_filename.startswith(_WRAPPERS):
        frame = frame.f_back
    if frame is None or not frame.f_code.co_argcount:
        return None
    code = frame.f_code
    owner = paths.get(id(frame.f_locals.get(code.co_varnames[0])))
    if owner is None:
        return None
    return Site(owner, code, *_position(code, frame))


def _position(code: CodeType, frame: FrameType) -> tuple[tuple[int, int], tuple[int, int] | None]:
    if sys.version_info >= (3, 11):
        start, end, left, right = list(code.co_positions())[frame.f_lasti // 2]
        if None not in (start, end, left, right):
            return (start, end), (left, right)  # type: ignore[return-value]  # none is None
    return (frame.f_lineno, frame.f_lineno), None
