"""A traced forward as statements: `x = self.hidden[3](torch.relu(x))`, one weight layer a line.

Calls that are used once stand inside the call that uses them, as long as the order in which
Python evaluates stays the order of the trace. A value takes over the name of an operand that
nothing reads any more, so a chain is a chain of `x = ...`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import fx

from ._expressions import LOCAL_NAMES, Expressions, Text
from ._forward import Forward, UnreadableError

_WIDTH = 72
_TAKEN = {"torch", "F", "nn", "skipway", "input", "inputs"}


@dataclass(frozen=True)
class Line:
    """One line of source; `added` where the plain network does not have it."""

    text: str
    added: bool = False


@dataclass(frozen=True)
class Join:
    """A skip inside one forward: the value of `source` joins the value of `destination`.

    Attributes:
        source: the call whose value is tapped.
        destination: the call whose value it joins.
        merge: the expression, with `{skip}` and `{x}` for the two.
        clone: whether something overwrites the tapped value in place before it joins.
    """

    source: fx.Node
    destination: fx.Node
    merge: str
    clone: bool = False


def statements(
    forward: Forward, expressions: Expressions, joins: Sequence[Join] = ()
) -> list[Line]:
    """Write the body of a forward, with the joins put in.

    Raises:
        UnreadableError: a call cannot be written as text.
    """
    return _Body(forward, expressions, tuple(joins)).write()


@dataclass
class _Pending:
    """An expression that waits for the one call that uses it."""

    node: fx.Node
    text: Text
    calls_module: bool


@dataclass
class _Body:
    forward: Forward
    expressions: Expressions
    joins: tuple[Join, ...]
    lines: list[Line] = field(default_factory=list)
    names: dict[fx.Node, str] = field(default_factory=dict)
    skips: dict[fx.Node, str] = field(default_factory=dict)
    pending: list[_Pending] = field(default_factory=list)
    attributes: dict[fx.Node, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = [node for node, _ in self.forward.nodes]
        self.at = {node: index for index, node in enumerate(nodes)}
        self.last = {
            node: max((self.at[user] for user in node.users), default=self.at[node])
            for node in nodes
        }
        self.depth: dict[fx.Node, int] = {}
        for node in nodes:
            below = max((self.depth[each] for each in node.all_input_nodes), default=0)
            self.depth[node] = below + (node.op == "call_module")
        self.tapped = {join.source for join in self.joins}
        self.joined = {join.destination for join in self.joins}

    def write(self) -> list[Line]:
        for node, twin in self.forward.nodes:
            if node.op == "placeholder":
                self.names[node] = str(node.target)
            elif node.op == "get_attr":
                self.attributes[node] = Text(self.expressions.path(str(node.target)))
            elif node.op == "output":
                self._return(node, twin)
            else:
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
        if sign is not None:
            self._in_place(node, twin, sign)
            return
        text = self.expressions.call(node, twin, self._lookup)
        del self.pending[len(self.pending) - len(inner) :]
        module = node.op == "call_module" or any(each.calls_module for each in inner)
        if self._may_wait(node, text):
            self.pending.append(_Pending(node, text, module))
        else:
            self._flush()
            self._assign(node, text)

    def _may_wait(self, node: fx.Node, text: Text) -> bool:
        if node in self.tapped or node in self.joined or len(text.text) > _WIDTH:
            return False
        readers = list(node.users)
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
        operands = [waiting[each] for each in node.all_input_nodes if each in waiting]
        tail = pending[len(pending) - len(operands) :]
        # Python evaluates from left to right: only this order is the order of the trace.
        if [each.node for each in tail] != [each.node for each in operands]:
            return None
        if operands and self.expressions.in_place(node):
            return None
        if any(each.calls_module for each in operands) and not _may_hold_a_layer(node):
            return None
        return operands if sum(len(each.text.text) for each in operands) <= _WIDTH else None

    def _flush(self, count: int | None = None) -> None:
        for _ in range(len(self.pending) if count is None else count):
            each = self.pending.pop(0)
            self._assign(each.node, each.text)

    def _assign(self, node: fx.Node, text: Text) -> None:
        if not node.users and node not in self.joined:
            self._emit(text.text)
            return
        name = self._name_for(node)
        self.names[node] = name
        self._emit(f"{name} = {text.text}")
        self._join_and_tap(node, name)

    def _join_and_tap(self, node: fx.Node, name: str) -> None:
        for join in self.joins:
            if join.destination is node:
                merged = join.merge.format(skip=self.skips[join.source], x=name)
                self._emit(f"{name} = {merged}", added=True)
        if node in self.tapped:
            clone = any(join.clone for join in self.joins if join.source is node)
            skip = self._fresh(node, ("skip", *(f"skip_{n}" for n in range(2, 1000))), joined=True)
            self.skips[node] = skip
            self._emit("")
            self._emit(f"{skip} = {name}.clone()" if clone else f"{skip} = {name}", added=True)

    def _in_place(self, node: fx.Node, twin: fx.Node, sign: str) -> None:
        target, value = node.args
        if not isinstance(target, fx.Node) or target not in self.names:
            raise UnreadableError("it changes one of its attributes in place")
        text = self.expressions.value(value, twin.args[1], self._lookup)
        name = self.names[node] = self.names[target]
        self._emit(f"{name} {sign} {text}")
        self._join_and_tap(node, name)

    def _lookup(self, node: fx.Node) -> Text:
        for each in self.pending:
            if each.node is node:
                return each.text
        return self.attributes.get(node) or Text(self.names[node])

    def _name_for(self, node: fx.Node) -> str:
        # The deepest operand is the stream that goes through the net: it keeps its name.
        for operand in sorted(self._named_operands(node), key=lambda each: -self.depth[each]):
            name = self.names[operand]
            if name in LOCAL_NAMES and name not in self._alive(node):
                return name
        return self._fresh(node, LOCAL_NAMES)

    def _named_operands(self, node: fx.Node) -> Iterator[fx.Node]:
        """Yield what the expression of `node` reads, through the calls that stand inside it."""
        for operand in node.all_input_nodes:
            if operand in self.names:
                yield operand
            else:
                yield from self._named_operands(operand)

    def _fresh(self, node: fx.Node, names: Sequence[str], *, joined: bool = False) -> str:
        alive = self._alive(node, joined)
        return next(name for name in names if name not in alive and name not in _TAKEN)

    def _alive(self, node: fx.Node, joined: bool = False) -> set[str]:
        """Return the names that something after `node` reads, or its joins if not yet `joined`."""
        now = self.at[node]
        alive = {self.expressions.me}
        alive |= {name for other, name in self.names.items() if self.last[other] > now}
        for join in self.joins:
            end = self.at[join.destination]
            if join.source in self.skips and (end > now or (end == now and not joined)):
                alive.add(self.skips[join.source])
        if node in self.names:
            alive.add(self.names[node])
        return alive

    def _emit(self, text: str, added: bool = False) -> None:
        self.lines.append(Line(f"        {text}" if text else "", added))


def _may_hold_a_layer(node: fx.Node) -> bool:
    """Tell whether a layer's call may stand inside this call: one layer to a line reads best."""
    if node.op == "call_function" and node.target not in (operator.getitem, getattr):
        return len(node.all_input_nodes) > 1 or node.all_input_nodes[0].op != "call_module"
    return node.op != "call_module"


def _count(reader: fx.Node, node: fx.Node) -> int:
    """Count how often `reader` reads `node`."""
    found = 0

    def visit(each: fx.Node) -> fx.Node:
        nonlocal found
        found += each is node
        return each

    fx.map_arg((reader.args, reader.kwargs), visit)
    return found
