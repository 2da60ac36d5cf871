"""What the built-in cases are diagnosed with: `python benchmarks/evidence/built_in_cases.py`.

Every case, five seeds of weights; the table lies beside this script.
"""

from __future__ import annotations

import csv
from pathlib import Path

import torch

import skipway

SEEDS = 5


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for name in skipway.cases.names():
        case = skipway.cases.load(name)
        found = [_diagnosis(case, seed) for seed in range(SEEDS)]
        lost = sorted(each.decades_lost for each in found)
        rows.append(
            {
                "case": name,
                "cause": " ".join(sorted({each.cause for each in found})),
                "treatment": " ".join(sorted({each.treatment for each in found})),
                "decades lost, least": f"{lost[0]:.1f}",
                "decades lost, most": f"{lost[-1]:.1f}",
                "seeds": SEEDS,
            }
        )
        print(rows[-1])
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _diagnosis(case: skipway.Case, seed: int) -> skipway.Diagnosis:
    torch.manual_seed(seed)
    model = case.model()
    return skipway.diagnose(
        model,
        case.batch(seed),
        case.loss,
        objective=case.objective,
        optimizer=case.make_optimizer(model.parameters()),
    )


if __name__ == "__main__":
    main()
