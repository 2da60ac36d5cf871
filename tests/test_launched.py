"""A test that is killed, or that kills a launcher, leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launched import mortal

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

HERE = Path(__file__).parent
# A launcher whose worker is in a session of its own and waits for ever, as torchrun's are.
LAUNCHER = """
import os, subprocess, sys, time
worker = "import os, time; open('worker', 'w').write(str(os.getpid())); time.sleep(600)"
with subprocess.Popen([sys.executable, "-c", worker], start_new_session=True) as process:
    open("launcher", "w").write(str(os.getpid()))
    process.wait()
"""
TEST = """
import subprocess, sys
sys.path.insert(0, {here!r})
from launched import mortal
subprocess.run([sys.executable, "-c", {launcher!r}], env=mortal())
"""


def number(path: Path) -> int:
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, path
        time.sleep(0.02)
    return int(path.read_text())


def gone(process: int) -> bool:
    """Tell whether it ends within a minute; a zombie whose parent is gone too has ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("victim", ["the launcher", "the test"])
def test_what_is_killed_takes_its_workers_along(victim: str, tmp_path: Path) -> None:
    if victim == "the launcher":
        process = subprocess.Popen([sys.executable, "-c", LAUNCHER], cwd=tmp_path, env=mortal())
    else:
        text = TEST.format(here=str(HERE), launcher=LAUNCHER)
        process = subprocess.Popen([sys.executable, "-c", text], cwd=tmp_path)
    worker, launcher = number(tmp_path / "worker"), number(tmp_path / "launcher")
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(worker)
        assert gone(launcher)
    finally:
        for each in (worker, launcher):
            if not gone(each):
                os.kill(each, signal.SIGKILL)
