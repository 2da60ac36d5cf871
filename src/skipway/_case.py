"""`Case`: one training problem, whole: what `compare` and the command line work on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset, default_collate

from ._errors import BatchError, CaseError, LossError, ModelError, OptimizerError
from ._several_optimizers import joined

Data = tuple[Any, Any] | Dataset[Any]
Loss = Callable[[Any, Any], Tensor]
Objective = Callable[[nn.Module, Any], Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training problem: everything one needs to train a network and to judge it.

    Args:
        model: a factory without arguments; its random numbers come from torch's global
            generator, which is seeded before it is called.
        train: an `(inputs, targets)` pair of tensors of equal length, or a map-style Dataset.
        test: the same kind of thing, for the judgement.
        loss: `loss(model(inputs), targets)`, a scalar tensor. Exactly one of loss and objective.
        objective: `objective(model, batch)`, a scalar tensor, for anything else.
        optimizer: a function of the list of parameters, `lambda p: torch.optim.SGD(p, lr=0.01)`.
            It may return several optimizers, each of which holds its own part of them.
        batch_size: samples in a batch.
        epochs: passes over the training data.
        metric: `metric(output, targets)`, a number over the whole test set, higher is better.
            By default the share of right classes where the targets are class indices, otherwise
            there is none and the test loss is judged.
        training: your own training loop instead of the built-in one, called as
            `training(model, data, seed=..., rate=..., log=...)`. It trains `model` in place (or a
            copy, in processes of its own, and loads the weights back). `data` maps `"train"` and
            `"validation"` to the two parts of the training data and `"test"` to the test data;
            `rate` is the factor for your learning rate. `log(**metrics)` notes one epoch; what is
            not among `train_loss`, `validation` and `test` is measured on `model` as it is then.
            Returns the last metrics in the same way, or `None` to have all measured. Loss and
            optimizer still serve the diagnosis.
        learning_rates: factors of the optimizer's own learning rate that `compare` may choose
            from, the same for every variant.
        controls: factories of further models to run beside (name to factory); a `"linear"` or a
            `"shallow"` one replaces the built-in control of that name.
        name: how the case is called in results.
        summary: one line on what it is.

    Raises:
        CaseError: a field makes no sense; the message says which and how to fix it.

    Example:
        >>> inputs, targets = torch.randn(64, 8), torch.randint(2, (64,))
        >>> case = Case(
        ...     model=lambda: nn.Linear(8, 2), train=(inputs, targets), test=(inputs, targets),
        ...     loss=nn.functional.cross_entropy,
        ...     optimizer=lambda p: torch.optim.SGD(p, lr=0.01), batch_size=16, epochs=2)
        >>> case.batch()[0].shape
        torch.Size([16, 8])
    """

    model: Callable[[], nn.Module]
    train: Data
    test: Data
    loss: Loss | None = None
    objective: Objective | None = None
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer | Sequence[Optimizer]]
    batch_size: int = 64
    epochs: int = 10
    metric: Callable[[Any, Any], float] | None = None
    training: Callable[..., Mapping[str, float] | None] | None = None
    learning_rates: tuple[float, ...] = (1.0, 10**0.5, 10.0, 10**1.5)
    controls: Mapping[str, Callable[[], nn.Module]] = dataclasses.field(default_factory=dict)
    name: str = "case"
    summary: str = ""

    def __post_init__(self) -> None:
        if (self.loss is None) == (self.objective is None):
            raise CaseError(
                f"Case {self.name!r} needs exactly one of loss (a criterion of output and "
                "target) and objective (a function of model and batch)."
            )
        for field in ("batch_size", "epochs"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise CaseError(f"Case {self.name!r} has {field}={value!r}; give 1 or more.")
        for field in ("loss", "objective", "metric", "training"):
            if getattr(self, field) is not None and not callable(getattr(self, field)):
                raise CaseError(
                    f"Case {self.name!r} has a {type(getattr(self, field)).__name__} as its "
                    f"{field}; give a function."
                )
        for name, control in self.controls.items():
            if isinstance(control, nn.Module) or not callable(control):
                raise CaseError(
                    f"Case {self.name!r} has a {type(control).__name__} as the control {name!r}; "
                    "give a function that builds a new one each time."
                )
        if isinstance(self.model, nn.Module) or not callable(self.model):
            raise CaseError(
                f"Case {self.name!r} has a {type(self.model).__name__} as its model; give a "
                "function that builds a new one each time: model=lambda: MyNet()."
            )
        if isinstance(self.optimizer, Optimizer) or not callable(self.optimizer):
            raise CaseError(
                f"Case {self.name!r} has a {type(self.optimizer).__name__} as its optimizer; "
                "give a function of the parameters: lambda p: torch.optim.SGD(p, lr=0.01)."
            )
        if not are_rates(self.learning_rates):
            raise CaseError(
                f"Case {self.name!r} has learning_rates={self.learning_rates!r}; give factors "
                "above zero, (1.0,) for the optimizer's own rate only."
            )
        for part in ("train", "test"):
            _check_data(self.name, part, getattr(self, part))

    def replace(self, **changes: Any) -> Case:
        """Return the same case with some fields changed.

        Example:
            >>> from skipway import cases
            >>> cases.load("plain-mlp").replace(epochs=2).epochs
            2
        """
        return dataclasses.replace(self, **changes)

    def batch(self, seed: int = 0) -> Any:
        """Return the first training batch of this seed, as training would see it."""
        order = torch.randperm(size(self.train), generator=torch.Generator().manual_seed(seed))
        return take(self.train, order[: self.batch_size])

    def make_optimizer(self, parameters: Iterable[nn.Parameter], factor: float = 1.0) -> Optimizer:
        """Build the optimizer, every learning rate multiplied by `factor`.

        Raises:
            ModelError: there are no parameters.
            OptimizerError: the case's function raises, or returns something else.
        """
        parameters = list(parameters)
        if not parameters:
            raise ModelError(
                f"The model of case {self.name!r} has no parameters, so there is nothing to train."
            )
        try:
            optimizer = joined(self.optimizer(parameters))
        except Exception as error:  # whatever the user's function raises
            raise OptimizerError(
                f"The optimizer function of case {self.name!r} raised {type(error).__name__}: "
                f"{error}. It is called with a list of the model's parameters."
            ) from error
        if not isinstance(optimizer, Optimizer):
            raise OptimizerError(
                f"The optimizer function of case {self.name!r} returned a "
                f"{type(optimizer).__name__}, not a torch.optim.Optimizer or a list of them."
            )
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * factor
        return optimizer

    def evaluate_loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the loss of one batch: `loss(model(inputs), targets)` or the objective.

        Raises:
            LossError: it is no tensor, or holds more than one number.
            BatchError: the batch is no `(inputs, targets)` pair where a loss needs one.
        """
        return loss_of(model, batch, self.loss, self.objective)


def are_rates(rates: Any) -> bool:
    """Tell whether these are factors of a learning rate: one or more numbers above zero."""
    if not isinstance(rates, (tuple, list)) or not rates:
        return False
    return all(isinstance(r, (int, float)) and math.isfinite(r) and r > 0 for r in rates)


def loss_of(model: nn.Module, batch: Any, loss: Loss | None, objective: Objective | None) -> Tensor:
    """Return the scalar loss of `batch`, which need not have a gradient.

    Raises:
        LossError: it is no tensor, or holds more than one number.
        BatchError: the batch is no `(inputs, targets)` pair where a loss needs one.
    """
    if objective is not None:
        value = objective(model, batch)
    else:
        assert loss is not None
        inputs, targets = split(batch)
        value = loss(call(model, inputs), targets)
    if not isinstance(value, Tensor):
        raise LossError(
            f"The loss is of type {type(value).__name__}, not a tensor. {_instead_of(value)}"
        )
    if value.numel() != 1:
        raise LossError(
            f"The loss has shape {tuple(value.shape)}, not one number. Reduce it, with .mean() "
            'or reduction="mean".'
        )
    return value.reshape(())


def _instead_of(loss: Any) -> str:
    if loss is None:
        return "The function has to return it."
    if isinstance(loss, (int, float)):
        return "Return the tensor itself, without .item() or float()."
    return "Return the loss alone, without what goes with it."


def call(model: nn.Module, inputs: Any) -> Any:
    """Call the model on a tensor, a tuple of positional or a dict of keyword arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def split(batch: Any, called: str = "The batch") -> tuple[Any, Any]:
    """Return inputs and targets of a batch that a loss function can judge."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    of = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    raise BatchError(
        f"{called} is of type {type(batch).__name__}{of}, not a pair (inputs, targets). For a "
        "batch of another kind give objective=, a function of model and batch."
    )


def size(data: Data) -> int:
    """Return the number of samples."""
    if isinstance(data, (tuple, list)):
        return len(data[1])
    return len(data)  # type: ignore[arg-type]  # torch's Dataset does not declare __len__


def take(data: Data, index: Tensor) -> Any:
    """Return the samples at `index` as one batch."""
    if isinstance(data, (tuple, list)):
        return _pick(data[0], index), _pick(data[1], index)
    return default_collate([data[int(i)] for i in index])


def _pick(part: Any, index: Tensor) -> Any:
    if isinstance(part, Mapping):
        return {key: _pick(value, index) for key, value in part.items()}
    if isinstance(part, (tuple, list)):
        return tuple(_pick(value, index) for value in part)
    return part[index]


def _check_data(name: str, part: str, data: Any) -> None:
    pair = isinstance(data, (tuple, list))
    if pair and any(part_of is None for part_of in data):
        raise CaseError(f"Case {name!r} has None in {part}; give (inputs, targets).")
    if pair and len(data) != 2:
        raise CaseError(f"Case {name!r} has {len(data)} things in {part}; give (inputs, targets).")
    if not pair and not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise CaseError(
            f"Case {name!r} has a {type(data).__name__} as {part}; give an (inputs, targets) pair "
            "of tensors or a Dataset with a length."
        )
    if pair:
        lengths = {len(leaf) for leaf in (*_leaves(data[0]), data[1])}
        if len(lengths) > 1:
            raise CaseError(
                f"Case {name!r}: inputs and targets of {part} differ in length "
                f"({' and '.join(map(str, sorted(lengths)))})."
            )
    if size(data) < 2:
        raise CaseError(
            f"Case {name!r} has {size(data)} sample(s) in {part}. With fewer than two there is "
            "nothing to tell apart; give more."
        )


def _leaves(part: Any) -> list[Any]:
    if isinstance(part, Mapping):
        return [leaf for value in part.values() for leaf in _leaves(value)]
    if isinstance(part, (tuple, list)):
        return [leaf for value in part for leaf in _leaves(value)]
    return [part]
