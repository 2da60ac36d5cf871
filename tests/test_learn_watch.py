"""`skipway learn watch` in a real terminal: saves, keys, and the terminal as it was afterwards."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skipway.learn._exercise import course
from skipway.learn._folder import Folder

FIRST, SECOND = course()[:2]
UPHILL = FIRST.solution.replace("weight - lear", "weight + lear")


class Terminal:
    """A learner at a terminal: what is shown, what is pressed."""

    def __init__(self, folder: Path) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skipway", "learn", "watch"],
            cwd=folder, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
        )  # fmt: skip

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())

    def until(self, words: str, seconds: float = 60) -> str:
        """Return what was shown up to these words and the keys that follow them."""
        shown, end = "", time.monotonic() + seconds
        while not re.search(f"{words}.*q quit", " ".join(shown.split())):
            assert time.monotonic() < end, f"{words!r} did not come; there is:\n{shown}"
            if select.select([self.master], [], [], 0.2)[0]:
                shown += self._read()
        return shown

    def rest(self) -> str:
        """Return what is still to be read."""
        if not select.select([self.master], [], [], 0.5)[0]:
            return ""
        return self._read()

    def _read(self) -> str:
        text = os.read(self.master, 65536).decode("utf-8", "replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)

    def wait(self) -> int:
        return self.process.wait(timeout=20)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    folder = Folder.start(tmp_path)[0]
    folder.file(FIRST).write_text(UPHILL)
    made = Terminal(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.master)
    os.close(made.slave)


def test_saves_and_keys(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until("You went uphill")
    terminal.press("n")
    terminal.press("h")
    shown = terminal.until("four things happen")
    assert "not right yet" in shown
    terminal.press("\x1b[A")  # an arrow key is no key of ours
    terminal.press("s")
    terminal.until("return weight.detach")

    # As many editors save: a new file is moved to the place of the old one.
    new = tmp_path / "new"
    new.write_text(FIRST.solution)
    new.replace(tmp_path / FIRST.file_name)
    assert "✓ 1 The update rule" in terminal.until(f"Next: 2 {SECOND.title}")
    terminal.press("n")
    terminal.until("write `spacing`")
    terminal.press("s")
    terminal.until("Try it first")
    (tmp_path / SECOND.file_name).unlink()
    terminal.until("is gone")
    terminal.press("l")
    terminal.until("✓ The update rule")
    terminal.press("q")
    assert terminal.wait() == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_what_is_saved_while_a_check_runs_is_checked_next(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.until("You went uphill")
    slow = "import time\n\ntime.sleep(3)\n"
    (tmp_path / FIRST.file_name).write_text(slow + UPHILL)
    time.sleep(1.5)
    (tmp_path / FIRST.file_name).write_text(FIRST.solution)
    terminal.until("✓ 1 The update rule")


@pytest.mark.parametrize("way", ["interrupt", "terminate"])
def test_the_terminal_is_given_back_however_it_ends(terminal: Terminal, way: str) -> None:
    terminal.until("You went uphill")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    if way == "interrupt":
        terminal.process.send_signal(2)
        assert terminal.wait() == 130
    else:
        terminal.process.terminate()
        assert terminal.wait() == 143
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_without_a_terminal_it_watches_without_keys(tmp_path: Path) -> None:
    folder = Folder.start(tmp_path)[0]
    folder.file(FIRST).write_text(UPHILL)
    process = subprocess.Popen(
        [sys.executable, "-m", "skipway", "learn", "watch"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, bufsize=1, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    shown = ""
    while "Ctrl-C ends" not in shown:
        shown += process.stdout.readline()
    assert "You went uphill" in shown
    folder.file(FIRST).write_text(FIRST.solution)
    while "Next: 2" not in shown:
        shown += process.stdout.readline()
    process.send_signal(2)
    assert process.wait(timeout=20) == 130
    process.stdout.close()
