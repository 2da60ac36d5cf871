"""`Skip`: one skip connection around any module."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._errors import SkipError
from ._align import Align
from ._branch import overwrites_input, run
from ._fit import cannot_add, dims_of, fitting_shortcut
from ._gate import ReZero
from ._merge import Merge, merge_of
from ._stochastic_depth import StochasticDepth


class Skip(nn.Module):
    """One skip connection around any module: `y = post(merge(shortcut(x), drop(gate(body(x)))))`.

    `Skip(body)` is `x + body(x)`. Everything else is an option, and each may be a module of your
    own. All parameters exist once it is built: nothing is resolved in the first forward.

    Args:
        body: the branch, any module that returns a tensor. One that begins with an in-place
            operation is given a copy of its input, as the shortcut reads the same tensor (how it
            begins is looked at once, here).
        merge: `"add"`, `"concat"`, or a module of `(shortcut, branch)`: `Add()`, `Concat(dim=-1)`,
            `Highway(64)`, `Fuse(64)`, or one of your own.
        shortcut: what lies on the skip: nothing (the identity), a `Shortcut`, any module, or
            `"auto"`, which with an `example` finds what fits.
        gate: weighs the branch: `ReZero()` or `"rezero"`, `LayerScale(64)`, or any module. A
            `Highway` weighs both sides, so it takes the place of the sum.
        drop: the probability with which a sample loses the branch while training, or a
            `StochasticDepth`.
        align: `"pad"`, `"crop"` or `"interpolate"`, where positions may differ; or an `Align`.
        post: what follows the merge, such as ResNet v1's `nn.ReLU()`.
        example: for `shortcut="auto"`, an input of the size to come; a tuple where the body takes
            more. A copy of the body runs on it once.

    Shape:
        What `body` takes to what `merge` makes: with `"add"` the shape of the branch; with
        `"concat"` the channels of both. More arguments of `forward` go to the body (a mask, say).

    Raises:
        SkipError: an option makes no sense; in forward, the two sides do not fit, or the body
            overwrites its input. The message says which and what would do.

    Example:
        >>> pre_activation = nn.Sequential(nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 8))
        >>> Skip(pre_activation)(torch.randn(4, 8)).shape
        torch.Size([4, 8])
        >>> strided = Skip(nn.Conv2d(3, 6, 3, stride=2, padding=1), shortcut="auto",
        ...                example=torch.randn(1, 3, 8, 8), post=nn.ReLU())
        >>> strided.shortcut
        Shortcut(
          3, 6, 2, kind='D', dims=2
          (pool): AvgPool2d(kernel_size=2, stride=2, padding=0)
          (project): Conv2d(3, 6, kernel_size=(1, 1), stride=(1, 1), bias=False)
        )
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        merge: nn.Module | Literal["add", "concat"] = "add",
        shortcut: nn.Module | Literal["auto"] | None = None,
        gate: nn.Module | Literal["rezero"] | None = None,
        drop: nn.Module | float = 0.0,
        align: nn.Module | Literal["pad", "crop", "interpolate"] | None = None,
        post: nn.Module | None = None,
        example: Any = None,
    ) -> None:
        super().__init__()
        _check_modules(body=body, post=post)
        self.body = body
        self.gate = _gate_of(gate)
        self.drop = _drop_of(drop)
        self.merge = merge_of(merge)
        if isinstance(self.gate, Merge):
            self.merge, self.gate = _only_merge(merge, self.gate), None
        self.align = align if isinstance(align, nn.Module) or align is None else Align(align)
        self.shortcut = _shortcut_of(shortcut, body, example)
        self.post = post
        self._overwrites = overwrites_input(body)
        self._safe = self._overwrites is False
        passed = nn.Identity() if self.shortcut is None else self.shortcut
        self._shortcut_overwrites = overwrites_input(passed)

    def forward(self, x: Tensor, *context: Any) -> Tensor:
        """Return the two sides merged; `context` goes to the body."""
        # The sum is written out here: the call of a module would cost as much as the sum itself.
        branch = self.body(x, *context) if self._safe else self._run_body(x, context)
        if not isinstance(branch, Tensor):
            raise self._no_tensor(branch)
        if self.gate is not None or self.drop is not None:
            branch = self._weighed(x, branch)
        shortcut = x if self.shortcut is None else self._run_shortcut(x)
        if self.align is not None:
            shortcut, branch = self.align(shortcut, branch)
        y: Tensor
        if self.merge is not None:
            y = self.merge(shortcut, branch)
        elif shortcut.shape == branch.shape:
            y = shortcut + branch
        else:
            # The body tells channels from tokens, which the shapes alone cannot.
            raise cannot_add(shortcut.shape, branch.shape, dims_of(self.body, x.ndim))
        if self.post is not None:
            y = self.post(y)
        return y

    def _run_body(self, x: Tensor, context: tuple[Any, ...]) -> Any:
        return run(self.body, x, context, self._overwrites)

    def _run_shortcut(self, x: Tensor) -> Tensor:
        assert self.shortcut is not None
        shortcut: Tensor = run(self.shortcut, x, (), self._shortcut_overwrites)
        return shortcut

    def _weighed(self, x: Tensor, branch: Tensor) -> Tensor:
        if branch is x:
            branch = x.clone()  # a body that hands its input on, and a gate that may write on it
        if self.gate is not None:
            branch = self.gate(branch)
        if self.drop is not None:
            branch = self.drop(branch)
        return branch

    def _no_tensor(self, output: object) -> SkipError:
        return SkipError(
            f"The body ({type(self.body).__name__}) returns a {type(output).__name__}, not a "
            "tensor. Wrap it in a module that returns the one to be merged."
        )


