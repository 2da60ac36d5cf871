"""What is said of a model that raises."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .._errors import ModelError
from ._graph import Node


def failure(model: nn.Module, path: str, nodes: Sequence[Node], error: Exception) -> ModelError:
    """Say where a model raised, and on which inputs."""
    module = model.get_submodule(path)
    where = f"in `{path}` ({type(module).__name__})" if path else "in its own forward"
    shapes = ", ".join(f"{node.dtype} {list(node.shape)}" for node in nodes if node.op == "input")
    said = str(error).strip().partition("\n")[0].rstrip(".")
    return ModelError(
        f"The model ({type(model).__name__}) raised {type(error).__name__} {where}: "
        f"{said or 'no message'}. "
        f"It was given {shapes or 'no tensor'}. Check that these inputs are what its forward "
        "takes, and that the model runs on them by itself."
    )
