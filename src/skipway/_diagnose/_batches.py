"""One batch in parts, or several batches: what a diagnosis is measured on."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from torch import Tensor

from .._errors import BatchError
from ._check import check_batch, is_whole
from ._words import plural


def parts_of(batch: Any, batches: Any, size: int, pair: bool) -> list[tuple[Any, int]]:
    """Return what to measure on, each with its number of samples.

    Args:
        batch: the batch that was given.
        batches: into how many parts to cut it, or further batches.
        size: of the batch.
        pair: whether batches are `(inputs, targets)`.

    Raises:
        BatchError: parts of less than two samples, or a further batch that is none.
    """
    if is_whole(batches):
        return _cut(batch, int(batches), size)
    if isinstance(batches, (str, Tensor, Mapping)) or not isinstance(batches, Iterable):
        raise BatchError(
            f"batches is of type {type(batches).__name__}; give a number of parts to cut the batch "
            "into, or a list of further batches: batches=[(inputs, targets), ...]."
        )
    checked = [
        (each, check_batch(each, pair, f"Batch {number} of batches="))
        for number, each in enumerate(batches, 1)
    ]
    return [(batch, size), *((each, max(found, 1)) for each, found in checked)]


def _cut(batch: Any, number: int, size: int) -> list[tuple[Any, int]]:
    if number < 1:
        raise BatchError(f"batches={number} measures nothing; give 1 or more.")
    if number == 1:
        return [(batch, size)]
    each = size // number
    if each < 2:
        raise BatchError(
            f"{plural(size, 'sample')} cannot be cut into {number} batches of two or more. Give a "
            "larger batch, or fewer batches."
        )
    starts = range(0, each * number, each)
    return [(_part(batch, size, slice(start, start + each)), each) for start in starts]


def _part(value: Any, size: int, piece: slice) -> Any:
    if isinstance(value, Tensor):
        return value[piece] if value.dim() and len(value) == size else value
    if isinstance(value, Mapping):
        # A kind of its own, such as a tokenizer's, stays what it is.
        own = copy.copy(value) if isinstance(value, MutableMapping) else dict(value)
        own.update({key: _part(each, size, piece) for key, each in value.items()})
        return own
    if isinstance(value, (tuple, list)):
        parts = [_part(each, size, piece) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        twin = copy.copy(value)
        for name, each in vars(value).items():
            object.__setattr__(twin, name, _part(each, size, piece))  # a frozen one too
        return twin
    return value
