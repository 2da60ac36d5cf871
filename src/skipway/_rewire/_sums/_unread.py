"""What a method computes for nothing once a skip is cut: `identity = self.downsample(x)`."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

Suite = list[ast.stmt]


def without_unread(text: str, names: Collection[str]) -> str:
    """Return a method's text without assignments to those of the names that nothing reads.

    An `if` that is left with nothing to do goes with them.
    """
    while True:
        lines = text.splitlines(keepends=True)
        tree = ast.parse("if 1:\n" + text if text[0].isspace() else text)
        shift = 1 if text[0].isspace() else 0
        dead = next(_unread(tree, names), None)
        if dead is None:
            return text
        statement, replaced = dead
        start, end = statement.lineno - 1 - shift, (statement.end_lineno or 0) - shift
        first = lines[start]
        margin = first[: len(first) - len(first.lstrip())]
        lines[start:end] = [f"{margin}pass\n"] if replaced else []
        if not replaced and _is_blank(lines, start) and _is_blank(lines, start - 1):
            del lines[start]
        text = "".join(lines)


def _is_blank(lines: Sequence[str], at: int) -> bool:
    # The line after the head of the method counts as blank: nothing has to set it apart.
    return 0 <= at < len(lines) and (not lines[at].strip() or lines[at].rstrip().endswith(":"))


def _unread(tree: ast.AST, names: Collection[str]) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield what can go: the statement, and whether `pass` has to take its place."""
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)
    }
    for owner, suite in _suites(tree):
        for statement in suite:
            if not _is_for_nothing(statement, names, read):
                continue
            if len(suite) > 1:
                yield statement, False
            elif isinstance(owner, ast.If) and suite is owner.body and not owner.orelse:
                yield owner, not _has_siblings(tree, owner)
            elif not isinstance(statement, ast.Pass):
                yield statement, True


def _suites(tree: ast.AST) -> Iterator[tuple[ast.AST, Suite]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(node, name, None)
            if isinstance(suite, list) and suite:
                yield node, suite


def _has_siblings(tree: ast.AST, statement: ast.stmt) -> bool:
    return any(len(suite) > 1 for _, suite in _suites(tree) if statement in suite)


def _is_for_nothing(statement: ast.stmt, names: Collection[str], read: set[str]) -> bool:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
        if not isinstance(target, ast.Name):
            return False
        itself = isinstance(value, ast.Name) and value.id == target.id
        return itself or (target.id in names and target.id not in read)
    return False
