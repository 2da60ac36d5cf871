"""What the diagnosis reads and says: `python benchmarks/evidence/readings.py [--set NAME]`.

Every patient of tests/causes, three seeds, with the loss as it is and multiplied by 1e-6 and 1e6
(optimizers compensated). A row of readings.csv is one diagnosis with the numbers that its rules
look at; docs/thresholds.py draws them. Held-out patients are read at first sight and the file is
kept; `--now` writes what is said of them since into a file of its own. Where the diagnosis answers
with an error, the verdict is `refused` if the error is one of its own and `failed` if it is not.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from measure import machine

from causes import SETS, labels, stem
from causes._patient import Patient, rescaled, start
from skipway import SkipwayError, cases, diagnose
from skipway._diagnose import _examine
from skipway._diagnose._facts import Facts
from skipway._diagnose._judgement import Judgement
from skipway._diagnose._verdict import last_look

SEEDS = 3
HERE = Path(__file__).parent


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--set", choices=SETS, default="", help="another set of patients")
    arguments.add_argument("--now", action="store_true", help="keep what was said at first sight")
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--once", action="store_true", help="only with the loss as it is")
    arguments.add_argument("names", nargs="*", help="only these, and write nothing")
    given = arguments.parse_args()
    everyone, known = SETS[given.set](), labels(given.set)
    rows, tally = [], Counter[str]()
    for name in given.names or everyone:
        truth = known.get(name, {"cause": "", "also": "", "trains": ""})
        for seed in range(given.seeds):
            row = read(everyone[name], seed, {} if given.once else {"1e-6": 1e-6, "1e6": 1e6})
            right = row["verdict"] in (truth["cause"], *truth["also"].split())
            row |= {"cause": truth["cause"], "also": truth["also"], "trains": truth["trains"]}
            row["right"] = "yes" if right else "no"
            rows.append(row)
            tally.update(_counted(row))
            if not right or row.get("flips"):
                print(f"{name:38} {seed} {truth['cause']:16} {row}", flush=True)
    print(dict(tally))
    if not given.names and not given.once:
        path = HERE / (stem("readings", given.set) + ("_now" if given.now else ""))
        with path.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, max(rows, key=len))
            writer.writeheader()
            writer.writerows(rows)
        built_in = set(cases.names())
        groups = {"own": [r for r in rows if r["patient"] not in built_in]}
        groups |= {"built-in": [r for r in rows if r["patient"] in built_in]}
        result = {name: _summary(group) for name, group in groups.items() if group}
        result |= {"all": _summary(rows), **machine()}
        path.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


def _summary(rows: list[dict[str, str]]) -> dict[str, int]:
    """Count diagnoses and what is right and wrong about them."""
    tally = Counter(each for row in rows for each in _counted(row))
    names = ("diagnoses", "right", "one cause only", "right, one cause only", "trains",
             "false alarms", "false vanishing", "flips")  # fmt: skip
    return {"patients": len({row["patient"] for row in rows}), **{n: tally[n] for n in names}}


def _counted(row: dict[str, str]) -> list[str]:
    found = ["diagnoses"]
    found += ["right"] * (row["right"] == "yes") + ["flips"] * bool(row["flips"])
    if not row["also"]:
        found += ["one cause only"] + ["right, one cause only"] * (row["right"] == "yes")
    found += ["trains"] * (row["trains"] == "yes")
    sick = row["verdict"] not in ("healthy", "solved")
    found += ["false alarms"] * (row["trains"] == "yes" and sick)
    found += ["false vanishing"] * (row["trains"] == "yes" and row["verdict"] == "vanishing")
    return found


def read(patient: Patient, seed: int, scales: dict[str, float]) -> dict[str, str]:
    """Diagnose once for each scale of the loss; the numbers are those of the loss as it is."""
    began = time.perf_counter()
    facts, verdict, others = _look(patient, seed, 1.0)
    seconds = time.perf_counter() - began
    flips = [f"{k}: {v}" for k, f in scales.items() if (v := _look(patient, seed, f)[1]) != verdict]
    return {
        "patient": patient.name,
        "seed": str(seed),
        "verdict": verdict,
        "beside": " ".join(others),
        "flips": "; ".join(flips),
        **{key: _short(value) for key, value in (_numbers(facts) if facts else {}).items()},
        "seconds": f"{seconds:.2f}",
    }


def _look(patient: Patient, seed: int, factor: float) -> tuple[Facts | None, str, list[str]]:
    case = patient.case() if factor == 1 else rescaled(patient.case(), factor)
    model, optimizer = start(case, seed, patient.before)
    model.train(not patient.evaluating)
    kept: list[Facts] = []

    def keeping(facts: Facts) -> list[Judgement]:
        kept.append(facts)
        return last_look(facts)

    try:
        with mock.patch.object(_examine, "last_look", keeping):
            found = diagnose(
                model,
                case.batch(1000 * seed + patient.before),
                case.loss,
                objective=case.objective,
                optimizer=optimizer,
            )
    except Exception as error:
        print(patient.name, repr(error)[:300], flush=True)
        return None, "refused" if isinstance(error, SkipwayError) else "failed", []
    return kept[0], found.cause, [each.cause for each in found.findings[1:]]


def _numbers(facts: Facts) -> dict[str, float | None]:
    step, tried = facts.step, facts.tried
    layers = facts.reached or facts.layers
    silent = [layer.silent for layer in facts.layers if layer.silent is not None]
    flat = [layer.saturated for layer in facts.layers if layer.saturated is not None]
    return {
        "layers": len(facts.layers),
        "skill": facts.skill,
        "decades lost": max(layer.decades_lost for layer in layers),
        "lowest elasticity": min(layer.elasticity for layer in layers),
        "highest elasticity": max(layer.elasticity for layer in layers),
        "highest weight elasticity": max(layer.weight_elasticity for layer in facts.layers),
        "growth": facts.growth,
        "arriving": facts.arriving,
        "silent": max(silent, default=None),
        "saturated": max(flat, default=None),
        "progress": step and step.progress,
        "planned": step and step.planned,
        "lost": step and step.lost,
        "decay": step and step.decay,
        "epsilon": step and step.epsilon,
        "end": tried and tried.end / facts.level,
        "best end": tried and tried.best_end / facts.level,
        "dependence": facts.dependence,
        "held in": tried and tried.held_in,
        "held out": tried and tried.held_out,
        "squashed": facts.squashed and facts.squashed.share,
        "distance": facts.distance or None,
        "noise": facts.noise or None,
    }


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if math.isfinite(value) else str(value)


if __name__ == "__main__":
    main()
