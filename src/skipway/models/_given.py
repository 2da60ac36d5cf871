"""What a verb of `skipway.models` was given must be a network."""

from __future__ import annotations

from torch import nn

from .._errors import ModelError


def must_be_module(verb: str, model: object) -> None:
    """Raise an error where somebody gives a class, a path or a number for a network.

    Raises:
        ModelError: it is no `torch.nn.Module`.
    """
    if isinstance(model, nn.Module):
        return
    given = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise ModelError(
        f"{verb} was given {given}, not a network: give it a torch.nn.Module.",
        page="models#which-there-are",
    )


def must_not_be_compiled(verb: str, model: nn.Module) -> None:
    """Raise an error for what `torch.compile` has made: in there, every block runs its modules.

    Raises:
        ModelError: the module is a compiled one.
    """
    if hasattr(model, "_orig_mod"):
        raise ModelError(
            f"{verb} was given a compiled model, and under torch.compile every block runs its "
            f"modules one by one. Give it the model itself, {verb}(model._orig_mod).",
            page="models#your-own-densenet",
        )
