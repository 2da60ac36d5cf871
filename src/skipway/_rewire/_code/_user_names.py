"""What the user's own forward calls its values: the names come back in the new one."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator
from functools import cached_property

from torch import nn

_FAR = 40  # frames between a call in a forward and fx writing it down


class UserNames:
    """Tells, while fx runs a forward, what the statement that is running assigns to.

    Args:
        kind: the class whose forward runs.
    """

    def __init__(self, kind: type[nn.Module]) -> None:
        method = inspect.unwrap(kind.forward)
        self._code = method.__code__ if isinstance(method, types.FunctionType) else None

    def now(self) -> str:
        """Return the name, or `""` where the statement gives none."""
        frame = sys._getframe(1)
        for _ in range(_FAR):
            if frame.f_code is self._code:
                return self._targets.get(frame.f_lineno, "")
            if frame.f_back is None:
                return ""
            frame = frame.f_back
        return ""

    @cached_property
    def _targets(self) -> dict[int, str]:
        """The name that is assigned to, for every line of the source."""
        if self._code is None:
            return {}
        try:
            lines, first = inspect.getsourcelines(self._code)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, TypeError, SyntaxError, IndentationError):
            return {}
        return {
            line + first - 1: name
            for start, end, name in _assignments(tree)
            for line in range(start, end + 1)
        }


def _assignments(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    for each in ast.walk(tree):
        if isinstance(each, ast.Assign):
            targets = each.targets
        elif isinstance(each, (ast.AugAssign, ast.AnnAssign)):
            targets = [each.target]
        else:
            continue
        first = targets[0]
        if isinstance(first, (ast.Tuple, ast.List)) and first.elts:
            first = first.elts[0]
        if isinstance(first, ast.Name):
            yield each.lineno, each.end_lineno or each.lineno, first.id
