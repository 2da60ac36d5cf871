"""What a call is named, and the tensors in what it takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors inside nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in tensors(item)]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in tensors(item)]
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return tensors(list(vars(value).values()))
    return []


def name_of(func: Any) -> str:
    """Return the name of a torch function; `x += y` and `y + x` are called `add` too."""
    name: str = getattr(func, "__name__", type(func).__name__)
    name = name.strip("_")
    return {"iadd": "add", "radd": "add", "isub": "sub", "rsub": "sub"}.get(name, name)
