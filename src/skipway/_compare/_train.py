"""The training loop: the same for every variant, and nothing in it waits for a number."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._case import Case, size, take
from .._several_optimizers import asks_closure


def train(
    case: Case,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    seed: int = 0,
    epochs: int | None = None,
    steps: int | None = None,
    index: Tensor | None = None,
    on_epoch: Callable[[int], bool | None] | None = None,
) -> float:
    """Train `model` in place, in training mode, with the data order of this seed.

    Args:
        case: gives data, loss and batch size.
        model: what is trained.
        optimizer: over its parameters.
        seed: of the data order and of what is random in training (dropout).
        epochs: by default the case's own.
        steps: instead of epochs; the last epoch may be a part of one.
        index: which training samples to use, `(n,)`; by default all.
        on_epoch: called with 0 before training and with the epoch's number after each;
            returning true stops the training.

    Returns:
        The median time of one step in milliseconds; 0 where none was taken.

    Raises:
        LossError: the loss is no scalar.

    Example:
        >>> from skipway import cases
        >>> case = cases.load("healthy-mlp")
        >>> model = case.model()
        >>> seen = []
        >>> step_ms = train(case, model, case.make_optimizer(model.parameters()), epochs=1,
        ...                 on_epoch=seen.append)
        >>> seen, step_ms > 0
        ([0, 1], True)
    """
    index = torch.arange(size(case.train)) if index is None else index
    order = torch.Generator().manual_seed(seed)
    times: list[float] = []
    if on_epoch is not None and on_epoch(0):
        return 0.0
    # Building a larger model draws more random numbers; from here on all variants draw the same.
    torch.manual_seed(seed)
    model.train()
    whole = case.epochs if epochs is None else epochs
    for epoch in itertools.count(1) if steps is not None else range(1, whole + 1):
        for batch in batches(index, case.batch_size, order):
            start = time.perf_counter()
            step(case, model, optimizer, batch)
            times.append(time.perf_counter() - start)
            if len(times) == steps:
                break
        if (on_epoch is not None and on_epoch(epoch)) or len(times) == steps:
            break
    return 1000 * statistics.median(times) if times else 0.0


def step(case: Case, model: nn.Module, optimizer: Optimizer, index: Tensor) -> None:
    """Take one optimizer step on the training samples at `index`."""
    batch = take(case.train, index)

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = case.evaluate_loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types here
        return loss.detach()  # type: ignore[return-value]  # a loss is a tensor to torch, too

    if asks_closure(optimizer):
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()


def batches(index: Tensor, batch_size: int, order: torch.Generator) -> list[Tensor]:
    """Return one epoch's batches of indices in the next random order."""
    shuffled = index[torch.randperm(len(index), generator=order)]
    parts = list(torch.split(shuffled, batch_size))
    # A batch of one has no variance, which a BatchNorm in training mode refuses.
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts
