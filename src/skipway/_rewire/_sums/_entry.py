"""Where in a method the stream comes in that its sums add to, and what it is called there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .._code._forward import UnreadableError
from .._code._method import Method, Sum, operands_of


@dataclass(frozen=True)
class Entry:
    """A place in a method.

    Attributes:
        line: lines of the method's text before it.
        margin: of the statements there.
        name: the variable that holds the stream.
        argument: whether the stream comes in as an argument.
    """

    line: int
    margin: int
    name: str
    argument: bool


def entry_of(method: Method, first: Sum, skip: int) -> Entry:
    """Return where the tensor that `first` adds to comes in.

    Raises:
        UnreadableError: it has no name, or gets it in a loop or a branch.
    """
    operand, place = operands_of(first)[skip], _start(_statement_of(method, first))
    if not isinstance(operand, ast.Name):
        raise UnreadableError("what it adds to has no name")
    name = operand.id
    while True:
        known = [each for each in _assignments(method, name) if _start(each) < place]
        if not known:
            break
        last = max(known, key=_start)
        if isinstance(last, ast.Assign) and isinstance(last.value, ast.Name):
            name, place = last.value.id, _start(last)  # another name for the same tensor
        elif last in method.tree.body:
            return Entry(last.end_lineno or 0, last.col_offset, name, False)
        else:
            raise UnreadableError(f"`{name}`, which it adds to, is made in a loop or a branch")
    arguments = method.tree.args
    names = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    if name not in names:
        raise UnreadableError(f"`{name}`, which it adds to, is neither argument nor variable")
    return Entry(method.first_line, method.indent + 4, name, True)


def _statement_of(method: Method, node: Sum) -> ast.stmt:
    holding = (
        each
        for each in ast.walk(method.tree)
        if isinstance(each, ast.stmt) and any(inner is node for inner in ast.walk(each))
    )
    return max(holding, key=_start)


def _assignments(method: Method, name: str) -> Iterator[ast.stmt]:
    for node in ast.walk(method.tree):
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.For)):
            targets = [node.target]
        else:
            continue
        if any(isinstance(e, ast.Name) and e.id == name for t in targets for e in ast.walk(t)):
            yield node


def _start(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset
