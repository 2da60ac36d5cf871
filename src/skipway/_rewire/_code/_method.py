"""`Method`: one method of the user's class as text, in which single sums are written anew.

Nothing else of it changes: names, loops, branches and comments stay the user's own.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from torch import nn

from ..._trace import Site
from ._forward import UnreadableError

Sum: TypeAlias = ast.BinOp | ast.AugAssign | ast.Call
# What may stand beside a plus, or before a dot, without brackets.
_ATOMS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)
_TIGHTER = (ast.Mult, ast.MatMult, ast.Div, ast.Pow)


@dataclass(frozen=True)
class Rewrite:
    """A sum that is written anew.

    Attributes:
        node: the sum.
        template: what takes its place, with `{skip}` and `{branch}` for its operands, and
            `{skipped}` and `{branched}` for the same inside brackets.
        skip: which of the two operands is skipped, 0 or 1.
    """

    node: Sum
    template: str
    skip: int


class Method:
    """The text of the method that has this code.

    Args:
        kind: the class.
        code: of the method.

    Raises:
        UnreadableError: its text cannot be found, or is not what runs.
    """

    def __init__(self, kind: type[nn.Module], code: CodeType) -> None:
        self.kind, self.name, self.function = _found(kind, code)
        try:
            lines, first = inspect.getsourcelines(self.function)
        except (OSError, TypeError) as error:
            raise UnreadableError("the text of its class cannot be found") from error
        self.lines = [line.encode() for line in lines]
        if not self.lines[-1].endswith(b"\n"):
            self.lines[-1] += b"\n"
        self.shift = first - 1
        self.indent = len(lines[0]) - len(lines[0].lstrip())
        self.tree = self._parsed("".join(lines))
        self._check_current("".join(lines))
        self.text = b"".join(self.lines)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))

    def _parsed(self, text: str) -> ast.FunctionDef:
        # In a class of its own the columns stay what they are in the file.
        head, more = ("class _:\n", 1) if self.indent else ("", 0)
        try:
            tree = ast.parse(head + text)
        except SyntaxError as error:
            raise UnreadableError("its text cannot be read by itself") from error
        ast.increment_lineno(tree, -more)
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else tree.body
        if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
            raise UnreadableError("it is no method written with def")
        return body[0]

    def _check_current(self, text: str) -> None:
        """See that this text is what runs: the file may have been edited since it was imported."""
        own = self.function.__code__
        if set(own.co_freevars) - {"__class__"}:
            return  # by itself it would compile to other code: its variables are around it
        made = compile(f"class _:\n{text}" if self.indent else text, "", "exec")
        if not any(_gist(code) == _gist(own) for code in _codes_in(made)):
            raise UnreadableError("its text has changed since it was imported")

    def sum_at(self, site: Site) -> Sum:
        """Return the sum at this place.

        Raises:
            UnreadableError: what stands there is no sum of two.
        """
        lines = tuple(line - self.shift for line in site.lines)
        found = [node for node in ast.walk(self.tree) if _is_sum(node) and _at(node, lines, site)]
        if len(found) != 1:
            raise UnreadableError("its sum is not written as a + b")
        return found[0]  # type: ignore[return-value]  # _is_sum

    def is_in_a_loop(self, node: Sum) -> bool:
        """Tell whether a loop of the method goes through it."""
        loops = (each for each in ast.walk(self.tree) if isinstance(each, (ast.For, ast.While)))
        return any(node is each for loop in loops for each in ast.walk(loop))

    def takes_names(self) -> set[str]:
        """Return the names of its arguments and local variables."""
        return {*self.function.__code__.co_varnames, *self.function.__code__.co_cellvars}

    def written(self, rewrites: Sequence[Rewrite], inserts: Sequence[tuple[int, str]] = ()) -> str:
        """Return the text with these sums written anew.

        Args:
            rewrites: of sums.
            inserts: lines that are put in, with the number of lines of the text before them;
                no sum that is written anew may stand before them.
        """
        outer = sorted(
            rewrites, key=lambda each: (self._span(each.node)[0], -self._span(each.node)[1])
        )
        text = self._text(0, len(self.text), outer).decode()
        lines = text.splitlines(keepends=True)
        # From the end on, so that the numbers of lines before stay what they are.
        ordered = sorted(enumerate(inserts), key=lambda each: (each[1][0], each[0]), reverse=True)
        for _, (at, line) in ordered:
            lines.insert(at, f"{line}\n")
        return "".join(lines)

    @property
    def first_line(self) -> int:
        """Return the number of lines before the first statement."""
        body = self.tree.body
        doc = ast.get_docstring(self.tree) is not None and len(body) > 1
        return body[1 if doc else 0].lineno - 1

    def _text(self, start: int, end: int, rewrites: Sequence[Rewrite]) -> bytes:
        parts, at = [], start
        for each in rewrites:
            low, high = self._span(each.node)
            if low < at or high > end:
                continue
            inner = [other for other in rewrites if other is not each and self._holds(each, other)]
            parts += [self.text[at:low], self._anew(each, inner).encode()]
            at = high
        return b"".join([*parts, self.text[at:end]])

    def _holds(self, outer: Rewrite, inner: Rewrite) -> bool:
        (a, b), (c, d) = self._span(outer.node), self._span(inner.node)
        return a <= c and d <= b

    def _anew(self, rewrite: Rewrite, inner: Sequence[Rewrite]) -> str:
        operands = operands_of(rewrite.node)
        bare = [self._text(*self._span(each), inner).decode() for each in operands]
        safe = [
            text if _is_safe(each) else f"({text})"
            for text, each in zip(bare, operands, strict=True)
        ]
        skip, branch = rewrite.skip, 1 - rewrite.skip
        text = rewrite.template.format(
            skip=safe[skip], branch=safe[branch], skipped=bare[skip], branched=bare[branch]
        )
        if isinstance(rewrite.node, ast.AugAssign) or self._is_statement(rewrite.node):
            # What is overwritten in place is made anew, under its name.
            return f"{bare[0]} = {text}"
        if isinstance(rewrite.node, ast.Call) and " " in rewrite.template:
            return f"({text})"
        return text

    def _is_statement(self, node: Sum) -> bool:
        return any(isinstance(e, ast.Expr) and e.value is node for e in ast.walk(self.tree))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, end


@functools.lru_cache(maxsize=256)
def method_of(kind: Any, code: CodeType) -> Method:
    """Return the method of a class that has this code; blocks of one class share it.

    Raises:
        UnreadableError: its text cannot be found, or is not what runs.
    """
    return Method(kind, code)


def operands_of(node: Sum) -> tuple[ast.expr, ast.expr]:
    """Return what a sum adds, in the order in which it is written."""
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.AugAssign):
        return node.target, node.value
    if len(node.args) == 2:
        return node.args[0], node.args[1]
    assert isinstance(node.func, ast.Attribute)
    return node.func.value, node.args[0]


def free_names(method: Method) -> Mapping[str, Any]:
    """Return what the method reads from its module, by name."""
    own = method.takes_names()
    names = (
        node.id
        for node in ast.walk(method.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    known = method.function.__globals__
    return {name: known[name] for name in names if name not in own and name in known}


def _found(kind: type[nn.Module], code: CodeType) -> tuple[type, str, FunctionType]:
    for each in kind.__mro__:
        for name, value in vars(each).items():
            function = inspect.unwrap(value) if callable(value) else None
            if isinstance(function, FunctionType) and function.__code__ is code:
                return each, name, function
    raise UnreadableError("the sum is in no method of its class")


def _gist(code: CodeType) -> tuple[Any, ...]:
    """Return what of a method's code does not depend on the module around it."""
    steps = [
        (step.opname, step.arg)
        for step in dis.get_instructions(code)
        if step.opname in ("BINARY_OP", "COMPARE_OP", "LOAD_FAST", "STORE_FAST")
    ]
    inner = {each.co_name for each in code.co_consts if isinstance(each, CodeType)}
    plain = [
        each
        for each in code.co_consts
        # Python 3.10 keeps the path of an inner function, a generator's too, among the constants.
        if not isinstance(each, CodeType)
        and not (isinstance(each, str) and each.rpartition(".<locals>.")[2] in inner)
    ]
    return code.co_name, code.co_names, code.co_varnames, steps, plain


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)


def _is_sum(node: ast.AST) -> bool:
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return isinstance(node.op, ast.Add)
    if not isinstance(node, ast.Call) or node.keywords:
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name == "add" and len(node.args) == 2:
        owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        return isinstance(owner, ast.Name) and owner.id == "torch"
    return name in ("add", "add_") and len(node.args) == 1


def _at(node: ast.AST, lines: Sequence[int], site: Site) -> bool:
    span: tuple[int, int] = (node.lineno, node.end_lineno)  # type: ignore[attr-defined]
    if site.columns is None:
        return span[0] <= lines[0] <= span[1]
    columns = (node.col_offset, node.end_col_offset)  # type: ignore[attr-defined]
    return span == tuple(lines) and bool(columns == site.columns)


def _is_safe(node: ast.expr) -> bool:
    return isinstance(node, _ATOMS) or (
        isinstance(node, ast.BinOp) and isinstance(node.op, _TIGHTER)
    )
