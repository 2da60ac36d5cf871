"""Zero-dimensional tensors by name and node, brought to the host in one transfer per device."""

from __future__ import annotations

import torch
from torch import Tensor

# Numbers that are cast to float64 at a time: twice over they still lie in the cache, and fewer are
# not shared among threads.
_PIECE = 2**18
ALL_ZERO = -2.0  # in the place of a share, which a signal of zero has none of
_FEW = 2**15  # of which torch's own reduction into float64 is the quickest


class Numbers:
    """Collects 0-d tensors during a pass; `resolve` turns them all into floats at the end."""

    def __init__(self) -> None:
        self._keys: dict[torch.device, list[tuple[str, int]]] = {}
        self._values: dict[torch.device, list[Tensor]] = {}

    def put(self, name: str, index: int, value: Tensor) -> None:
        """Keep one number; the last one put under a name and an index counts."""
        self._keys.setdefault(value.device, []).append((name, index))
        self._values.setdefault(value.device, []).append(value.detach().reshape(()))

    def resolve(self) -> dict[str, dict[int, float]]:
        """Return the floats by name and index."""
        found: dict[str, dict[int, float]] = {}
        for device, keys in self._keys.items():
            values = torch.stack([v.to(wide(v)) for v in self._values[device]]).tolist()
            for (name, index), value in zip(keys, values, strict=True):
                found.setdefault(name, {})[index] = value
        return found


def wide(tensor: Tensor) -> torch.dtype:
    """Return float64 where the device has it (Apple's has not)."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def as_real(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor; a complex one counts as two, in a last dimension."""
    tensor = tensor.detach()
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def count_of(tensor: Tensor) -> int:
    """Return how many real numbers a tensor holds."""
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def norm(tensor: Tensor) -> Tensor:
    """Return the Euclidean norm in float64; in float32 it is exactly 0 below about 1e-23."""
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    tensor = as_real(tensor)
    # A tensor that is spread over processes brings its own reduction.
    plain = type(tensor) is Tensor and tensor.device.type == "cpu" and tensor.is_floating_point()
    if plain and tensor.numel() > _FEW:
        return inner(tensor, tensor).sqrt()
    value: Tensor = torch.linalg.vector_norm(tensor, dtype=wide(tensor))
    return value


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of two tensors of the same shape, in float64.

    On a CPU piece by piece: a piece that is cast while it lies in the cache takes a fraction of
    the time of torch's own reduction into another type.
    """
    same = a is b
    a, b = a.detach().reshape(-1), b.detach().reshape(-1)
    kind = wide(a)
    if a.device.type != "cpu" or len(a) <= _PIECE:
        wider = a.to(kind)
        return torch.dot(wider, wider if same else b.to(kind))
    room, parts = _room(a, 1 if same else 2), []
    for left, right in zip(torch.split(a, _PIECE), torch.split(b, _PIECE), strict=True):
        one, other = room[0, : len(left)], room[-1, : len(left)]
        one.copy_(left)
        # Not NumPy's product: its threads and torch's would wait for one another, for milliseconds.
        parts.append(torch.dot(one, one if same else other.copy_(right)))
    return torch.stack(parts).sum()


def moved(old: Tensor, new: Tensor, slope: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return `||new - old||` and the inner product of `new - old` with `slope`, in float64."""
    old, new = as_real(old).reshape(-1), as_real(new).reshape(-1)
    slope = None if slope is None else as_real(slope).reshape(-1)
    if old.device.type != "cpu":
        way = new.to(wide(new)) - old.to(wide(old))
        along = None if slope is None else slope.to(way.dtype)
        square, product = torch.dot(way, way), _along(way, along)
        return square.sqrt(), product
    room, parts = _room(old, 2), []
    for start in range(0, max(1, len(old)), _PIECE):
        piece = slice(start, start + _PIECE)
        way, other = room[:, : len(old[piece])]
        way.copy_(new[piece]).sub_(other.copy_(old[piece]))
        along = None if slope is None else other.copy_(slope[piece])
        parts.append((torch.dot(way, way), _along(way, along)))
    square, product = (torch.stack(each).sum() for each in zip(*parts, strict=True))
    return square.sqrt(), product


def _along(way: Tensor, slope: Tensor | None) -> Tensor:
    return way.new_zeros(()) if slope is None else torch.dot(way, slope)


def _room(tensor: Tensor, count: int) -> Tensor:
    """Return room for the pieces of a flat tensor in float64, to be used again for each."""
    return torch.empty(count, min(len(tensor), _PIECE), dtype=torch.float64)


def signal_share(tensor: Tensor, batch: int) -> Tensor:
    """Return `||h - mean over the batch|| / ||h||`, or a negative number where it has no meaning.

    That is `ALL_ZERO` where `h` is zero for every sample.
    """
    length = tensor.shape[0] if tensor.dim() > 1 else 0
    if length < 2 or length % batch:
        return torch.full((), -1.0, device=tensor.device)
    given = as_real(tensor)
    values = given.to(wide(tensor))
    whole, mean = torch.linalg.vector_norm(values), values.mean(0)
    apart = values - mean if values.dtype == given.dtype else values.sub_(mean)
    share = torch.linalg.vector_norm(apart) / whole
    # NaN is no zero.
    return torch.where(whole == 0, torch.full_like(share, ALL_ZERO), share)
