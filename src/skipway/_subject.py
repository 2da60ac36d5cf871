"""What a command looks at: a case's network, or any model that can be imported."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

import torch
from torch import nn

from . import cases
from ._cure import inputs_of
from ._errors import CaseError
from .cases._find import close_to, file_module


def subject(spec: str, shape: str | None = None) -> tuple[nn.Module, Any]:
    """Return a model, and inputs that it takes.

    Args:
        spec: a case; or, with a shape, a model or a function that returns one: `file.py:name`
            or `package.module:name`.
        shape: of a random input, `1,3,224,224`.

    Raises:
        CaseError: there is no such case or model, or the shape cannot be read.
    """
    torch.manual_seed(0)
    if shape is not None:
        # Evaluation takes a batch of one, as batch norm in training would not.
        return model_named(spec).eval(), _random(_sizes(shape))
    if ":" in spec and not spec.rpartition(":")[0].endswith(".py"):
        raise CaseError(
            f"{spec!r} names a model, and what it takes is not known. Give the shape of its input: "
            "--shape 1,3,224,224."
        )
    case = cases.find(spec)
    return case.model(), inputs_of(case)


def model_named(spec: str) -> nn.Module:
    """Return the model that `spec` names, or what the function of this name returns.

    Raises:
        CaseError: it cannot be found or built.
    """
    home, _, name = spec.rpartition(":")
    if not home:
        raise CaseError(
            f"{spec!r} with a shape is to name a model: path/to/file.py:name or "
            "package.module:name, such as torchvision.models:resnet18."
        )
    found = _attribute(home, name)
    if isinstance(found, nn.Module):
        return found
    try:
        made = found()
    except (Exception, SystemExit) as error:  # whatever a function of the user's raises
        raise CaseError(
            f"{spec} raised {type(error).__name__} when it was called without arguments: {error}. "
            "Name a model, or a function that needs no argument."
        ) from error
    if not isinstance(made, nn.Module):
        raise CaseError(f"{spec} is no model and returns none, but a {type(made).__name__}.")
    return made


def _attribute(home: str, name: str) -> Any:
    if home.endswith(".py"):
        module = file_module(home)
    else:
        try:
            module = importlib.import_module(home)
        except (Exception, SystemExit) as error:  # whatever it raises while it is imported
            raise CaseError(_unimported(home, error)) from error
    if not hasattr(module, name):
        raise CaseError(f"{home} has no {name!r}.{close_to(name, vars(module))}")
    return getattr(module, name)


def _unimported(home: str, error: BaseException) -> str:
    said = f"{home} cannot be imported: {type(error).__name__}: {error}."
    if not isinstance(error, ModuleNotFoundError):
        return said
    return (
        f"{said} Install it into this Python, {sys.executable}, or name a file: "
        "path/to/file.py:name."
    )


def _random(sizes: tuple[int, ...]) -> torch.Tensor:
    try:
        return torch.randn(sizes)
    except RuntimeError as error:  # more bytes than there are
        raise CaseError(
            f"--shape {','.join(map(str, sizes))} is more than this machine has memory for. Give "
            "smaller sizes; which skips there are does not depend on them."
        ) from error


def _sizes(shape: str) -> tuple[int, ...]:
    words = re.split(r"[,x×]", shape.replace(" ", ""))
    if not all(word.isdigit() and int(word) for word in words):
        raise CaseError(f"--shape {shape!r} is to be sizes with commas between: 1,3,224,224.")
    return tuple(map(int, words))
