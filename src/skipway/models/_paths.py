"""Which way a block was computed, and why: what `explain_path` answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from .._plain import to_plain
from ._given import must_be_module

Path = Literal["fast", "lean", "folded", "plain"]

_MEANINGS = {
    "fast": "nothing concatenated, the norms computed again in the backward",
    "lean": "what is cheap to compute is computed again in the backward",
    "folded": "inference: norms folded",
    "plain": "the modules one by one",
}


@dataclass(frozen=True)
class BlockPath:
    """The way of one block in its latest call.

    Attributes:
        block: its name in the network.
        path: `"fast"`, `"lean"`, `"folded"` or `"plain"`; None before the first call that is not
            compiled.
        reason: why it was not computed leaner; empty where it was.
    """

    block: str
    path: Path | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.path is None:
            return f"{self.block}: not called yet, or compiled, where its modules run"
        return f"{self.block}: {self.path}, {self.reason or _MEANINGS[self.path]}"


ASKED_FOR = BlockPath("", "plain", 'memory="plain" was asked for')


@dataclass(frozen=True)
class Paths:
    """The ways of all blocks of a network, each in its latest call."""

    blocks: tuple[BlockPath, ...]

    def __str__(self) -> str:
        return (
            "\n".join(map(str, self.blocks)) or "There is no block with a choice in this network."
        )

    def to_dict(self) -> dict[str, object]:
        """Return the same as plain data."""
        plain: dict[str, object] = to_plain(self)
        return plain


def explain_path(model: nn.Module) -> Paths:
    """Say which way each block of `model` took in its latest call, and why.

    A call under `torch.compile` or `torch.export` always takes the plain path and is not recorded.

    Args:
        model: one of `skipway.models`, or what `lean` has returned.

    Example:
        >>> import torch
        >>> from skipway import models
        >>> model = models.cifar_resnet(20, memory="lean")
        >>> _ = model(torch.randn(2, 3, 8, 8))
        >>> print(models.explain_path(model).blocks[1])
        layer1.0: lean, what is cheap to compute is computed again in the backward
        >>> _ = model.eval()(torch.randn(2, 3, 8, 8))
        >>> print(models.explain_path(model).blocks[1])
        layer1.0: plain, bn1 is in eval mode
    """
    must_be_module("explain_path", model)
    found = []
    for name, module in model.named_modules():
        latest = getattr(module, "latest_path", None)
        if isinstance(latest, BlockPath):
            found.append(BlockPath(name or latest.block or "the model", latest.path, latest.reason))
    return Paths(tuple(found))
