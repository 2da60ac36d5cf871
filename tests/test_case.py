"""A `Case` refuses what makes no sense, in one paragraph that says how to mend it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from skipway import Case
from skipway._errors import BatchError, CaseError, LossError, OptimizerError, SkipwayError

X, Y = torch.randn(20, 4), torch.arange(20) % 3


def a_case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "model": lambda: nn.Linear(4, 3),
        "train": (X, Y),
        "test": (X, Y),
        "loss": nn.functional.cross_entropy,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.25),
        "batch_size": 8,
        "epochs": 2,
    }
    return Case(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, CaseError, "epochs=0; give 1 or more"),
        ({"batch_size": 0}, CaseError, "batch_size=0"),
        ({"model": nn.Linear(4, 3)}, CaseError, "Linear as its model.*lambda: MyNet"),
        ({"optimizer": torch.optim.SGD(nn.Linear(1, 1).parameters())}, CaseError, "function of"),
        ({"loss": None}, CaseError, "exactly one of loss"),
        ({"objective": lambda model, batch: 0}, CaseError, "exactly one of loss"),
        ({"train": (X[:1], Y[:1])}, CaseError, "1 sample"),
        ({"train": (X, Y[:7])}, CaseError, r"differ in length \(7 and 20\)"),
        ({"train": (X, Y, Y)}, CaseError, "3 things in train"),
        ({"test": 3}, CaseError, "int as test"),
        ({"learning_rates": ()}, CaseError, "factors above zero"),
        ({"learning_rates": (0.0,)}, CaseError, "factors above zero"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(
    changes: dict[str, Any], error: type[SkipwayError], message: str
) -> None:
    with pytest.raises(error, match=message):
        a_case(**changes)


def test_every_rate_is_multiplied() -> None:
    case = a_case(
        optimizer=lambda p: torch.optim.SGD([{"params": list(p), "lr": 0.5}], lr=0.1, momentum=0.9)
    )
    (group,) = case.make_optimizer(nn.Linear(2, 2).parameters(), 3.0).param_groups
    assert (group["lr"], group["momentum"]) == (1.5, 0.9)


def test_no_optimizer_is_named() -> None:
    with pytest.raises(OptimizerError, match="returned a list"):
        a_case(optimizer=list).make_optimizer(nn.Linear(2, 2).parameters())


def test_batches_of_pairs_and_data_sets_are_the_same() -> None:
    from_pair = a_case().batch(seed=3)
    from_set = a_case(train=TensorDataset(X, Y)).batch(seed=3)
    assert torch.equal(from_pair[0], from_set[0])
    assert torch.equal(from_pair[1], from_set[1])
    assert len(from_pair[1]) == 8
    rows = {tuple(row) for row in X.tolist()}
    assert {tuple(row) for row in from_pair[0].tolist()} <= rows


def test_losses_that_cannot_be_differentiated() -> None:
    model, batch = nn.Linear(4, 3), a_case().batch()
    with pytest.raises(LossError, match=r"shape \(8,\), not one number"):
        a_case(loss=nn.CrossEntropyLoss(reduction="none")).evaluate_loss(model, batch)
    with pytest.raises(LossError, match="float, not a tensor"):
        a_case(loss=lambda output, target: 1.0).evaluate_loss(model, batch)
    with pytest.raises(BatchError, match="not a pair"):
        a_case().evaluate_loss(model, batch[0])
