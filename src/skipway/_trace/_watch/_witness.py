"""What becomes of a gradient between backward and the step: clipping takes a part of it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

_ENOUGH = 8  # numbers that tell a factor from a change of direction


class Witness:
    """One small weight, whose gradient is seen as it arrives and again as the step gets it.

    The numbers of a step are of the gradient that the step gets. What it takes off the loss depends
    on the one that arrived: a norm clipped to a thousandth would make it look like a thousandth.
    It is there at deep looks, and at all others too once anything has changed a gradient in place.

    Args:
        parameters: of an optimizer.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        fit = [each for each in parameters if each.requires_grad and each.numel() >= _ENOUGH]
        self.parameter = min(fit, key=lambda each: each.numel(), default=None)
        self._arrived: Tensor | None = None
        self._handle: RemovableHandle | None = None
        self._changed = False

    def attend(self, *, looked: bool, deep: bool = False) -> None:
        """Be there while gradients of a step that is looked at arrive, and not while others do."""
        wanted = looked and (deep or self._changed)
        if not wanted and self._handle is not None:
            self._handle.remove()
            self._handle = None
        elif wanted and self._handle is None and self.parameter is not None:
            self._handle = self.parameter.register_post_accumulate_grad_hook(self._see)  # type: ignore[no-untyped-call]

    def _see(self, parameter: Tensor) -> None:
        grad = parameter.grad
        if grad is not None and grad.layout == torch.strided:
            self._arrived = grad.detach().clone()

    def kept(self) -> float | None:
        """Return the factor between what arrived and what is there; 1 where it is no factor.

        `None` where it was not there, and something has begun to change gradients meanwhile.
        """
        was, self._arrived = self._arrived, None
        now = None if self.parameter is None else self.parameter.grad
        if now is None:
            return 1.0
        if self._handle is None:
            self._changed = now._version > 0  # counts changes in place; those of `.data` it misses
            return None if self._changed else 1.0
        if was is None or now.layout != torch.strided or was.is_complex():
            return 1.0
        same = torch.equal(was, now)
        self._changed |= not same or now._version > 0
        if same:
            return 1.0
        before, after = was.double().flatten(), now.detach().double().flatten()
        factor = (before @ after) / (before @ before)
        away = (after - factor * before).norm() / after.norm()
        found, apart = torch.stack([factor, away]).tolist()
        # Rounded numbers are a factor apart to their last digits; NaN is no factor.
        return found if found > 0 and apart < 4 * torch.finfo(now.dtype).eps else 1.0
