"""What a tensor was computed from where nothing was seen of how: torch.jit, extensions in C++.

No Python runs there, so no call is written down. Autograd knows the way all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Origins:
    """Which node of autograd's graph belongs to which node that was written down."""

    def __init__(self) -> None:
        self._made: dict[Any, int] = {}

    def put(self, tensor: Tensor, index: int) -> None:
        """Remember where a tensor was made."""
        with torch._C.DisableTorchFunction():
            if tensor.grad_fn is not None:
                self._made[tensor.grad_fn] = index

    def behind(
        self, tensor: Tensor, parameters: Mapping[int, str]
    ) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
        """Return the nodes and the parameters that a tensor was computed from.

        Args:
            tensor: that was never written down.
            parameters: names by id.

        Returns:
            Nodes that were written down and names, nearest first; `None` without a gradient.
        """
        with torch._C.DisableTorchFunction():
            start = tensor.grad_fn
        if start is None:
            return None
        inputs: dict[int, None] = {}
        names: dict[str, None] = {}
        seen, waiting = {start}, [start]
        for step in waiting:  # grows meanwhile
            if step in self._made:
                inputs[self._made[step]] = None
                continue
            leaf = getattr(step, "variable", None)
            if leaf is not None and id(leaf) in parameters:
                names[parameters[id(leaf)]] = None
            for further, _ in step.next_functions:
                if further is not None and further not in seen:
                    seen.add(further)
                    waiting.append(further)
        return tuple(inputs), tuple(names)
