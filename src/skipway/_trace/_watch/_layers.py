"""The layers of a model before it has run: the modules that own parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn


@dataclass(frozen=True)
class Owned:
    """One parameter and the layer it belongs to."""

    name: str
    layer: str
    parameter: nn.Parameter


@dataclass(frozen=True)
class Layers:
    """Every parameter once, by layer, and the modules whose outputs are the layers'.

    Attributes:
        owned: in the order of the model; a tied parameter counts where it first appears.
        modules: by layer, without those whose parameters no module owns alone (the root).
        compiled: whether `torch.compile` was applied to the model or to a part of it.
        parts: the layers of each part that was compiled by itself.
        in_one_piece: the layers whose outputs are never there, because a module around them
            computes in one piece; a hook would make it run them one by one.
    """

    owned: tuple[Owned, ...]
    modules: dict[str, nn.Module]
    compiled: bool
    parts: tuple[tuple[str, ...], ...] = ()
    in_one_piece: frozenset[str] = frozenset()

    def apart(self) -> Layers:
        """Return the same with the modules alone whose outputs are there."""
        hidden = self.in_one_piece
        return replace(
            self,
            modules={name: each for name, each in self.modules.items() if name not in hidden},
            parts=tuple(tuple(n for n in part if n not in hidden) for part in self.parts),
        )

    @property
    def names(self) -> list[str]:
        """Names of the layers, in the order of the model."""
        return list(dict.fromkeys(each.layer for each in self.owned))


def find_layers(model: nn.Module) -> Layers:
    """Return the layers of a model; names are without what wrappers put before them.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4))
        >>> find_layers(net).names
        ['0', '2']
    """
    inner, compiled = bare(model)
    own = dict(inner.named_modules(remove_duplicate=True))
    compiled |= any(getattr(each, "_compiled_call_impl", None) for each in own.values())
    owned, modules = [], {}
    for name, parameter in inner.named_parameters():
        path = name.rpartition(".")[0].partition("parametrizations")[0].rstrip(".")
        path = _without_wrappers(path)
        layer = path or _without_wrappers(name)
        owned.append(Owned(_without_wrappers(name), layer, parameter))
        if path:
            modules[layer] = _module(inner, name)
        elif not list(inner.children()) and not modules:
            modules[layer] = inner
    compiled |= any("_orig_mod" in name for name in own)
    parts, hidden = tuple(_parts(own, modules)), frozenset(_in_one_piece(own, modules))
    return Layers(tuple(owned), modules, compiled, parts, hidden)


def _parts(own: dict[str, nn.Module], modules: dict[str, nn.Module]) -> Iterator[tuple[str, ...]]:
    for name, part in own.items():
        if name.endswith("_orig_mod") or getattr(part, "_compiled_call_impl", None):
            inside = {id(each) for each in part.modules()}
            yield tuple(layer for layer, module in modules.items() if id(module) in inside)


def _in_one_piece(own: dict[str, nn.Module], modules: dict[str, nn.Module]) -> Iterator[str]:
    for name, module in own.items():
        names = getattr(module, "in_one_piece", ())
        inner = [own.get(f"{name}.{each}" if name else each) for each in names]
        inside = {id(part) for each in inner if each is not None for part in each.modules()}
        yield from (layer for layer, each in modules.items() if id(each) in inside)


def bare(model: nn.Module) -> tuple[nn.Module, bool]:
    """Return the module inside of what DDP and `torch.compile` wrap, and whether it is compiled."""
    compiled = False
    while True:
        if hasattr(model, "_orig_mod"):
            model, compiled = getattr(model, "_orig_mod"), True  # noqa: B009
        elif isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
            model = model.module
        else:
            return model, compiled


def _without_wrappers(path: str) -> str:
    return ".".join(part for part in path.split(".") if part != "_orig_mod")


def _module(model: nn.Module, name: str) -> nn.Module:
    path = name.rpartition(".")[0].partition("parametrizations")[0].rstrip(".")
    return model.get_submodule(path)
