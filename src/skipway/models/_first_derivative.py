"""What a backward of its own cannot do: be differentiated itself."""

from __future__ import annotations

import torch

from .._errors import SkipwayError


def first_derivative_only(path: str = 'memory="lean"') -> None:
    """Raise where the backward of `path` is itself to be differentiated.

    Raises:
        SkipwayError: it is.
    """
    if torch.is_grad_enabled():
        raise SkipwayError(
            f"{path} has no second derivative, and create_graph=True asks for one. Set "
            'memory="plain" on the network.',
            page="models#what-it-does-not-do",
        )
