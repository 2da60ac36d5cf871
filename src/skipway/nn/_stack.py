"""`Stack`: many blocks under one rule about how states travel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from .._errors import SkipError
from ._branch import overwrites_input, run
from ._rule import Rule, check_unserved
from ._rules import Dense, DenseFormer, Fixup, HyperConnections, Residual, Reversible
from ._rules._replay import replayed

_PAGE = "building-blocks#stack-one-rule-for-many"  # of the docs

_NAMED: dict[str, Callable[[], Rule]] = {
    "residual": Residual,
    "fixup": Fixup,
    "dense": Dense,
    "denseformer": DenseFormer,
    "hyper-connections": lambda: HyperConnections(4),
    "reversible": Reversible,
}


class Stack(nn.Module):
    """Many blocks under one rule: `Stack(blocks, rule=HyperConnections(4))`.

    The blocks are branches `f_l` without a skip of their own. The rule gives them their skips, so
    that to try another rule is to change one word.

    Args:
        blocks: one or more modules, in order.
        rule: a `Rule`, or the name of one that needs nothing: `"residual"`, `"fixup"`, `"dense"`,
            `"denseformer"`, `"hyper-connections"` (4 streams), `"reversible"`. The stack takes it
            over and makes its parameters here, before any optimizer is built, so each stack gets
            a rule of its own.

    Shape:
        What rule and blocks make of it, with most rules the shape of the input. More arguments of
        `forward` go to every block (a mask, say).

    Raises:
        SkipError: there are no blocks, or the rule is unknown or serves another stack; in
            forward, a block returns what the rule cannot join, or overwrites its input.

    Example:
        >>> import torch
        >>> blocks = [nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU()) for _ in range(6)]
        >>> x = torch.randn(4, 8)
        >>> residual, hyper = Stack(blocks), Stack(blocks, rule="hyper-connections")
        >>> torch.equal(residual(x), hyper(x))
        True
    """

    def __init__(self, blocks: Iterable[nn.Module], rule: Rule | str = "residual") -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_checked(blocks))
        self.rule = _rule_of(rule)
        self.rule.depth = len(self.blocks)
        self.rule.prepare(self.blocks)
        self._overwrites = [overwrites_input(block) for block in self.blocks]

    def forward(self, x: Tensor, *context: Any) -> Tensor:
        """Return what the rule makes of `x`; `context` goes to every block."""
        state = self.rule.begin(x)
        if isinstance(self.rule, Reversible) and self.rule.recomputes(state):
            return self.rule.end(replayed(self._block, self.blocks, state, context))
        for layer in range(len(self.blocks)):
            h, waiting = self.rule.read(state, layer)
            state = self.rule.write(waiting, layer, self._block(layer, h, context))
        return self.rule.end(state)

    def _block(self, layer: int, h: Tensor, context: tuple[Any, ...]) -> Tensor:
        y = run(self.blocks[layer], h, context, self._overwrites[layer])
        if not isinstance(y, Tensor):
            raise SkipError(
                f"Block {layer} ({type(self.blocks[layer]).__name__}) returns a "
                f"{type(y).__name__}, not a tensor. Wrap it in a module that returns the tensor.",
                page=_PAGE,
            )
        return y


def _checked(blocks: Iterable[nn.Module]) -> list[nn.Module]:
    if not isinstance(blocks, Iterable):
        raise SkipError(
            f"A stack takes a list of blocks, not one {type(blocks).__name__}.",
            page=_PAGE,
        )
    blocks = list(blocks)
    if not blocks:
        raise SkipError(
            "A stack needs one or more blocks, and there are none.",
            page=_PAGE,
        )
    for layer, block in enumerate(blocks):
        if not isinstance(block, nn.Module):
            raise SkipError(
                f"Block {layer} is to be a module, and {block!r} is none.",
                page=_PAGE,
            )
    return blocks


def _rule_of(rule: Rule | str) -> Rule:
    if isinstance(rule, str):
        if rule not in _NAMED:
            raise SkipError(
                f"There is no rule {rule!r} that needs nothing; these are {', '.join(_NAMED)}. "
                "Others take arguments: rule=skipway.nn.DeepNorm(64).",
                page=_PAGE,
            )
        return _NAMED[rule]()
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise SkipError(
            f"{rule.__name__} is the class; give a rule: rule={rule.__name__}(...).",
            page=_PAGE,
        )
    if not isinstance(rule, Rule):
        raise SkipError(
            f"A rule is a skipway.nn.Rule or the name of one, not {rule!r}.",
            page=_PAGE,
        )
    check_unserved(rule, _PAGE)
    return rule
