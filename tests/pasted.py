"""Paste the source of a rewiring into the plain network, as a reader of it would."""

from __future__ import annotations

import copy
import re
from typing import Any

from torch import nn

from skipway import Rewiring


def pasted(rewiring: Rewiring) -> nn.Module | None:
    """Return the network with the forwards that `source()` shows; `None` where hooks carry some.

    The classes are the user's own again, with nothing changed but `forward`; the new modules are
    where the shown `__init__` puts them.
    """
    assert rewiring.model is not None
    model = copy.deepcopy(rewiring.model)
    for undo in rewiring.undo:
        model.get_submodule(undo.path).__class__ = undo.kind
    head, *pages = rewiring.source().split("\n\n\n")
    for page in pages:
        if "# The forward of" in page:
            return None
        named = re.match(r"# (.*)\n", page)
        for path in named[1].split(", ") if named else [""]:
            _paste(model.get_submodule(path), f"{head}\n{page}")
    return model


def _paste(module: nn.Module, text: str) -> None:
    space: dict[str, Any] = {}
    exec(compile("from __future__ import annotations\n" + text, "<pasted>", "exec"), space)
    name = type(module).__name__
    body = {"forward": vars(space[name])["forward"]}
    module.__class__ = type(name, (type(module),), body)
