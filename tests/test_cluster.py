"""`compare` on a real Slurm cluster of one node, which the fixture starts and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import slurm

CASES = """
import time, torch
from torch import nn
from skipway import Case

x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))


def model():
    time.sleep(0.5)  # so that there is a middle to be killed in
    return nn.Linear(4, 2)


one = Case(
    name="one", model=model, train=(x, (x[:, 0] > 0).long()), test=(x, (x[:, 0] > 0).long()),
    loss=nn.functional.cross_entropy, epochs=1, learning_rates=(1.0,),
    optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
)
two = one.replace(name="two", optimizer=lambda p: torch.optim.SGD(p, lr=0.5))
"""
WORDS = ["compare", "cases.py:one", "cases.py:two", "--no-controls", "--seeds", "6"]
ON_SLURM = ["--cluster", "slurm", "--cluster-option", "poll=0.5"]

pytestmark = [
    pytest.mark.skipif(
        not slurm.installed() and not os.environ.get("CI"),
        reason="needs Debian's slurm-wlm and munge, and root",
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    # Not pytest's own folder: munge refuses a socket below one that only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="skipway-slurm-", dir="/var/tmp") as place:
        try:
            yield slurm.start(Path(place))
        finally:
            slurm.stop(Path(place))


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "skipway", *WORDS, *more]


def run(folder: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*more), cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip


def queue(environment: dict[str, str]) -> list[str]:
    asked = subprocess.run(
        ["squeue", "-h", "-r", "-o", "%i %T"], capture_output=True, text=True, check=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    return asked.stdout.splitlines()


def kept(folder: Path) -> dict[str, float]:
    return {
        path.name: path.stat().st_mtime_ns
        for path in (folder / "skipway-runs/one-vs-two/cells").glob("*.json")
    }


def wait_for(what, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


def numbers(folder: Path) -> list[tuple]:
    data = json.loads((folder / "skipway-runs/one-vs-two/result.json").read_text())
    return [(run["seed"], run["test"]) for v in data["variants"] for run in v["runs"]]


def test_a_task_killed_in_the_middle_is_told_and_run_again(tmp_path, cluster):
    (tmp_path / "cases.py").write_text(CASES)
    environment = {**os.environ, **cluster}
    with subprocess.Popen(
        command(*ON_SLURM), cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        wait_for(lambda: any("RUNNING" in line for line in queue(cluster)))
        victim = next(line.split()[0] for line in queue(cluster) if "RUNNING" in line)
        subprocess.run(["scancel", "--signal=KILL", "--full", victim], env=environment, check=True)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 2, said
    assert "The cluster ended 1 task before 1 training was done" in said
    assert "the same command runs the rest" in said
    before = kept(tmp_path)
    assert len(before) == 11
    again = run(tmp_path, cluster, *ON_SLURM)
    assert again.returncode == 0, again.stderr
    after = kept(tmp_path)
    assert len(after) == 12
    assert before.items() <= after.items()
    assert not queue(cluster)
    local = tmp_path / "local"
    local.mkdir()
    (local / "cases.py").write_text(CASES)
    assert run(local, cluster, "--workers", "2").returncode == 0
    assert numbers(tmp_path) == numbers(local)


def test_the_jobs_of_a_killed_command_do_not_run_on_beside_the_next(tmp_path, cluster):
    (tmp_path / "cases.py").write_text(CASES)
    halves = [*ON_SLURM, "--cluster-option", "together=6"]
    with subprocess.Popen(
        command(*halves), cwd=tmp_path, env={**os.environ, **cluster},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        wait_for(lambda: kept(tmp_path))
        process.send_signal(signal.SIGKILL)
    left = {line.split()[0].partition("_")[0] for line in queue(cluster)}
    assert len(left) == 1
    again = run(tmp_path, cluster, *halves)
    assert again.returncode == 0, again.stderr
    assert len(kept(tmp_path)) == 12
    assert not list((tmp_path / "skipway-runs/one-vs-two").glob(".job-*"))


def test_a_preempted_task_goes_back_into_the_queue(tmp_path, cluster):
    (tmp_path / "cases.py").write_text(CASES)
    environment = {**os.environ, **cluster}
    with subprocess.Popen(
        command(*ON_SLURM, "--cluster-option", "together=12"), cwd=tmp_path, env=environment,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        wait_for(lambda: kept(tmp_path))
        job = queue(cluster)[0].split()[0]
        subprocess.run(["scontrol", "requeue", job], env=environment, check=True)
        before = kept(tmp_path)
        # Slurm lets two minutes pass before it starts a requeued job again.
        _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert len(kept(tmp_path)) == 12
    assert before.items() <= kept(tmp_path).items()


def test_what_the_cluster_refuses_is_one_paragraph(tmp_path, cluster):
    (tmp_path / "cases.py").write_text(CASES)
    wrong = run(tmp_path, cluster, *ON_SLURM, "--cluster-option", "slurm_partition=moon")
    assert wrong.returncode == 2
    assert "The cluster did not take the trainings" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    nowhere = run(tmp_path, {"PATH": str(Path(sys.executable).parent)}, *ON_SLURM)
    assert nowhere.returncode == 2
    assert "sbatch" in nowhere.stderr
    both = run(tmp_path, cluster, *ON_SLURM, "--workers", "2")
    assert both.returncode == 2
