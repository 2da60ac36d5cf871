"""What docs/security.md promises, promise by promise."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

import skipway
from skipway import models

# Audit events of the interpreter itself: each name that a pickle looks up, each connection, each
# process, each piece of code that is compiled from text or run.
AUDITED = """
import json, sys
seen = []
KEPT = ("pickle.find_class", "socket.connect", "subprocess.Popen", "os.system", "os.exec",
        "os.posix_spawn", "urllib.Request")
def note(event, arguments):
    if event in KEPT:
        seen.append([event, repr(arguments)[:200]])
    elif event == "exec" and {folder!r} in getattr(arguments[0], "co_filename", ""):
        seen.append([event, arguments[0].co_filename])
from skipway.cli import main
sys.addaudithook(note)
try:
    main({words!r}, prog_name="skipway")
except SystemExit as end:
    assert not end.code, end.code
finally:
    print("\\n" + json.dumps(seen))
"""


def audited(*words: str, folder: Path) -> list[list[str]]:
    # A script in a folder of its own, as the installed `skipway` is one.
    with tempfile.TemporaryDirectory() as home:
        script = Path(home) / "audited.py"
        script.write_text(AUDITED.format(words=list(words), folder=str(folder)))
        done = subprocess.run(
            [sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


class Trap:
    """What runs when somebody unpickles it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


CASE = """
import torch
from torch import nn
from skipway import Case

x = torch.randn(64, 8)
y = (x[:, 0] > 0).long()
case = Case(
    name="mine", model=lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)),
    train=(x, y), test=(x, y), loss=nn.functional.cross_entropy,
    optimizer=lambda p: torch.optim.SGD(p, lr=0.1), batch_size=32, epochs=1,
)
"""


def test_the_trap_and_the_audit_would_see_it(tmp_path: Path) -> None:
    """The checks below can fail: what they look for is seen where it happens."""
    marker = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(marker)))
    assert marker.exists()
    (tmp_path / "case.py").write_text(
        CASE + "\nimport pickle\npickle.loads(pickle.dumps(nn.Linear))\n"
    )
    seen = audited("skips", "case.py", folder=tmp_path)
    assert ["exec", str(tmp_path / "case.py")] in seen
    assert "pickle.find_class" in {event for event, _ in seen}


