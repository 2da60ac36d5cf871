"""`layer_by_layer`: a stacked LSTM, GRU or RNN with a skip across each of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from .._errors import SkipError
from ._gate import ReZero

_CALLS = {
    "LSTM": "lstm",
    "GRU": "gru",
    "RNN_TANH": "rnn_tanh",
    "RNN_RELU": "rnn_relu",
}


def layer_by_layer(
    rnn: nn.RNNBase,
    input: Any,
    hx: Any = None,
    *,
    skipped: Sequence[int] = (),
    joins: Sequence[nn.Module] = (),
    scale: float = 1.0,
) -> tuple[Any, Any]:
    """Run a stacked recurrent module one layer after the other, with skips across its layers.

    `y_l = x_l + s f_l(x_l)` for each layer `l` in `skipped`: GNMT's residual connections (Wu et al.
    2016, arXiv:1609.08144, section 3.1). One call of `nn.LSTM` does all layers at once, with no way
    in; this is the same computation with a way in, on the same parameters.

    Args:
        rnn: `nn.LSTM`, `nn.GRU` or `nn.RNN`, of any number of layers.
        input: what its forward takes, a `PackedSequence` too.
        hx: the first states, zeros by default.
        skipped: which layers, from 1: the first one changes the width.
        joins: for each of them a module of the two sides, `Fuse(width)`, or a gate on the skip,
            `ReZero()`; none for plain sums.
        scale: of the branch in a plain sum.

    Returns:
        What `rnn(input, hx)` returns: outputs and last states.

    Raises:
        SkipError: there is no such layer.

    Example:
        >>> rnn, x = nn.GRU(8, 8, 3), torch.randn(5, 2, 8)
        >>> torch.allclose(layer_by_layer(rnn, x)[0], rnn(x)[0], atol=1e-6)
        True
    """
    wrong = [layer for layer in skipped if not 0 < layer < rnn.num_layers]
    if wrong:
        raise SkipError(
            f"There is no skip across layer {wrong[0]} of {rnn.num_layers}: layers count from 0, "
            "and the first one changes the width."
        )
    packed = isinstance(input, PackedSequence)
    x, sizes, order, back = input if packed else (input, None, None, None)
    batched = packed or x.dim() == 3
    x = x if batched else x.unsqueeze(0 if rnn.batch_first else 1)
    states = _states(rnn, x, sizes, hx, batched, order)
    last: list[tuple[Tensor, ...]] = []
    merges: dict[int, nn.Module | None] = dict.fromkeys(skipped)
    merges.update(zip(skipped, joins, strict=bool(joins)))
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout:
            x = F.dropout(x, rnn.dropout, rnn.training)
        y, *ends = _run(rnn, layer, x, sizes, states)
        last.append(tuple(ends))
        x = _joined(x, y, merges[layer], scale) if layer in merges else y
    return _result(rnn, x, last, input, batched, packed, back)


def _joined(skip: Tensor, y: Tensor, join: nn.Module | None, scale: float) -> Tensor:
    if join is None:
        return skip + (y if scale == 1 else scale * y)
    joined: Tensor = join(skip) + y if isinstance(join, ReZero) else join(skip, y)
    return joined


def _states(
    rnn: nn.RNNBase, x: Tensor, sizes: Any, hx: Any, batched: bool, order: Any
) -> tuple[Tensor, ...]:
    if hx is None:
        batch = int(sizes[0]) if sizes is not None else x.shape[0 if rnn.batch_first else 1]
        count = rnn.num_layers * (2 if rnn.bidirectional else 1)
        first = x.new_zeros(count, batch, rnn.proj_size or rnn.hidden_size)
        return (
            (first, x.new_zeros(count, batch, rnn.hidden_size)) if rnn.mode == "LSTM" else (first,)
        )
    given = hx if isinstance(hx, tuple) else (hx,)
    given = tuple(each if batched else each.unsqueeze(1) for each in given)
    return given if order is None else tuple(each.index_select(1, order) for each in given)


def _run(
    rnn: nn.RNNBase, layer: int, x: Tensor, sizes: Any, states: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    ways = 2 if rnn.bidirectional else 1
    own = tuple(each[layer * ways : (layer + 1) * ways].contiguous() for each in states)
    names = [name for way in rnn._all_weights[layer * ways : (layer + 1) * ways] for name in way]
    weights = [getattr(rnn, name) for name in names]
    function = getattr(torch._VF, _CALLS[rnn.mode])
    first = own if rnn.mode == "LSTM" else own[0]
    ends = (weights, rnn.bias, 1, 0.0, rnn.training, rnn.bidirectional)
    if sizes is not None:
        found: tuple[Tensor, ...] = function(x, sizes, first, *ends)
    else:
        found = function(x, first, *ends, rnn.batch_first)
    return found


def _result(
    rnn: nn.RNNBase,
    x: Tensor,
    last: list[tuple[Tensor, ...]],
    input: Any,
    batched: bool,
    packed: bool,
    back: Any,
) -> tuple[Any, Any]:
    states = tuple(torch.cat(each) for each in zip(*last, strict=True))
    if back is not None:
        states = tuple(each.index_select(1, back) for each in states)
    if not batched:
        x = x.squeeze(0 if rnn.batch_first else 1)
        states = tuple(each.squeeze(1) for each in states)
    output = PackedSequence(x, *input[1:]) if packed else x
    return output, states if rnn.mode == "LSTM" else states[0]
