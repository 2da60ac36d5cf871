"""A subclass whose forward is generated source; it copies and pickles like its base.

The instance's `__class__` is swapped, so `isinstance`, every attribute and every key of the
state dict stay. The class itself cannot be found by name in any module: its instances pickle as
(base, source), and equal source gives the same class again.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import inspect
import linecache
import types
from collections import OrderedDict
from typing import Any

from torch import nn

# Annotations stay text: they name things of the user's module that are not known here.
_FUTURE = annotations.compiler_flag


def rewired_class(
    base: type[nn.Module], source: str, added: tuple[str, ...] = ()
) -> type[nn.Module]:
    r"""Return a subclass of `base` whose `forward` is the one in `source`.

    Args:
        base: the user's class.
        source: a module's text that defines one class of this name.
        added: attributes that hold new modules. Of a Sequential they are no steps: its length, its
            items and what it iterates over stay what they were.

    Example:
        >>> import torch
        >>> source = "class Identity:\n    def forward(self, x):\n        return x + x"
        >>> net = nn.Identity()
        >>> net.__class__ = rewired_class(nn.Identity, source)
        >>> net(torch.ones(1)), isinstance(net, nn.Identity)
        (tensor([2.]), True)
    """
    cached: Any = _made  # mypy takes a module class for unhashable
    made: type[nn.Module] = cached(base, source, added)
    return made


@functools.cache
def _made(base: Any, source: str, added: tuple[str, ...]) -> type[nn.Module]:
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    filename = f"<skipway {base.__name__} {digest}>"
    code = compile(source, filename, "exec", flags=_FUTURE, dont_inherit=True)
    # With the lines at hand tracebacks show them, and inspect.getsource finds them.
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace = {**_known_to(base), "__name__": f"skipway.rewired.{base.__name__}"}
    exec(code, namespace)
    # A compiler that follows a call into a method looks its globals up in the module of this name.
    # There is none: without the name it takes these as they are.
    del namespace["__name__"]
    written = vars(namespace[base.__name__])
    methods = {name: _bound_to(base, name, written[name]) for name in written if _is_ours(name)}
    kind: Any = type(base)
    made: type[nn.Module] = kind(
        base.__name__,
        (base,),
        {
            "__doc__": base.__doc__,
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__reduce_ex__": _reduce_ex,
            "_skipway_source": (base, source, added),
            **methods,
            **(_steps(base, added) if issubclass(base, nn.Sequential) else {}),
        },
    )
    return made


def _is_ours(name: str) -> bool:
    return name == "__call__" or not name.startswith("__")


def _known_to(base: Any) -> dict[str, Any]:
    """Return what the class's own methods know by name: of their module, and around them."""
    method = inspect.unwrap(base.forward)
    if not isinstance(method, types.FunctionType):
        return {}
    cells = zip(method.__code__.co_freevars, method.__closure__ or (), strict=True)
    around = {name: cell.cell_contents for name, cell in cells if name != "__class__"}
    return {**method.__globals__, **around}


def _bound_to(base: Any, name: str, function: Any) -> Any:
    """Let `super()` in a method that was copied mean what it meant where it was written."""
    code = getattr(function, "__code__", None)
    if code is None or "__class__" not in code.co_freevars:
        return function
    owner = next(each for each in base.__mro__ if name in vars(each))
    cells = zip(code.co_freevars, function.__closure__, strict=True)
    closure = tuple(types.CellType(owner) if n == "__class__" else cell for n, cell in cells)
    made = types.FunctionType(code, function.__globals__, name, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def base_of(module: nn.Module) -> type[nn.Module]:
    """Return the user's class of a module that may have been rewired before."""
    base: type[nn.Module] = getattr(type(module), "_skipway_source", (type(module),))[0]
    return base


def _steps(base: Any, added: tuple[str, ...]) -> dict[str, Any]:
    """Return the methods by which a Sequential shows its steps, without the new modules."""

    def named(self: nn.Module) -> list[tuple[str, nn.Module]]:
        return [(name, m) for name, m in self._modules.items() if name not in added]  # type: ignore[misc]

    def getitem(self: nn.Module, index: Any) -> Any:
        if isinstance(index, slice):
            return base(OrderedDict(named(self)[index]))
        return named(self)[index][1]

    return {
        "__len__": lambda self: len(named(self)),
        "__iter__": lambda self: iter([module for _, module in named(self)]),
        "__getitem__": getitem,
    }


def _reduce_ex(self: nn.Module, protocol: Any) -> Any:
    base, source, added = self._skipway_source  # type: ignore[misc]  # set on the class
    reduced: Any = base.__reduce_ex__(self, max(2, int(protocol)))
    build, args, *rest = reduced
    ours = "_skipway_source" in vars(type(self))  # not where a wrapper has derived from it
    if ours and build is copyreg.__newobj__ and args[0] is type(self):  # type: ignore[attr-defined]
        return (_rebuild, (base, source, added, *args[1:]), *rest)
    return reduced


def _rebuild(base: type[nn.Module], source: str, added: tuple[str, ...], *args: Any) -> nn.Module:
    kind = rewired_class(base, source, added)
    return kind.__new__(kind, *args)
