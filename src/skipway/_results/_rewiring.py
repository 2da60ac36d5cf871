"""What `rewire` returns."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .._errors import RewireError, more
from ._result import Drawn, Result

if TYPE_CHECKING:  # a saved result is read and drawn without torch
    import torch
    from torch import nn


@dataclass(frozen=True)
class PlannedSkip(Result):
    """One skip to be added: the output of `source` joins the output of `destination`.

    Attributes:
        source: the layer whose output is tapped, `module.path` or `module.path#call`.
        destination: the layer whose output it joins.
        merge: `"add"`, `"cat"` or `"dense"`.
        shortcut: what lies on the skip: `"identity"`, `"pad"`, `"pool"`, `"linear"`, `"1x1"` or
            `"pool + 1x1"`.
        branch_scale: factor on the branch, 1 for a plain sum.
        fuse: for `cat` and `dense`: `"linear"` or `"1x1"`, the layer that brings the width back.
        gate: whether the skip starts closed, so that the network computes what it did.
        source_shape: shape of the tapped tensor, batch first.
        destination_shape: shape of the tensor it joins.
        module: of a skip that was there already: the module in whose forward it joins. A skip
            around a block and one inside it may go from the same layer to the same layer.
    """

    kind_of_result = "planned-skip"
    source: str
    destination: str
    merge: Literal["add", "cat", "dense"] = "add"
    shortcut: str = "identity"
    branch_scale: float = 1.0
    fuse: str | None = None
    gate: bool = False
    source_shape: tuple[int, ...] = ()
    destination_shape: tuple[int, ...] = ()
    module: str = ""


@dataclass(frozen=True)
class Plan(Drawn):
    """Which skips to add, and where: data that can be read, saved, edited and applied.

    Attributes:
        how: `"add"`, `"cat"` or `"dense"`; `"reconnect"` where skips that are there already follow
            another rule.
        skips: in execution order. A layer that reads several earlier ones (`"dense"`) has one
            skip for each of them.
        reason: why these places.
        rule: of `"reconnect"`: the rule's name, or `None` where the skips are cut.
        preserve: of `"reconnect"`: whether the network computes at first what it did, where the
            rule can.
    """

    kind_of_result = "plan"
    how: Literal["add", "cat", "dense", "reconnect"]
    skips: tuple[PlannedSkip, ...]
    reason: str = ""
    rule: str | None = None
    preserve: bool = True


@dataclass(frozen=True)
class Undo:
    """What takes the changes of one module away again.

    Attributes:
        path: of the module.
        kind: the class that it had.
        added: the attributes that it got.
    """

    path: str
    kind: type[nn.Module]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Rewiring(Drawn):
    """A network with new skips.

    Attributes:
        plan: the skips that were added.
        model: the rewired network; `None` when read back from data.
        code: the source that `source()` returns.
        added: line numbers of `code` (from 1) that the plain network does not have.
        model_name: class of the network.
        parameters: how many parameters it has.
        parameters_added: how many of them are new.
        layers: the names of the weight layers in execution order.
        undo: what takes the changes away again; empty when read back from data.
    """

    kind_of_result = "rewiring"
    plan: Plan
    code: str
    added: tuple[int, ...]
    model_name: str
    parameters: int
    parameters_added: int
    layers: tuple[str, ...]
    model: nn.Module | None = field(
        default=None, repr=False, compare=False, metadata={"plain": False}
    )
    undo: tuple[Undo, ...] = field(default=(), repr=False, compare=False, metadata={"plain": False})

    def source(self) -> str:
        """Return the rewired classes as Python to read and paste."""
        return self.code

    def new_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the plain network does not have, for the optimizer.

        They can have settings of their own:

        Example:
            >>> import skipway, torch
            >>> from torch import nn
            >>> net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
            >>> rewiring = skipway.rewire(net, torch.randn(2, 8), how="cat")
            >>> [tuple(parameter.shape) for parameter in rewiring.new_parameters()]
            [(8, 16)]

        Raises:
            RewireError: the network was not saved with this result.
        """
        found = [p for name in self._new_names() for p in _under(self._got(), name)]
        return list(dict.fromkeys(found))  # blocks may share a rule

    def plain(self) -> nn.Module:
        """Return a copy of the network without its skips, as it is trained now.

        Of a network that was not trained since, the outputs are those of the network given to
        `rewire`.

        Raises:
            RewireError: the network was not saved with this result.

        Example:
            >>> import skipway, torch
            >>> from torch import nn
            >>> net, x = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4))), torch.randn(2, 8)
            >>> torch.equal(skipway.rewire(net, x).plain()(x), net(x))
            True
        """
        model = copy.deepcopy(self._got())
        for each in self.undo:
            scope = model.get_submodule(each.path)
            for name in each.added:
                for part in scope.get_submodule(name).modules():
                    unhook: Any = getattr(part, "unhook", None)
                    if unhook is not None:  # what carries a skip by hooks
                        unhook()
                delattr(scope, name)
            scope.__class__ = each.kind
        return model

    def check_optimizer(self, optimizer: torch.optim.Optimizer) -> bool:
        """Warn where an optimizer does not train the rewired network: one of the plain network.

        `rewire` makes a new network. An optimizer that was built before goes on training the old
        one, without an error; and one that was given a part of the new parameters trains a part.

        Returns:
            Whether every parameter that needs a gradient is in the optimizer.

        Raises:
            RewireError: the network was not saved with this result.

        Example:
            >>> import skipway, torch
            >>> from torch import nn
            >>> net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
            >>> rewiring = skipway.rewire(net, torch.randn(2, 8))
            >>> rewiring.check_optimizer(torch.optim.SGD(rewiring.model.parameters(), 0.1))
            True
        """
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        wanted = {n: p for n, p in self._got().named_parameters() if p.requires_grad}
        missing = [name for name, parameter in wanted.items() if id(parameter) not in held]
        if missing:
            words = _not_held(missing, len(wanted), self._new_names())
            warnings.warn(f"{words}\n{more('rewire#the-optimizer')}", stacklevel=2)
        return not missing

    def _got(self) -> nn.Module:
        if self.model is None:
            raise RewireError(
                "This rewiring was read back from data, which holds no network. Apply its plan: "
                "skipway.rewire(model, inputs, plan=rewiring.plan)."
            )
        return self.model

    def _new_names(self) -> list[str]:
        return [
            f"{each.path}.{name}" if each.path else name
            for each in self.undo
            for name in each.added
        ]


def _under(model: nn.Module, path: str) -> list[nn.Parameter]:
    return list(model.get_submodule(path).parameters())


def _not_held(missing: list[str], count: int, new: list[str]) -> str:
    first = missing[0]
    if len(missing) == count:
        return (
            f"The optimizer holds none of the rewired network's {count} parameters (`{first}` "
            "...): it was built for another network, the plain one most likely, and would go on "
            "training that. Build a new one from rewiring.model.parameters()."
        )
    if all(any(name.startswith(f"{each}.") for each in new) for name in missing):
        return (
            f"The optimizer holds none of what the skips added (`{first}` and so on, "
            f"{len(missing)} in all), so it stays as it is. Add it: "
            'optimizer.add_param_group({"params": rewiring.new_parameters()}).'
        )
    return (
        f"The optimizer holds {count - len(missing)} of the rewired network's {count} parameters; "
        f"`{first}` is not among them, for one. Build a new one from rewiring.model.parameters()."
    )
