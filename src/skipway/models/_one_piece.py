"""`OnePiece`: a module that may compute what is inside it without calling it."""

from __future__ import annotations

from torch import nn


class OnePiece(nn.Module):
    """A module that calls those inside it only where it has to, and says which these are.

    A hook on one of them would change the way that the module computes, so whoever only wants to
    look reads `in_one_piece` first, as `skipway.watch` does.

    Attributes:
        memory: `"plain"` calls every module inside, one by one.
    """

    memory: str

    @property
    def in_one_piece(self) -> tuple[str, ...]:
        """Names of the modules inside that a hook would make run one by one."""
        return () if self.memory == "plain" else tuple(self._modules)