def _check_modules(**parts: nn.Module | None) -> None:
    for name, part in parts.items():
        if part is not None and not isinstance(part, nn.Module):
            made = f"{name}={part.__name__}()" if isinstance(part, type) else "a module of it"
            raise SkipError(f"{name} is to be a module, and {part!r} is none; give {made}.")


def _gate_of(gate: nn.Module | str | None) -> nn.Module | None:
    if gate in ("rezero", "skipinit"):
        return ReZero()
    if isinstance(gate, str):
        raise SkipError(f"There is no gate {gate!r}; give 'rezero' or a module: LayerScale(64).")
    _check_modules(gate=gate)
    return gate


def _only_merge(merge: nn.Module | str, gate: Merge) -> Merge:
    if merge != "add":
        raise SkipError(
            f"{type(gate).__name__} weighs both sides, so it is the merge already; leave "
            f"merge={merge!r} out."
        )
    return gate


def _drop_of(drop: nn.Module | float) -> nn.Module | None:
    if isinstance(drop, nn.Module):
        return drop
    if isinstance(drop, bool) or not isinstance(drop, (int, float)):
        raise SkipError(f"drop is a probability or a module, not {drop!r}.")
    return StochasticDepth(drop) if drop else None


def _shortcut_of(
    shortcut: nn.Module | str | None, body: nn.Module, example: Any
) -> nn.Module | None:
    if shortcut == "auto":
        return _fitting(body, example)
    if isinstance(shortcut, str):
        raise SkipError(f"There is no shortcut {shortcut!r}; give 'auto' or a module.")
    _check_modules(shortcut=shortcut)
    return shortcut


def _fitting(body: nn.Module, example: Any) -> nn.Module | None:
    x = example[0] if isinstance(example, tuple) else example
    if not isinstance(x, Tensor):
        raise SkipError('shortcut="auto" needs an input to see the shapes: give example=x.')
    context = example[1:] if isinstance(example, tuple) else ()
    # A copy in evaluation mode, its random numbers put back: the body stays as it was given.
    probe = copy.deepcopy(body).eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        branch = probe(x.clone(), *context)
    return fitting_shortcut(x.shape, branch.shape, dims_of(body, x.ndim))
