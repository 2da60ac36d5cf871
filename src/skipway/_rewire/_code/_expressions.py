"""Calls of a traced forward as Python expressions that a person would write."""

from __future__ import annotations

import importlib
import inspect
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from ._forward import UnreadableError

_BINARY = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/",
    operator.floordiv: "//", operator.mod: "%", operator.matmul: "@", operator.eq: "==",
    operator.ne: "!=", operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
    operator.and_: "&", operator.or_: "|", operator.xor: "^", operator.lshift: "<<",
    operator.rshift: ">>",
}  # fmt: skip
_IN_PLACE = {
    operator.iadd: "+=", operator.isub: "-=", operator.imul: "*=", operator.itruediv: "/=",
    operator.iand: "&=", operator.ior: "|=",
}  # fmt: skip
_UNARY = {operator.neg: "-", operator.invert: "~", operator.pos: "+"}
# Where a function is looked for, and how the module is imported.
_HOMES = {
    "torch": "import torch",
    "torch.nn.functional": "from torch.nn import functional as F",
}
_SHORT = {"torch.nn.functional": "F"}


@dataclass(frozen=True)
class Text:
    """An expression: `atom` where `.attribute` may follow without brackets."""

    text: str
    atom: bool = True

    def bracketed(self) -> str:
        """Return it so that it can stand beside any operator."""
        return self.text if self.atom else f"({self.text})"


# What a generated forward calls its values, beside its arguments.
LOCAL_NAMES = ("x", "h", "y", "z", "u", "v", "w", *(f"t{number}" for number in range(1, 1000)))

Lookup = Callable[[fx.Node], Text]


@dataclass
class Expressions:
    """Writes single calls; collects the imports that they need.

    Args:
        scope: the module whose forward is written.
        signature: of its forward, `self` included.
    """

    scope: nn.Module
    signature: inspect.Signature
    imports: set[str] = field(default_factory=set)

    @property
    def me(self) -> str:
        """Return the name of the instance, `self` by custom."""
        return next(iter(self.signature.parameters))

    def call(self, node: fx.Node, twin: fx.Node, lookup: Lookup) -> Text:
        """Write the call of `node`; where `twin`, in evaluation, differs, by the mode."""
        writer = _Writer(self, lookup)
        arguments = writer.arguments(node, twin)
        if node.op == "call_module":
            return Text(f"{self.path(str(node.target), module=True)}({', '.join(arguments)})")
        if node.op == "call_method":
            owner = lookup(node.args[0]).bracketed()  # type: ignore[arg-type]  # a node
            return Text(f"{owner}.{node.target}({', '.join(arguments[1:])})")
        if node.op == "call_function":
            return self._function(node, twin, arguments, writer)
        raise UnreadableError(f"it holds a {node.op}")

    def value(self, value: Any, other: Any, lookup: Lookup) -> str:
        """Write an argument; where `other`, in evaluation, differs, by the mode."""
        return _Writer(self, lookup).value(value, other)

    def in_place(self, node: fx.Node) -> str | None:
        """Return `+=` and the like where the call is one."""
        target: Any = node.target
        return _IN_PLACE.get(target) if node.op == "call_function" else None

    def _function(
        self, node: fx.Node, twin: fx.Node, arguments: list[str], writer: _Writer
    ) -> Text:
        target: Any = node.target
        operands = [writer.operand(a, b) for a, b in zip(node.args, twin.args, strict=True)]
        if target in _BINARY and len(operands) == 2:
            return Text(f"{operands[0]} {_BINARY[target]} {operands[1]}", atom=False)
        if target in _UNARY:
            return Text(f"{_UNARY[target]}{operands[0]}", atom=False)
        if target is operator.getitem:
            if repr(node.args[1]) != repr(twin.args[1]):
                raise UnreadableError("an index depends on the mode")
            return Text(f"{operands[0]}[{writer.index(node.args[1])}]")
        if target is getattr and len(node.args) == 2:
            return Text(f"{operands[0]}.{node.args[1]}")
        return Text(f"{self._name(target)}({', '.join(arguments)})")

    def _name(self, function: Any) -> str:
        name: str = getattr(function, "__name__", "")
        for home in ("torch.nn.functional", "torch"):
            if getattr(importlib.import_module(home), name, None) is function:
                self.imports.add(_HOMES[home])
                return f"{_SHORT.get(home, home)}.{name}"
        home = getattr(function, "__module__", None) or ""
        try:
            found = getattr(importlib.import_module(home), name, None)
        except (ImportError, ValueError):
            found = None
        if found is not function or home == "__main__" or name in LOCAL_NAMES:
            raise UnreadableError(
                f"it calls {name or function!r}, which cannot be imported by name"
            )
        if home == "builtins":
            return name
        self.imports.add(f"from {home} import {name}")
        return name

    def path(self, target: str, *, module: bool = False) -> str:
        """Write `self.hidden[3].weight` for `hidden.3.weight`."""
        text, owner = self.me, self.scope
        for part in target.split("."):
            if isinstance(owner, (nn.ModuleList, nn.Sequential, nn.ParameterList)) and (
                part.isdigit()
            ):
                text += f"[{list(_children(owner)).index(part)}]"
            elif isinstance(owner, (nn.ModuleDict, nn.ParameterDict)):
                text += f"[{part!r}]".replace("'", '"')
            elif part.isidentifier():
                text += f".{part}"
            else:
                raise UnreadableError(f"the name {target!r} cannot be written")
            owner = getattr(owner, part, owner)
        return text


