"""`TextScope`: one module whose sums change in the user's own text of its methods."""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from torch import nn

from ..._results import Undo
from ..._trace import Site
from .._change._attributes import Attribute, attributes_of, names_of
from .._change._existing_sum import ExistingSum
from .._change._fast_path import open_nested, without_fast_path
from .._change._stream_sum import StreamSum
from .._code._classes import base_of, rewired_class
from .._code._forward import UnreadableError
from .._code._imports import imports_of
from .._code._method import Method, Rewrite, Sum, method_of, operands_of
from .._code._source import Page, methods_page
from .._code._statements import Line
from ._entry import entry_of
from ._unread import without_unread

Named: TypeAlias = tuple[ExistingSum | StreamSum, Sequence[str]]


@dataclass(frozen=True)
class TextScope:
    """One module whose methods hold sums that change.

    Attributes:
        model: the network as it was given.
        result: the copy that is rewired.
        path: of the module.
        sums: of one call of it, in the order in which they run.
    """

    model: nn.Module
    result: nn.Module
    path: str
    sums: Sequence[ExistingSum] | Sequence[StreamSum]

    def rewire(self) -> tuple[Page, Undo]:
        """Make the changes in `result`; return the source, and how they are taken back.

        Raises:
            UnreadableError: the text is not there, or not of a kind that can be changed.
        """
        target = self.result.get_submodule(self.path)
        kind = type(target)
        attributes = attributes_of(target, self.sums)
        page = self.page()
        for attribute in attributes:
            module = attribute.build(self.model)
            module.train(target.training)
            target.add_module(attribute.name, module)
        target.__class__ = rewired_class(base_of(target), page.text)
        open_nested(self.result, self.path)
        return page, Undo(self.path, kind, tuple(each.name for each in attributes))

    def page(self) -> Page:
        """Return the source alone.

        Raises:
            UnreadableError: as above.
        """
        target = self.result.get_submodule(self.path)
        if "forward" in vars(target):
            raise UnreadableError("its forward was replaced on the instance")
        return self._page(type(target), attributes_of(target, self.sums))

    def _page(self, kind: type[nn.Module], attributes: Sequence[Attribute]) -> Page:
        codes = dict.fromkeys(_site(each).code for each in self.sums)
        cached: Any = method_of  # mypy takes a module class for unhashable
        methods: dict[CodeType, Method] = {code: cached(kind, code) for code in codes}
        imports: set[str] = set()
        texts: list[list[Line]] = []
        for code, method in methods.items():
            text = self._written(method, code, attributes)
            imports |= imports_of(method)
            texts.append(_lines(method, text))
        for method in _changed_before(kind, set(methods)):
            imports |= imports_of(method)
            texts.append(_lines(method, method.text.decode()))
        made = {attribute.name: attribute.constructor for attribute in attributes}
        return methods_page(base_of(self.result.get_submodule(self.path)), texts, made, imports)

    def _written(self, method: Method, code: CodeType, attributes: Sequence[Attribute]) -> str:
        me = code.co_varnames[0]
        names = names_of(attributes, self.sums, me)
        sums: list[ExistingSum | StreamSum] = list(self.sums)
        own: list[Named] = [
            (s, n) for s, n in zip(sums, names, strict=True) if _site(s).code is code
        ]
        _check_rounds([each for each, _ in own])
        nodes = [method.sum_at(_site(each)) for each, _ in own]
        looped = len({id(node) for node in nodes}) < len(nodes)
        inserts = self._entries(method, own, nodes)
        if looped and not inserts:
            own, inserts = self._taken_in_turn(method, own, nodes, attributes, me)
        rewrites = {
            id(node): Rewrite(node, each.template(name[0] if name else ""), each.skip)
            for node, (each, name) in zip(nodes, own, strict=True)
        }
        text = method.written(list(rewrites.values()), inserts)
        text = without_fast_path(method, text)
        cut = [each for each in rewrites.values() if "{skip" not in each.template]
        return without_unread(text, _dropped(cut)) if cut else text

    def _taken_in_turn(
        self,
        method: Method,
        own: Sequence[Named],
        nodes: Sequence[ast.AST],
        attributes: Sequence[Attribute],
        me: str,
    ) -> tuple[list[Named], list[tuple[int, str]]]:
        """Let the sums of a loop take their modules in turn."""
        several = {id(n) for n in nodes if sum(other is n for other in nodes) > 1}
        if not all(method.is_in_a_loop(n) for n in nodes if id(n) in several):  # type: ignore[arg-type]
            raise UnreadableError("the method that holds its sum is called several times")
        if not attributes:
            return list(own), []
        if len(own) != len(self.sums) or len(attributes) != 1:
            raise UnreadableError("its sums are in a loop and in other methods besides")
        role = attributes[0].name
        free = next(
            name
            for name in (role, f"the_{role}", f"own_{role}")
            if name not in method.takes_names()
        )
        margin = " " * (method.indent + 4)
        line = (method.first_line, f"{margin}{free} = iter({me}.{role})")
        return [(each, [f"next({free})"]) for each, _ in own], [line]

    def _entries(
        self, method: Method, own: Sequence[Named], nodes: Sequence[Sum]
    ) -> list[tuple[int, str]]:
        """Return the lines that open the streams."""
        found: list[tuple[int, str]] = []
        for node, (each, name) in zip(nodes, own, strict=True):
            if not isinstance(each, StreamSum) or not each.opens:
                continue
            if each.local in method.takes_names():
                raise UnreadableError(f"it has a variable `{each.local}` of its own")
            entry = entry_of(method, node, each.skip)
            if not (entry.argument or each.starts):
                raise UnreadableError(
                    f"`{entry.name}`, which it adds to, is not what comes in from the block before"
                )
            margin = " " * entry.margin
            found += [(entry.line, f"{margin}{line}") for line in each.entry(name[0], entry.name)]
        return found


