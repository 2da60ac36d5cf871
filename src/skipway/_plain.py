"""Frozen dataclasses to plain data (what JSON can hold) and back.

JSON has no NaN and no infinity, and a diagnosis must be able to say both, so they travel as the
strings `"nan"`, `"inf"` and `"-inf"`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import sys
import types
import typing
from collections.abc import Container, Mapping
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
    if origin is typing.Literal and value not in arguments:
        raise RunError(f"The data holds {value!r} where one of {', '.join(arguments)} belongs.")
    if kind in (str, int, bool) and not isinstance(value, kind):
        raise RunError(f"The data holds {value!r} where {_WORDS[kind]} belongs.")
    return value


_WORDS = {str: "a text", int: "a whole number", bool: "true or false"}


def _instance(kind: type, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise RunError(f"The data holds {value!r} where a {kind.__name__} belongs.")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.metadata.get("plain", True)}
    hints = _hints(kind, fields)
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


def _hints(kind: type, names: Container[str]) -> dict[str, Any]:
    """Return the annotations of these fields; others may name what is not imported (torch)."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        known = inspect.get_annotations(base)
        own = types.SimpleNamespace(__annotations__={n: known[n] for n in known if n in names})
        found.update(typing.get_type_hints(own, vars(sys.modules[base.__module__])))
    return found


def _tuple(arguments: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(from_plain(arguments[0], item) for item in value)
    return tuple(from_plain(each, item) for each, item in zip(arguments, value, strict=True))
