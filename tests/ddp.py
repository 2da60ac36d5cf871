"""What each of two processes does in the tests of DistributedDataParallel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import zoo
from mortal.sitecustomize import end_with
from skipway import models, rewire


def gradients(net: Any, rank: int) -> list[torch.Tensor]:
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(rank)).double()
    net(x).square().sum().backward()
    return [parameter.grad for parameter in net.parameters()]


def network(memory: Any) -> nn.Module:
    torch.manual_seed(4)
    return models.DenseNet(4, (3, 2), initial=8, num_classes=5, memory=memory).double()


def train(rank: int, memory: str, folder: str) -> None:
    end_with(os.getppid())
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        torch.set_num_threads(1)
        net = nn.parallel.DistributedDataParallel(network(memory))
        found = gradients(net, rank)
        if rank == 0:
            torch.save(found, Path(folder) / "gradients.pt")
        dist.barrier()  # gloo aborts where one side leaves while the other still talks
    finally:
        dist.destroy_process_group()
    os._exit(0)  # as below


def rewired(kind: str, how: Any) -> nn.Module:
    torch.manual_seed(4)
    net = getattr(zoo, kind)().double()
    model = rewire(net, torch.randn(2, 4).double(), how=how).model
    assert model is not None
    return model


def flat_gradients(net: nn.Module, rank: int) -> list[torch.Tensor]:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(rank)).double()
    net(x).square().sum().backward()
    return [parameter.grad.clone() for parameter in net.parameters()]


def train_rewired(rank: int, kind: str, how: str, folder: str) -> None:
    end_with(os.getppid())
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        torch.set_num_threads(1)
        net = nn.parallel.DistributedDataParallel(rewired(kind, how))
        found = flat_gradients(net, rank)
        if rank == 0:
            torch.save(found, Path(folder) / "gradients.pt")
        dist.barrier()  # gloo aborts where one side leaves while the other still talks
    finally:
        dist.destroy_process_group()
    # What is to be tested is on the disk. gloo's threads now and then abort a process at its end.
    os._exit(0)