def _site(each: ExistingSum | StreamSum) -> Site:
    if each.site is None:
        raise UnreadableError("its sum is in no method of a module")
    return each.site


def _check_rounds(sums: Sequence[ExistingSum | StreamSum]) -> None:
    """See that a sum is the same in every round of a loop: one text serves them all.

    Raises:
        UnreadableError: it is not: `total = 0` is no tensor yet, a plan leaves a round out, or
            one round skips the left side and another the right one.
    """
    counts = Counter(_site(each) for each in sums)
    if any(count != site.hits for site, count in counts.items()):
        raise UnreadableError("its sum changes in some rounds of a loop and not in others")
    if len({(_site(each), each.skip) for each in sums}) > len(counts):
        raise UnreadableError("its sum skips one side in some rounds of a loop, then the other")


def _dropped(rewrites: Sequence[Rewrite]) -> set[str]:
    """Return the names in operands that are not read any more."""
    return {
        node.id
        for each in rewrites
        for node in ast.walk(operands_of(each.node)[each.skip])
        if isinstance(node, ast.Name)
    }


def _changed_before(kind: type[nn.Module], now: set[CodeType]) -> list[Method]:
    """Return the other methods of a class that was rewired before."""
    if "_skipway_source" not in vars(kind):
        return []
    functions = (each for each in vars(kind).values() if isinstance(each, FunctionType))
    return [
        Method(kind, each.__code__)
        for each in functions
        if each.__code__ not in now and each.__name__ != "_reduce_ex"
    ]


def _lines(method: Method, text: str) -> list[Line]:
    """Return the lines of a method, those marked that its user did not write."""
    before, now = method.text.decode().splitlines(), text.splitlines()
    matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
    new = {
        at
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag != "equal"
        for at in range(start, end)
    }
    margin = re.compile(rf"^ {{{method.indent}}}")
    return [
        Line("    " + margin.sub("", line) if line.strip() else "", at in new)
        for at, line in enumerate(now)
    ]
