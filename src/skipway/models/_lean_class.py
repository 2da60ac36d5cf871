"""Subclasses of somebody's dense blocks that choose their way, and can be pickled."""

from __future__ import annotations

import copyreg
import functools
from typing import Any

import torch
from torch import Tensor

from ._dense._run import ChoosesPath
from ._paths import BlockPath


@functools.cache
def lean_class(base: Any) -> Any:
    """Return the class of a block of class `base` that runs `base.forward` as its plain way."""

    def run_modules(self: Any, x: Tensor) -> Tensor:
        out: Tensor = base.forward(self, x)
        return out

    # Whatever the block's own forward takes, under its own names.
    def forward(self: Any, *given: Any, **named: Any) -> Any:
        if len(given) == 1 and not named:
            return ChoosesPath.forward(self, given[0])
        if not torch.compiler.is_compiling():
            self.latest_path = BlockPath("", "plain", "it was called with more than its input")
        return base.forward(self, *given, **named)

    kind: Any = type(base)
    return kind(
        base.__name__,
        (ChoosesPath, base),
        {
            "__doc__": base.__doc__,
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__reduce_ex__": _reduce_ex,
            "_skipway_base": base,
            "forward": forward,
            "run_modules": run_modules,
        },
    )


def _reduce_ex(self: ChoosesPath, protocol: Any) -> Any:
    # The class has no importable name; its base has.
    base: Any = type(self).__dict__.get("_skipway_base")
    reduced: Any = super(ChoosesPath, self).__reduce_ex__(max(2, int(protocol)))
    build, args, *rest = reduced
    if base is not None and build is copyreg.__newobj__:  # type: ignore[attr-defined]
        return (_rebuild, (base, *args[1:]), *rest)
    return reduced


def _rebuild(base: Any, *args: Any) -> Any:
    kind = lean_class(base)
    return kind.__new__(kind, *args)
