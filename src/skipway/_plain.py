"""Frozen dataclasses to plain data (what JSON can hold) and back.

JSON has no NaN and no infinity, and a diagnosis must be able to say both, so they travel as the
strings `"nan"`, `"inf"` and `"-inf"`.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from ._errors import RunError


def to_plain(value: Any) -> Any:
    """Turn a dataclass, tuple, mapping or scalar into lists, dicts, strings and numbers.

    Fields marked with `metadata={"plain": False}` (a model, say) are left out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata.get("plain", True)
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_plain(kind: Any, value: Any) -> Any:
    """Rebuild an instance of `kind` (a dataclass or an annotation) from `to_plain`'s output.

    Raises:
        RunError: a field is missing or unknown, which means another version wrote the data.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _instance(kind, value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [each for each in arguments if each is not type(None)]
        return from_plain(inner, value)
    if origin is tuple:
        return _tuple(arguments, value)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {key: from_plain(arguments[1], item) for key, item in value.items()}
    if kind is float:
        return float(value)
    return value


def _instance(kind: type, value: Any) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.metadata.get("plain", True)}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise RunError(
            f"The data holds {', '.join(unknown)}, which {kind.__name__} does not know: "
            "another version of skipway wrote it. Read it with that version."
        )
    given = {name: from_plain(hints[name], value[name]) for name in fields if name in value}
    try:
        return kind(**given)
    except TypeError as error:
        raise RunError(f"The data is no whole {kind.__name__}: {error}.") from error


def _tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(from_plain(arguments[0], item) for item in value)
    return tuple(from_plain(each, item) for each, item in zip(arguments, value, strict=True))
