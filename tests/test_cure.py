"""The main job as a whole, and what it says: words that fit the numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import skipway
from skipway import Case
from skipway._cure import _words as words
from skipway._errors import CaseError, RewireError, RunError
from skipway._results import Comparison, Interval, Run, Variant

X = torch.randn(96, 8, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


class Gained(nn.Module):
    def __init__(self, gain: float = 1.0, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = slope
        self.layer = nn.Linear(8, 2)
        with torch.no_grad():
            self.layer.weight.mul_(gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * self.layer(x)


def a_case(weight: float = 1.0, **changes: Any) -> Case:
    fields: dict[str, Any] = {
        "model": Gained,
        "train": (X, Y),
        "test": (X, Y),
        "loss": lambda output, target: weight * nn.functional.cross_entropy(output, target),
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.1),
        "batch_size": 32,
        "epochs": 1,
    }
    return Case(**{**fields, **changes})


@pytest.mark.parametrize(
    "changed",
    [a_case(model=lambda: Gained(gain=0.0)), a_case(model=lambda: Gained(slope=2.0)), a_case(2.0)],
    ids=["initialisation", "attribute", "constant in the loss"],
)
def test_what_changes_the_numbers_is_another_configuration(changed: Case, tmp_path: Path) -> None:
    def run(case: Case) -> Comparison:
        return skipway.compare({"a": case}, seeds=1, workers=0, folder=tmp_path, controls=False)

    first = run(a_case())
    assert run(a_case()).variants[0].runs == first.variants[0].runs, "finished cells are kept"
    with pytest.raises(RunError, match=r"another configuration.*Changed: a: (model|loss)"):
        run(changed)


def a_comparison(*, unit: str = "", chance: float | None = None, **variant: Any) -> Comparison:
    run = Run(
        variant="addition", seed=0, learning_rate=1.0, status="done", error=None,
        train_loss=(1.0, 0.5), validation=(1.0, 0.5), test=(1.0, 0.5), stalled=False, step_ms=1.0,
        seconds=1.0, parameters=10,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": "addition", "detail": "", "role": "treated", "learning_rate": 0.1, "factor": 1.0,
        "tried": (), "runs": (run, run, run), "median": 0.5, "mean": 0.5, "low": 0.4, "high": 0.6,
        "difference": Interval(-0.000842, -0.0011, -0.0006, 3, 3), "against_linear": None,
        "failures": 0, "stalled": 0, "step_ms": 1.0, "parameters": 10, "answer": "helped",
    }  # fmt: skip
    return Comparison(
        case="c", reference="plain", variants=(Variant(**{**fields, **variant}),), metric="loss",
        unit=unit, higher_is_better=bool(unit), chance=chance, chance_loss=None, answer="helped",
        best="addition", verdict="Yes.", notes=(), missing=(), seeds=3, epochs=1, settings={},
        environment={}, configuration="",
    )  # fmt: skip


def test_better_than_bad_is_no_cure() -> None:
    assert words.recommend(a_comparison(chance=0.6)) == "addition"
    assert words.recommend(a_comparison(chance=0.49)) is None, "a constant does better"
    assert words.recommend(a_comparison(stalled=2)) is None, "two of three learned nothing"
    assert words.recommend(a_comparison(unit="points", chance=10.0, median=9.0)) is None
    assert words.recommend(a_comparison(answer="no difference")) is None


def test_a_loss_is_given_in_its_own_digits() -> None:
    said = words.proof(a_comparison(), "addition", "cured")
    assert "−0.00084 test loss, 95 % interval −0.0011 to −0.00060" in said


def test_a_result_survives_the_way_through_json(tmp_path: Path) -> None:
    case = skipway.cases.load("tanh-mlp").replace(epochs=2, learning_rates=(1.0,))
    result = skipway.cure(case, seeds=2, workers=0, controls=False)
    back = skipway.read(result.save(tmp_path / "result.json"))
    assert isinstance(back, skipway.Cure)
    plain = json.loads(json.dumps(result.to_dict()))
    assert back.to_dict() == plain
    assert [rewiring.plan for rewiring in back.rewirings] == [r.plan for r in result.rewirings]
    skips = len(result.rewirings[0].plan.skips)
    assert skips in (14, 15), "one across every two of 30 hidden layers, where they lose gradient"
    assert result.diagnosis.when == "before the first step"
    assert result.later is not None
    assert "1 epoch" in result.later.when
    assert f"{skips} additions, one across every 2 layers" in words.cure(
        result.diagnosis, {"addition": result.rewirings[0]}, "addition", ()
    )


@pytest.mark.parametrize("name", ["healthy-mlp", "detached", "solved"])
def test_nothing_is_rewired_or_trained_where_that_is_no_answer(name: str) -> None:
    result = skipway.cure(skipway.cases.load(name), seeds=1)
    assert result.rewirings == ()
    assert result.comparison is None
    assert result.outcome == ("not cured" if name == "detached" else "nothing to cure")
    assert "None" not in result.cure


def test_an_objective_is_diagnosed_and_not_rewired() -> None:
    deep = skipway.cases.load("tanh-mlp")

    def objective(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    case = dataclasses.replace(deep, loss=None, objective=objective)
    result = skipway.cure(case, seeds=1)
    assert result.diagnosis.cause == "vanishing"
    assert len(result.refused) == 1, "the same refusal is said once"
    assert "skipway.rewire(model, inputs)" in result.refused[0]


def test_wrong_arguments_are_named() -> None:
    case, net = a_case(), Gained()
    with pytest.raises(CaseError, match=r"a Gained, not a Case.*cases\.load"):
        skipway.cure(net)  # type: ignore[arg-type]
    with pytest.raises(CaseError, match=r"seeds=0"):
        skipway.cure(case, seeds=0)
    with pytest.raises(CaseError, match="give cases by name"):
        skipway.compare(case)  # type: ignore[arg-type]
    with pytest.raises(CaseError, match="'a' is a Gained"):
        skipway.compare({"a": net})  # type: ignore[dict-item]
    with pytest.raises(CaseError, match="seeds='2'"):
        skipway.compare({"a": case}, seeds="2")  # type: ignore[arg-type]
    with pytest.raises(CaseError, match="learning_rates"):
        a_case(learning_rates=(float("nan"),))
    with pytest.raises(CaseError, match="a str as its loss"):
        a_case(loss="cross_entropy")
    with pytest.raises(CaseError, match="control 'shallow'"):
        a_case(controls={"shallow": net})
    with pytest.raises(RewireError, match=r"plan is a str.*skipway\.read"):
        skipway.rewire(net, X, plan="plan.json")  # type: ignore[arg-type]
