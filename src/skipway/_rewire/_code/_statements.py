"""A traced forward as statements: `x = self.hidden[3](torch.relu(x))`, one weight layer a line.

Calls that are used once stand inside the call that uses them, as long as the order in which
Python evaluates stays the order of the trace. A value takes over the name of an operand that
nothing reads any more, so a chain is a chain of `x = ...`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import fx

from ._edits import Edit, Gather, Swap
from ._expressions import LOCAL_NAMES, Expressions, Text
from ._forward import Forward, UnreadableError
from ._locals import Locals, after
from ._marks import Marks, used_by

_WIDTH = 72


@dataclass(frozen=True)
class Line:
    """One line of source; `added` where the plain network does not have it."""

    text: str
    added: bool = False


def statements(
    forward: Forward, expressions: Expressions, edits: Sequence[Edit] = ()
) -> list[Line]:
    """Write the body of a forward, with the edits made.

    Raises:
        UnreadableError: a call cannot be written as text.
    """
    return _Body(forward, expressions, edits).write()


@dataclass
class _Pending:
    """An expression that waits for the one call that uses it."""

    node: fx.Node
    text: Text
    calls_module: bool


class _Body:
    def __init__(self, forward: Forward, expressions: Expressions, edits: Sequence[Edit]) -> None:
        self.forward, self.expressions = forward, expressions
        self.lines: list[Line] = []
        self.pending: list[_Pending] = []
        self.attributes: dict[fx.Node, Text] = {}
        self.skips: dict[fx.Node, str] = {}
        self.lists: dict[Gather, str] = {}
        nodes = [node for node, _ in forward.nodes]
        self.marks = Marks(nodes, edits)
        self.locals = Locals(expressions.me)
        # What the forward's owner calls values, and what others are called here.
        self.own = {*LOCAL_NAMES, *(node.meta.get("called", "") for node in nodes)}
        self.depth: dict[fx.Node, int] = {}
        for node in nodes:
            below = max((self.depth[each] for each in node.all_input_nodes), default=0)
            self.depth[node] = below + (node.op == "call_module")

    def write(self) -> list[Line]:
        for node, twin in self.forward.nodes:
            if node.op == "placeholder":
                self.locals.call(node, str(node.target), self.marks.last[node])
                self._edit(node, str(node.target))
            elif node.op == "get_attr":
                self.attributes[node] = Text(self.expressions.path(str(node.target)))
            elif node.op == "output":
                self._return(node, twin)
            elif node not in self.marks.dropped:
                self._call(node, twin)
        return self.lines

    def _return(self, node: fx.Node, twin: fx.Node) -> None:
        self._settle(node)
        result, other = node.args[0], twin.args[0]
        text = self.expressions.value(result, other, self._lookup)
        self.pending.clear()
        if text != "None":
            self._emit(f"return {text}")

    def _call(self, node: fx.Node, twin: fx.Node) -> None:
        inner = self._settle(node)
        sign = self.expressions.in_place(node)
        swap = self.marks.swaps.get(node)
        if sign is not None and swap is None:
            self._in_place(node, twin, sign)
            return
        text = self._swapped(swap) if swap else self.expressions.call(node, twin, self._lookup)
        del self.pending[len(self.pending) - len(inner) :]
        module = node.op == "call_module" or any(each.calls_module for each in inner)
        if self._may_wait(node, text):
            self.pending.append(_Pending(node, text, module))
        else:
            self._flush()
            self._assign(node, text, added=swap is not None)

    def _swapped(self, swap: Swap) -> Text:
        texts = {}
        for index in used_by(swap):
            operand = swap.node.args[index]
            if not isinstance(operand, fx.Node):
                raise UnreadableError("it adds a number where a skip was seen")
            texts[index] = self._lookup(operand).text
        operands = [texts.get(index, "") for index in range(len(swap.node.args))]
        return Text(swap.text.format(*operands), atom=False)

    def _may_wait(self, node: fx.Node, text: Text) -> bool:
        if self.marks.is_marked(node) or node in self.marks.swaps or len(text.text) > _WIDTH:
            return False
        readers = self.marks.readers[node]
        return len(readers) == 1 and _count(readers[0], node) == 1

    def _settle(self, node: fx.Node) -> list[_Pending]:
        """Write out what may not stand inside `node`; return the operands that may."""
        for written in range(len(self.pending) + 1):
            operands = self._fits(node, self.pending[written:])
            if operands is not None:
                self._flush(written)
                return operands
        raise AssertionError("with nothing pending everything fits")

    def _fits(self, node: fx.Node, pending: list[_Pending]) -> list[_Pending] | None:
        waiting = {each.node: each for each in pending}
        operands = [waiting[each] for each in self.marks.reads(node) if each in waiting]
        tail = pending[len(pending) - len(operands) :]
        # Python evaluates from left to right: only this order is the order of the trace.
        if [each.node for each in tail] != [each.node for each in operands]:
            return None
        if operands and node not in self.marks.swaps and self.expressions.in_place(node):
            return None
        if any(each.calls_module for each in operands) and not self._may_hold_a_layer(node):
            return None
        return operands if sum(len(each.text.text) for each in operands) <= _WIDTH else None

    def _may_hold_a_layer(self, node: fx.Node) -> bool:
        """Tell whether a layer's call may stand inside this one: one to a line reads best."""
        if node in self.marks.swaps:
            return True
        if node.op == "call_function" and node.target not in (operator.getitem, getattr):
            return len(node.all_input_nodes) > 1 or node.all_input_nodes[0].op != "call_module"
        return node.op != "call_module"

    def _flush(self, count: int | None = None) -> None:
        for _ in range(len(self.pending) if count is None else count):
            each = self.pending.pop(0)
            self._assign(each.node, each.text)

    def _assign(self, node: fx.Node, text: Text, *, added: bool = False) -> None:
        if not self.marks.is_waited_for(node):
            self._emit(text.text, added)
            return
        name = self._name_for(node)
        self.locals.call(node, name, self.marks.last[node])
        if text.text != name:  # a sum that is cut may leave nothing but the name it had
            self._emit(f"{name} = {text.text}", added)
        self._edit(node, name)

    def _in_place(self, node: fx.Node, twin: fx.Node, sign: str) -> None:
        target, value = node.args
        if not isinstance(target, fx.Node) or target not in self.locals.of:
            raise UnreadableError("it changes one of its attributes in place")
        text = self.expressions.value(value, twin.args[1], self._lookup)
        name = self.locals.share(node, target, self.marks.last[node])
        self._emit(f"{name} {sign} {text}")
        self._edit(node, name)

    def _edit(self, node: fx.Node, name: str) -> None:
        """Write what follows a call: what joins its value, then what keeps it for later."""
        if not self.marks.is_marked(node):
            return
        now = self.marks.at[node]
        self.locals.keep(name, after(now) + 0.1)
        for join in self.marks.arriving.get(node, ()):
            merged = join.merge.format(skip=self.skips[join.source], x=name)
            self._emit(f"{name} = {merged}", added=True)
        for gather, number in self.marks.gathered.get(node, ()):
            self._gather(gather, number, node, name)
        if node in self.marks.leaving:
            self._keep(node, name)

    def _keep(self, node: fx.Node, name: str) -> None:
        skip = self.skips[node] = self.locals.fresh_numbered("skip", self.marks.at[node])
        self.locals.keep(skip, after(self.marks.end_of(node)))
        clone = any(join.clone for join in self.marks.leaving[node])
        self._emit("")
        self._emit(f"{skip} = {name}.clone()" if clone else f"{skip} = {name}", added=True)

    def _gather(self, gather: Gather, number: int, node: fx.Node, name: str) -> None:
        value = f"{name}.clone()" if node in gather.clones else name
        if number == 0:
            kept = self.lists[gather] = self.locals.fresh_numbered("skips", self.marks.at[node])
            self.locals.keep(kept, after(self.marks.at[gather.taps[-1]]))
            self._emit("")
            self._emit(f"{kept} = [{value}]", added=True)
        else:
            self._emit(f"{self.lists[gather]}.append({value})", added=True)
        merge = gather.merges[number]
        if merge is not None:
            self._emit(f"{name} = {merge.format(skips=self.lists[gather])}", added=True)

    def _lookup(self, node: fx.Node) -> Text:
        for each in self.pending:
            if each.node is node:
                return each.text
        return self.attributes.get(node) or Text(self.locals.of[node])

    def _name_for(self, node: fx.Node) -> str:
        now = self.marks.at[node]
        called: str = node.meta.get("called", "")
        if called and self.locals.is_free(called, now):
            return called
        # The deepest operand is the stream that goes through the net: it keeps its name.
        for operand in sorted(self._named_operands(node), key=lambda each: -self.depth[each]):
            name = self.locals.of[operand]
            if name in self.own and self.locals.is_free(name, now):
                return name
        return self.locals.fresh(LOCAL_NAMES, now)

    def _named_operands(self, node: fx.Node) -> Iterator[fx.Node]:
        """Yield what the expression of `node` reads, through the calls that stand inside it."""
        for operand in self.marks.reads(node):
            if operand in self.locals.of:
                yield operand
            else:
                yield from self._named_operands(operand)

    def _emit(self, text: str, added: bool = False) -> None:
        if not text and not self.lines:
            return
        self.lines.append(Line(f"        {text}" if text else "", added))


def _count(reader: fx.Node, node: fx.Node) -> int:
    """Count how often `reader` reads `node`."""
    found = 0

    def visit(each: fx.Node) -> fx.Node:
        nonlocal found
        found += each is node
        return each

    fx.map_arg((reader.args, reader.kwargs), visit)
    return found
