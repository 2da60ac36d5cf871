"""The command line, run as a user runs it: a real process, real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skipway

GOOD = """
import torch
from torch import nn
from skipway import Case

torch.manual_seed(0)
x = torch.randn(96, 8)
y = (x[:, 0] > 0).long()

case = Case(
    name="mine",
    model=lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)),
    train=(x, y), test=(x, y), loss=nn.functional.cross_entropy,
    optimizer=lambda p: torch.optim.SGD(p, lr=0.1), batch_size=32, epochs=2,
)
"""

DEEP = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from skipway import Case

digits = load_digits()
x, y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)


def network():
    body = [module for _ in range(24) for module in (nn.Linear(48, 48), nn.Tanh())]
    return nn.Sequential(nn.Linear(64, 48), nn.Tanh(), *body, nn.Linear(48, 10))


case = Case(
    name="mine", model=network, train=(x[:1400], y[:1400]), test=(x[1400:], y[1400:]),
    loss=nn.functional.cross_entropy, optimizer=lambda p: torch.optim.SGD(p, lr=0.03),
    batch_size=32, epochs=6, learning_rates=(1.0,),
)
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "skipway", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["cases"], ["cure", "--help"], ["--version"]])
def test_help_and_lists_do_not_wait_for_torch(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom skipway.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_teaches_every_command(tmp_path: Path) -> None:
    text = run("--help", cwd=tmp_path).stdout
    for command in (
        "cure",
        "diagnose",
        "rewire",
        "skips",
        "reconnect",
        "compare",
        "cases",
        "report",
    ):
        assert f"\n  {command} " in text
    assert "skipway cure my_case.py" in text


def test_cases_lists_every_case_with_a_line(tmp_path: Path) -> None:
    lines = run("cases", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "plain-mlp", "plain-cnn", "tanh-mlp", "sigmoid-mlp", "plain-rnn", "healthy-mlp",
        "dead-relu", "tiny-learning-rate", "huge-learning-rate", "bf16-updates", "frozen",
        "detached", "solved",
    ]  # fmt: skip
    assert all(len(line.split()) > 3 for line in lines)


BAD = {
    "a missing file": (["cure", "nowhere.py"], None, "nowhere.py"),
    "a missing name": (["cure", "case.py:other"], GOOD, "other"),
    "an unknown case": (["diagnose", "plain-mpl"], None, "plain-mlp"),
    "an exception at import": (["cure", "case.py"], "x = 1\n1 / 0\n", "line 2.*division by zero"),
    "no case in the file": (["cure", "case.py"], "x = 1\n", "no .*Case"),
    "a model that raises": (
        ["cure", "case.py"], GOOD.replace("nn.Linear(16, 2)", "nn.Linear(3, 2)"),
        r"`2` \(Linear\)",
    ),
    "a loss that is no scalar": (
        ["cure", "case.py"],
        GOOD.replace("nn.functional.cross_entropy", 'nn.CrossEntropyLoss(reduction="none")'),
        "not one number",
    ),
    "a loss without a gradient": (
        ["cure", "case.py"],
        GOOD.replace("nn.functional.cross_entropy", "lambda o, t: (o.argmax(1) == t).sum() / 9"),
        "gradient",
    ),
    "a batch of the wrong shape": (
        ["cure", "case.py"], GOOD.replace("torch.randn(96, 8)", "torch.randn(96, 9)"), "96|9",
    ),
    "NaN in the data": (
        ["cure", "case.py"], GOOD.replace("y = (", "x[3, 2] = float('nan')\ny = ("), "NaN",
    ),
    "a model without parameters": (
        ["cure", "case.py"],
        GOOD.replace("nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))", "nn.ReLU()"),
        "no parameters",
    ),
    "an optimizer over other parameters": (
        ["cure", "case.py"],
        GOOD.replace("SGD(p, lr=0.1)", "SGD(nn.Linear(2, 2).parameters(), lr=0.1)"),
        "optimizer",
    ),
    "zero epochs": (["cure", "case.py", "--epochs", "0"], GOOD, "epochs=0"),
    "one sample": (
        ["cure", "case.py"], GOOD.replace("train=(x, y)", "train=(x[:1], y[:1])"), "1 sample",
    ),
    "an unknown option": (["cure", "--quick"], None, "No such option"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_paragraph(name: str, tmp_path: Path) -> None:
    import re

    arguments, source, expected = BAD[name]
    if source is not None:
        (tmp_path / "case.py").write_text(source)
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    assert re.search(expected, done.stderr), done.stderr
    left = {
        path.name for path in tmp_path.rglob("*") if path.is_file() and "pycache" not in str(path)
    }
    assert left <= {"case.py"}, "nothing half-written stays behind"


def test_traceback_on_request(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text("1 / 0\n")
    done = run("--traceback", "cure", "case.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" in done.stderr


def test_a_healthy_case_of_ones_own_has_nothing_to_cure(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(GOOD)
    done = run("cure", "case.py", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["outcome"] == "nothing to cure"
    assert result["rewirings"] == []
    assert done.stderr == "", "quiet when the output is not a terminal"


def test_a_deep_case_of_ones_own_is_cured_and_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(DEEP)
    done = run("cure", "case.py:case", "--seeds", "2", "--folder", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    saved = skipway.read(tmp_path / "out" / "result.json")
    assert isinstance(saved, skipway.Cure)
    assert saved.diagnosis.cause == "vanishing"
    assert saved.outcome == "cured"
    assert {rewiring.plan.how for rewiring in saved.rewirings} == {"add", "cat"}
    (tmp_path / "out" / "report.html").unlink()
    assert run("report", "out", cwd=tmp_path).returncode == 0
    assert "<title>" in (tmp_path / "out" / "report.html").read_text()


def test_skips_of_a_case_and_of_any_model(tmp_path: Path) -> None:
    assert "No skip connection" in run("skips", "plain-mlp", cwd=tmp_path).stdout
    shaped = ("--shape", "1,3,32,32", "--json")
    found = run("skips", "skipway.models:resnet18", *shaped, cwd=tmp_path)
    kinds = [skip["kind"] for skip in json.loads(found.stdout)["skips"]]
    assert (kinds.count("identity"), kinds.count("projection")) == (5, 3)


def test_a_model_without_a_shape_is_told_so(tmp_path: Path) -> None:
    done = run("skips", "torch.nn:Identity", cwd=tmp_path)
    assert done.returncode == 2
    assert "--shape" in done.stderr
    assert "Traceback" not in done.stderr


def test_reconnect_says_what_the_code_looks_like_then(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)\n\n"
        "    def forward(self, x):\n        return x + self.b(self.a(x).relu())\n"
    )
    shaped = ("net.py:Net", "--shape", "2,4")
    done = run("reconnect", *shaped, "--rule", "layerscale", "--save", "new.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 skip of Net by the rule layerscale." in done.stdout
    assert "return x + self.scale(self.b(self.a(x).relu()))" in (tmp_path / "new.py").read_text()
    data = json.loads(run("reconnect", *shaped, "--rule", "none", "--json", cwd=tmp_path).stdout)
    assert data["plan"]["rule"] is None
    assert "return self.b(self.a(x).relu())" in data["code"]
    none = run("reconnect", "plain-mlp", cwd=tmp_path)
    assert none.returncode == 2
    assert "no skip connection" in none.stderr


def test_rewire_densely_and_closed(tmp_path: Path) -> None:
    done = run("rewire", "tanh-mlp", "--how", "dense", "--preserve", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    skips = json.loads(done.stdout)["plan"]["skips"]
    assert {(skip["merge"], skip["gate"]) for skip in skips} == {("dense", True)}
    # Every one of the layers that join reads all before it: 1 + 2 + ... + n skips.
    joined = len({skip["destination"] for skip in skips})
    assert len(skips) == joined * (joined + 1) // 2 > 100


def test_rewire_writes_source_that_runs(tmp_path: Path) -> None:
    done = run("rewire", "plain-mlp", "--save", "net.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\nSource  net.py\n")
    compile((tmp_path / "net.py").read_text(), "net.py", "exec")
    done = run("rewire", "plain-mlp", "--save", "plan.json", cwd=tmp_path)
    assert done.stdout.endswith("\nData    plan.json\n"), done.stderr


def test_a_saved_plan_is_applied(tmp_path: Path) -> None:
    data = json.loads(run("rewire", "plain-mlp", "--json", cwd=tmp_path).stdout)
    plan = skipway.Plan.from_dict({"result": "plan", **data["plan"]})
    assert len(plan.skips) == 25, "one across every two of the 50 hidden layers"
    shorter = skipway.Plan(how="add", skips=plan.skips[:3])
    shorter.save(tmp_path / "plan.json")
    again = run("rewire", "plain-mlp", "--plan", "plan.json", "--json", cwd=tmp_path)
    assert len(json.loads(again.stdout)["plan"]["skips"]) == 3


def test_a_comparison_is_foreseen_and_then_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "other.py").write_text(GOOD.replace('"mine"', '"other"').replace("0.1)", "0.2)"))
    words = ["compare", "mine.py", "other.py", "--seeds", "1", "--workers", "0", "--no-controls"]
    planned = run(*words, "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "0 of 8 trainings are done. The 8 left take about" in planned.stdout
    assert not (tmp_path / "skipway-runs").exists()
    done = run(*words, "--time-limit", "60", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "skipway-runs" / "mine-vs-other"
    again = run(*words, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["left"] == {"mine": 0, "other": 0}
    # With --fresh all of it would be trained again, also where the settings are others by now.
    anew = run(*words, "--dry-run", "--fresh", "--budget", "flops", "--json", cwd=tmp_path)
    assert json.loads(anew.stdout)["left"] == {"mine": 4, "other": 4}
    assert len(list((folder / "cells").iterdir())) == 8
    assert len((folder / "cells.csv").read_text().splitlines()) == 9
    (folder / "result.json").unlink()
    assert run("report", str(folder), cwd=tmp_path).returncode == 0
    (folder / "comparison.json").unlink()
    unfinished = run("report", str(folder), cwd=tmp_path)
    assert unfinished.returncode == 2
    assert "holds no result yet, but 8 finished trainings" in unfinished.stderr
