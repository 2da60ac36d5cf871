"""The imports that a method needs where it is pasted."""

from __future__ import annotations

import builtins
from types import ModuleType
from typing import Any

import torch

from ._method import Method, free_names

_USUAL = {
    ("torch", "torch"): "import torch",
    ("nn", "torch.nn"): "from torch import nn",
    ("F", "torch.nn.functional"): "from torch.nn import functional as F",
}


def imports_of(method: Method) -> set[str]:
    """Return the lines that import what the method reads from its module."""
    home = method.function.__module__
    found = set()
    for name, value in free_names(method).items():
        line = _import(name, value, home)
        if line:
            found.add(line)
    return found


def _import(name: str, value: Any, home: str) -> str:
    if isinstance(value, ModuleType):
        return _module(name, value.__name__)
    if home in ("__main__", "builtins") or home.startswith("skipway_case_"):
        return ""  # it is known where the user's own class is
    if getattr(builtins, name, None) is value:
        return ""
    for place in (torch, torch.nn):
        if getattr(place, name, None) is value:
            return f"from {place.__name__} import {name}"
    return f"from {home} import {name}"


def _module(name: str, path: str) -> str:
    usual = _USUAL.get((name, path))
    if usual:
        return usual
    parent, _, last = path.rpartition(".")
    if not parent:
        return f"import {path}" if name == path else f"import {path} as {name}"
    return f"from {parent} import {last}" + ("" if name == last else f" as {name}")
