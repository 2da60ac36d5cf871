"""Calls of what torch.jit compiled, seen from outside: no Python runs within."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

# Called with what runs, its positional and its keyword arguments; returns the output.
See = Callable[[Callable[[], Any], tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def scripted_calls(see: See) -> Iterator[None]:
    """Let `see` make every call of a scripted function or method in this thread.

    Neither a `TorchFunctionMode` nor a hook learns of them; their classes have a `__call__` that
    is put back on leaving.
    """
    kinds: list[Any] = [torch._C.ScriptFunction, torch._C.ScriptMethod]
    before = [kind.__call__ for kind in kinds]
    here = threading.get_ident()

    def seen(own: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != here:
                return own(self, *args, **kwargs)
            return see(lambda: own(self, *args, **kwargs), args, kwargs)

        return call

    try:
        for kind, own in zip(kinds, before, strict=True):
            kind.__call__ = seen(own)
        yield
    finally:
        for kind, own in zip(kinds, before, strict=True):
            kind.__call__ = own
