"""What makes each patient train: `python benchmarks/evidence/causes.py [--set NAME] [NAME ...]`.

Every patient of tests/causes is trained as it is and with each of its interventions, from three
seeds. An intervention works where the median of the three test losses ends below the patient's goal
(a part of the loss of the best constant answer). The patient's cause is the one that the first
intervention which works speaks for; where others work that speak for another cause, that one holds
too (column `also`).

Every training is a row of causes_trainings.csv; causes.csv has the causes. Only what has changed
since is trained again.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from causes import SETS, stem
from causes._patient import CAUSE, SOLVED, Patient, skill, start, train

SEEDS = 3
HERE = Path(__file__).parent
Row = dict[str, str]


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--set", choices=SETS, default="", help="another set of patients")
    arguments.add_argument("names", nargs="*", help="train these again")
    given = arguments.parse_args()
    everyone = SETS[given.set]()
    name = stem("causes", given.set)
    trainings = HERE / f"{name}_trainings.csv"
    known = {(row["patient"], row["print"]): [] for row in _read(trainings)}
    for row in _read(trainings):
        known[row["patient"], row["print"]].append(row)
    rows: list[Row] = []
    for patient in everyone.values():
        done = known.get((patient.name, patient.print), [])
        fresh = bool(done) and patient.name not in given.names
        rows += done if fresh else trained(patient)
        _write(trainings, rows)
    _write(HERE / f"{name}.csv", [established(each, rows) for each in everyone.values()])


def trained(patient: Patient) -> list[Row]:
    """Train a patient in every way and return a row for each training."""
    rows = []
    for cure in ("", *patient.cures):
        began = time.perf_counter()
        pairs = [_train(patient, cure, seed) for seed in range(SEEDS)]
        rows.append(
            {
                "patient": patient.name,
                "print": patient.print,
                "intervention": cure or "none",
                "before": f"{statistics.median(before for before, _ in pairs):.3g}",
                **{f"seed {seed}": f"{pairs[seed][1]:.3g}" for seed in range(SEEDS)},
            }
        )
        after = ", ".join(f"{each:.3g}" for _, each in pairs)
        each = (time.perf_counter() - began) / SEEDS
        print(f"{patient.name:40} {cure or 'none':24} {after:28} {each:.1f} s each", flush=True)
    return rows


def _train(patient: Patient, cure: str, seed: int) -> tuple[float, float]:
    """Return the loss over that of a constant answer: on the training data when the patient is
    diagnosed, on the test data at the end.
    """
    case = patient.case()
    model, optimizer = start(case, seed, patient.before)
    before = skill(case, model, "train")
    treated = patient.case(cure) if cure else case
    if cure:
        fresh, fresh_optimizer = start(treated, seed)
        if patient.before and cure != "started again":
            fresh.load_state_dict(model.state_dict())
        model, optimizer = fresh, fresh_optimizer
    train(treated, model, optimizer, seed, patient.steps - patient.before)
    return before, skill(treated, model)


def established(patient: Patient, rows: Sequence[Row]) -> Row:
    """Return the cause that the trainings of a patient establish."""
    own = {row["intervention"]: row for row in rows if row["patient"] == patient.name}
    ends = {name: _median(row) for name, row in own.items()}
    works = [name for name in ends if ends[name] <= patient.goal]
    before = float(own["none"]["before"])
    if before <= SOLVED:
        causes, trains = ["solved"], "yes"
    elif "none" in works:
        causes, trains = ["healthy"], "yes"
    else:
        causes, trains = list(dict.fromkeys(CAUSE[name] for name in works)), "no"
    return {
        "patient": patient.name,
        "print": patient.print,
        "cause": causes[0] if causes else "unknown",
        "also": " ".join(causes[1:]),
        "trains": trains,
        "as it is": f"{ends['none']:.3g}",
        "intervention": works[0] if works and trains == "no" else "",
        "with it": f"{ends[works[0]]:.3g}" if works and trains == "no" else "",
    }


def _median(row: Mapping[str, str]) -> float:
    return statistics.median(float(row[f"seed {seed}"]) for seed in range(SEEDS))


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
