"""What other tools' rules say of the same patients: `python benchmarks/evidence/rivals.py`.

Three sets of rules with their published thresholds, each given ten training steps of every patient
(tests/causes), three seeds, with the loss as it is and multiplied by 1e-6 and 1e6 (optimizers
compensated):

- SageMaker Debugger (built-in rules, default parameters): mean absolute gradient of a weight below
  1e-7; update over weight outside 1e-8 to 10; more than half of a layer's ReLU units active on less
  than 1 % of values; more than half of a layer's tanh inputs beyond 9.5; anything not finite.
- TheDeepChecker (Ben Braiek and Khomh 2023): mean absolute gradient below 1e-6, or halved at each
  of five steps; anything not finite.
- AutoTrainer (Zhang et al., ICSE 2021): gradient norm of the first weight over the last one's below
  1e-3 and itself below 1e-4; that ratio above 70; 70 % or more of all gradients exactly zero.

Several rules of a set may fire; it counts as right if one of them names the cause that training
established, and on a patient that trains as it is if none fires. Rules that name no cause (the loss
does not fall) are left out. Ours has to name one.
"""

from __future__ import annotations

import csv
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from measure import machine, write

from causes import labels, patients
from causes._patient import Patient, rescaled, start

SEEDS, STEPS = 3, 10
HERE = Path(__file__).parent


@dataclass
class Seen:
    """What the rules look at: a list over steps, by name of the weight, in order."""

    mean: list[dict[str, float]] = field(default_factory=list)
    norm: list[dict[str, float]] = field(default_factory=list)
    update: list[dict[str, float]] = field(default_factory=list)
    zero: list[float] = field(default_factory=list)
    inactive: float = 0.0
    beyond: float = 0.0
    finite: bool = True


def sagemaker(seen: Seen) -> set[str]:
    """Return the causes that SageMaker Debugger's rules name."""
    found = set() if seen.finite else {"non-finite"}
    if any(value < 1e-7 for step in seen.mean for value in step.values()):
        found.add("vanishing")
    if any(value < 1e-8 for step in seen.update for value in step.values()):
        found.add("lr-too-small")
    if any(value > 10 for step in seen.update for value in step.values()):
        found.add("lr-too-large")
    if seen.inactive > 0.5:
        found.add("dead-units")
    if seen.beyond > 0.5:
        found.add("saturation")
    return found


def deep_checker(seen: Seen) -> set[str]:
    """Return the causes that TheDeepChecker's rules name."""
    found = set() if seen.finite else {"non-finite"}
    for name in seen.mean[0]:
        values = [step[name] for step in seen.mean]
        halved = [b <= 0.5 * a for a, b in pairwise(values)]
        if min(values) < 1e-6 or any(all(halved[i : i + 5]) for i in range(len(halved) - 4)):
            found.add("vanishing")
    return found


def auto_trainer(seen: Seen) -> set[str]:
    """Return the causes that AutoTrainer's rules name."""
    found = set() if seen.finite else {"exploding", "non-finite"}
    for norms, zero in zip(seen.norm, seen.zero, strict=True):
        first, last = next(iter(norms.values())), next(reversed(norms.values()))
        ratio = first / last if last else math.inf
        if ratio < 1e-3 and first < 1e-4:
            found.add("vanishing")
        if ratio > 70:
            found.add("exploding")
        if zero >= 0.7:
            found.add("dead-units")
    return found


RULES: Mapping[str, Callable[[Seen], set[str]]] = {
    "SageMaker Debugger": sagemaker,
    "TheDeepChecker": deep_checker,
    "AutoTrainer": auto_trainer,
}


class _Activations(TorchFunctionMode):
    """Notes, per layer, ReLU units that are hardly ever on and tanh inputs far out."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name == "relu":
            channel = 1 if result.dim() == 4 else -1
            on = (result.detach() > 0).movedim(channel, -1).reshape(-1, result.shape[channel])
            share = (on.double().mean(0) < 0.01).double().mean().item()
            self.seen.inactive = max(self.seen.inactive, share)
        if name == "tanh":
            share = (args[0].detach().abs() > 9.4999).double().mean().item()
            self.seen.beyond = max(self.seen.beyond, share)
        return result


def watch(patient: Patient, seed: int, factor: float) -> Seen:
    """Return what ten training steps show."""
    case = patient.case() if factor == 1 else rescaled(patient.case(), factor)
    model, optimizer = start(case, seed, patient.before)
    model.train(not patient.evaluating)
    seen = Seen()
    weights = {n: p for n, p in model.named_parameters() if p.dim() > 1 and p.requires_grad}
    for step in range(STEPS):
        with _Activations(seen):
            loss = case.evaluate_loss(model, case.batch(1000 * seed + patient.before + step))
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        _note(seen, model, weights, loss, optimizer)
        if not seen.finite:
            break
    return seen


def _note(
    seen: Seen,
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
) -> None:
    gradients = {
        n: (torch.zeros_like(p) if p.grad is None else p.grad.detach()).double().clone()
        for n, p in weights.items()
    }
    before = {n: p.detach().double().clone() for n, p in weights.items()}
    optimizer.step()
    if gradients:
        flat = torch.cat([g.reshape(-1) for g in gradients.values()])
        seen.zero.append((flat == 0).double().mean().item())
        seen.mean.append({n: g.abs().mean().item() for n, g in gradients.items()})
        seen.norm.append({n: g.norm().item() for n, g in gradients.items()})
        seen.update.append(
            {n: _ratio((p.detach().double() - before[n]).norm(), before[n].norm())
             for n, p in weights.items()}
        )  # fmt: skip
    else:
        seen.zero.append(0.0)
        for each in (seen.mean, seen.norm, seen.update):
            each.append({"none": 1.0})
    everything = [loss.detach(), *gradients.values(), *(p.detach() for p in model.parameters())]
    seen.finite = all(bool(torch.isfinite(each).all()) for each in everything)


def _ratio(part: Tensor, whole: Tensor) -> float:
    return (part / whole).item() if whole else 1.0


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    known, rows = labels(), []
    for patient in patients().values():
        truth = known[patient.name]
        causes = {truth["cause"], *truth["also"].split()}
        for seed in range(SEEDS):
            seen = {factor: watch(patient, seed, factor) for factor in (1.0, 1e-6, 1e6)}
            for tool, rules in RULES.items():
                plain, low, high = (rules(seen[factor]) for factor in (1.0, 1e-6, 1e6))
                right = not plain if truth["trains"] == "yes" else bool(plain & causes)
                rows.append(
                    {
                        "tool": tool,
                        "patient": patient.name,
                        "seed": seed,
                        "cause": truth["cause"],
                        "named": " ".join(sorted(plain)),
                        "right": "yes" if right else "no",
                        "false alarm": "yes" if truth["trains"] == "yes" and plain else "no",
                        "flips": "yes" if not plain == low == high else "no",
                    }
                )
    with (HERE / "rivals.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    result = {
        tool: {
            "diagnoses": sum(row["tool"] == tool for row in rows),
            **{
                key: sum(row["tool"] == tool and row[key] == "yes" for row in rows)
                for key in ("right", "false alarm", "flips")
            },
        }
        for tool in RULES
    }
    write(__file__, {**result, **machine()})


if __name__ == "__main__":
    main()