def _children(owner: nn.Module) -> Iterable[str]:
    return owner._modules if owner._modules else owner._parameters


@dataclass
class _Writer:
    """Writes the arguments of one call."""

    home: Expressions
    lookup: Lookup

    def arguments(self, node: fx.Node, twin: fx.Node) -> list[str]:
        positional = [self.value(a, b) for a, b in zip(node.args, twin.args, strict=True)]
        defaults = _defaults(node)
        for name, value in node.kwargs.items():
            other = twin.kwargs[name]
            kept = _same(value, other) and _is_default(value, defaults.get(name, node))
            if not kept:
                positional.append(f"{name}={self.value(value, other)}")
        return positional

    def operand(self, value: Any, other: Any) -> str:
        if isinstance(value, fx.Node):
            return self.lookup(value).bracketed()
        text = self.value(value, other)
        return f"({text})" if text.startswith(("-", "not ")) else text

    def index(self, value: Any) -> str:
        if isinstance(value, tuple) and value:
            inner = ", ".join(self._slice(each) for each in value)
            return f"{inner}," if len(value) == 1 else inner
        return self._slice(value)

    def _slice(self, value: Any) -> str:
        if not isinstance(value, slice):
            return self.value(value, value)
        parts = [
            "" if each is None else self.value(each, each)
            for each in (value.start, value.stop, value.step)
        ]
        return f"{parts[0]}:{parts[1]}" + (f":{parts[2]}" if parts[2] else "")

    def value(self, value: Any, other: Any) -> str:
        if isinstance(value, fx.Node):
            return self.lookup(value).text
        if isinstance(value, (tuple, list)) and isinstance(other, type(value)):
            return self._sequence(value, other)
        if isinstance(value, dict):
            pairs = (f"{key!r}: {self.value(each, other[key])}" for key, each in value.items())
            return "{" + ", ".join(pairs).replace("'", '"') + "}"
        if _same(value, other):
            return self.constant(value)
        if value is True and other is False:
            return f"{self.home.me}.training"
        if value is False and other is True:
            return f"not {self.home.me}.training"
        either = f"{self.constant(value)} if {self.home.me}.training else {self.constant(other)}"
        return f"({either})"

    def _sequence(self, value: Any, other: Any) -> str:
        if len(value) != len(other):
            raise UnreadableError("the length of an argument depends on the mode")
        inner = ", ".join(self.value(a, b) for a, b in zip(value, other, strict=True))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"

    def constant(self, value: Any) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        if isinstance(value, str):
            return '"' + value + '"' if '"' not in value and "\\" not in value else repr(value)
        if value is ...:
            return "..."
        if isinstance(value, (int, float, bool, type(None))):
            return repr(value)
        if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
            self.home.imports.add(_HOMES["torch"])
            return str(value)
        if isinstance(value, torch.device):
            self.home.imports.add(_HOMES["torch"])
            return f'torch.device("{value}")'
        if isinstance(value, slice):
            parts = ", ".join(self.value(v, v) for v in (value.start, value.stop, value.step))
            return f"slice({parts})"
        raise UnreadableError(
            f"it hands on a {type(value).__name__} that cannot be written as text"
        )


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or a is b or repr(a) == repr(b))


def _is_default(value: Any, default: Any) -> bool:
    return not isinstance(value, fx.Node) and _same(value, default)


def _defaults(node: fx.Node) -> dict[str, Any]:
    """Return the defaults of a torch function: fx writes every argument out."""
    if node.op != "call_function":
        return {}
    try:
        signature = inspect.signature(_declared(node.target))
    except (ValueError, TypeError):
        return {}
    return {name: each.default for name, each in signature.parameters.items()}


def _declared(function: Any) -> Any:
    """Return the function that declares the arguments: pooling is dispatched by one of them."""
    name = f"_{getattr(function, '__name__', '')}"
    return getattr(nn.functional, name, function) if "pool" in name else function
