"""torch's transformer layer has a compiled twin of its forward, which knows no other rule."""

from __future__ import annotations

import ast
import textwrap

from torch import nn

from .._code._method import Method

_FIRST, _LAST = "is_fastpath_enabled", "why_not_sparsity_fast_path"


def without_fast_path(method: Method, text: str) -> str:
    """Return the text of a method without its way out to that twin.

    In evaluation without gradients the layer leaves its own forward there, without a word.
    """
    if method.kind is not nn.TransformerEncoderLayer:
        return text
    body = ast.parse(textwrap.dedent(text)).body[0].body  # type: ignore[attr-defined]  # a def
    starts = [s.lineno for s in body if isinstance(s, ast.Assign) and _names(s.targets[0], _FIRST)]
    ends = [s.end_lineno or 0 for s in body if isinstance(s, ast.If) and _names(s.test, _LAST)]
    if not starts or not ends:
        return text  # another version of torch, which has no such twin
    lines = text.splitlines(keepends=True)
    end = ends[-1]
    while end < len(lines) and not lines[end].strip():
        end += 1
    del lines[starts[0] - 1 : end]
    return "".join(lines)


def open_nested(result: nn.Module, path: str) -> None:
    """Let the encoder around a changed layer hand it no nested tensors: the twin takes them."""
    if not isinstance(result.get_submodule(path), nn.TransformerEncoderLayer):
        return
    parts = path.split(".")
    for length in range(len(parts)):
        around = result.get_submodule(".".join(parts[:length]))
        if isinstance(around, nn.TransformerEncoder):
            around.use_nested_tensor = False


def _names(node: ast.AST, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))