def test_a_case_file_is_run_once_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(CASE)
    (tmp_path / "other.py").write_text("raise SystemExit('nobody asked for this file')")
    seen = audited("diagnose", "case.py", folder=tmp_path)
    assert [where for event, where in seen if event == "exec"] == [str(tmp_path / "case.py")]
    assert not [event for event, _ in seen if event.startswith(("socket", "urllib"))]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run, with traps for whoever would unpickle or import what lies in it."""
    (tmp_path / "mine.py").write_text(CASE)
    case = skipway.cases.find(str(tmp_path / "mine.py"))
    folder = tmp_path / "run"
    skipway.compare({"one": case}, seeds=1, workers=0, folder=folder, controls=False).save(
        folder / "result.json"
    )
    (tmp_path / "mine.py").unlink()
    for name in (".job-host-1-x.pickle", "result.pickle", "cells/one.pt"):
        (folder / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (folder / "skipway.py").write_text("raise SystemExit('imported from a run folder')")
    return folder


def test_a_saved_run_is_read_as_data_alone(run_folder: Path) -> None:
    assert audited("report", str(run_folder), folder=run_folder) == []
    assert (run_folder / "report.html").exists()
    assert not (run_folder.parent / "sprung").exists()


def test_what_a_run_keeps_is_text(run_folder: Path) -> None:
    kept = [p for p in run_folder.rglob("*.json") if p.is_file()]
    assert len(kept) >= 6
    for path in kept:
        json.loads(path.read_text(encoding="utf-8"))


def test_a_job_file_is_its_owners_alone_and_goes(tmp_path: Path) -> None:
    from skipway._compare._ship import shipped

    (tmp_path / "job").mkdir()
    with shipped(_job(), tmp_path / "job") as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.name.startswith(".job-")
    assert list((tmp_path / "job").iterdir()) == []


def _job():
    from types import SimpleNamespace

    return SimpleNamespace(cases={})


def test_a_note_of_jobs_holds_numbers_alone(tmp_path: Path, monkeypatch) -> None:
    from skipway._compare import _cluster

    called: list[list[str]] = []
    monkeypatch.setattr(_cluster.subprocess, "run", lambda words, **_: called.append(words))
    (tmp_path / ".submitted").write_text("12_0 12_1 --user=me 7 $(reboot)")
    _cluster.cancel_left(tmp_path)
    (tmp_path / ".submitted").write_text("--user=me")
    _cluster.cancel_left(tmp_path)
    assert called == [["scancel", "12", "7"]]


@pytest.mark.parametrize("ending", [".pt", ".pth"])
def test_weights_hold_tensors_and_nothing_else(tmp_path: Path, ending: str) -> None:
    marker, path = tmp_path / "sprung", tmp_path / f"weights{ending}"
    torch.save({"fc.weight": torch.ones(2), "more": Trap(marker)}, path)
    with pytest.raises(skipway.SkipwayError):
        models.load_weights(models.cifar_resnet(20), path)
    assert not marker.exists()


FIELDS = ("source", "destination", "merge", "shortcut", "fuse", "module", "branch_scale", "gate")


@pytest.mark.parametrize("field", FIELDS)
def test_a_plan_holds_no_code(tmp_path: Path, field: str) -> None:
    marker = tmp_path / "sprung"
    code = f'0) + __import__("pathlib").Path({str(marker)!r}).touch('
    net, x = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4))), torch.randn(2, 8)
    for how in ("add", "cat", "dense"):
        data = skipway.rewire(net, x, how=how).plan.to_dict()
        for skip in data["skips"]:
            skip[field] = code
        (tmp_path / "plan.json").write_text(json.dumps(data))
        try:
            plan = skipway.read(tmp_path / "plan.json")
            skipway.rewire(net, x, plan=plan)
        except skipway.SkipwayError:
            pass
        assert not marker.exists(), how


def test_the_rule_in_a_plan_is_a_name(tmp_path: Path) -> None:
    marker = tmp_path / "sprung"
    net, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 3, 8)
    data = skipway.reconnect(net, x, rule="rezero").plan.to_dict()
    data["rule"] = f'__import__("pathlib").Path({str(marker)!r}).touch()'
    with pytest.raises(skipway.SkipwayError, match="There is no rule"):
        skipway.reconnect(net, x, plan=skipway.Plan.from_dict(data))
    assert not marker.exists()


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe"


def test_names_cannot_steer_a_terminal(tmp_path: Path) -> None:
    plan = skipway.Plan(how="add", skips=(skipway.PlannedSkip(f"a{HOSTILE}", "b"),), reason=HOSTILE)
    plan.save(tmp_path / "result.json")
    done = subprocess.run(
        [sys.executable, "-m", "skipway", "report", str(tmp_path)],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not set("\x1b\x07\x9b\u202e") & set(done.stdout + str(plan))
    assert r"\x1b[2J" in done.stdout
    damaged = {"result": "plan", f"how{HOSTILE}": "add"}
    (tmp_path / "result.json").write_text(json.dumps(damaged))
    done = subprocess.run(
        [sys.executable, "-m", "skipway", "report", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert not set("\x1b\x07\x9b\u202e") & set(done.stderr)


def test_a_page_loads_nothing_and_names_stay_text(tmp_path: Path) -> None:
    name = 'x</script><script src="https://evil.example/x.js"></script><img src=x onerror=alert(1)>'
    skips = (skipway.PlannedSkip(name, "b"),)
    page = skipway.Plan(how="add", skips=skips, reason=name).save(tmp_path / "p.html")
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert not re.search(
        r"<(script|link|iframe|object|embed)[^>]*(src|href|data)\s*=\s*\"(?!data:)", text
    )
    assert not re.search(r"url\(\s*['\"]?(?!data:|#)", text)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b", text)
