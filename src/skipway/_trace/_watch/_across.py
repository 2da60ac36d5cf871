"""Several processes: whole tensors and whole batches from what each one holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from ._outputs import Passed
from ._tensors import is_sharded


class Across:
    """The processes that train one model together; alone, everything passes through unchanged.

    Under DistributedDataParallel every process holds all weights and a part of the batch; under
    FSDP2 (`fully_shard`) it holds a part of the weights too. Sums over the parts are sums over the
    whole, so one number per tensor travels and no tensor is gathered.

    Args:
        model: as the user has it, wrapped or not.
        parameters: of the model.
    """

    def __init__(self, model: nn.Module, parameters: Sequence[Tensor]) -> None:
        self._groups: list[Any] = []
        self._by_shard: dict[int, tuple[Any, list[int]]] = {}
        self._device = parameters[0].device
        if not (dist.is_available() and dist.is_initialized()):
            return
        if isinstance(model, nn.parallel.DistributedDataParallel):
            self._groups.append(model.process_group)
        for place, parameter in enumerate(parameters):
            if is_sharded(parameter):
                self._add(place, parameter)

    def _add(self, place: int, parameter: Any) -> None:
        mesh = parameter.device_mesh
        for axis, placement in enumerate(parameter.placements):
            group = mesh.get_group(axis)
            if not any(group is known for known in self._groups):
                self._groups.append(group)
            if placement.is_shard():
                self._by_shard.setdefault(id(group), (group, []))[1].append(place)

    @property
    def several(self) -> bool:
        """Whether there is more than this process."""
        return bool(self._groups)

    @property
    def speaks(self) -> bool:
        """Whether this process is the one that warns."""
        return not self._groups or dist.get_rank() == 0

    def whole(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums over the whole tensors; columns are parameters."""
        for group, places in self._by_shard.values():
            sums[:, places] = self._added(sums[:, places], group)
        return sums

    def mean(self, value: float | None) -> float | None:
        """Return the mean over the processes."""
        if value is None or not self._groups:
            return value
        return float(self._meaned(np.asarray([value]))[0])

    def passed(self, found: dict[str, Passed], names: Sequence[str]) -> dict[str, Passed]:
        """Return what passed in all parts of the batch; the loss is the mean of theirs."""
        if not self._groups:
            return found
        table = np.full((4, len(names)), 0.0)
        for at, name in enumerate(names):
            if name in found:
                one = found[name]
                known = one.signal is not None
                table[:, at] = one.output**2, one.gradient**2, one.signal or 0.0, float(known)
        parts = 1
        for group in self._groups:
            table = self._added(table, group)
            parts *= dist.get_world_size(group)
        return {
            name: Passed(out**0.5, grad**0.5 / parts, signal / known if known else None)
            for name, (out, grad, signal, known) in zip(names, table.T.tolist(), strict=True)
            if out or grad
        }

    def _meaned(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        for group in self._groups:
            values = self._added(values, group) / dist.get_world_size(group)
        return values

    def _added(self, values: NDArray[np.float64], group: Any) -> NDArray[np.float64]:
        sent = torch.from_numpy(np.ascontiguousarray(values)).to(self._device)
        dist.all_reduce(sent, group=group)
        return np.asarray(sent.cpu().numpy())
