"""The command line where things go wrong: files, folders, disks, pipes, signals, encodings."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import skipway
from test_cli import DEEP, GOOD

SOURCE = Path(skipway.__file__).parents[1]
SKIPWAY = [sys.executable, "-m", "skipway"]


def run(
    *words: str, cwd: Path, more: dict[str, str] | None = None, **options
) -> subprocess.CompletedProcess:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **(more or {})}
    return subprocess.run([*SKIPWAY, *words], cwd=cwd, env=environment, timeout=240, **options)


def said(done: subprocess.CompletedProcess) -> str:
    return (done.stderr or b"").decode(errors="replace")


def left(folder: Path) -> set[str]:
    """Return the files that a command has left, whole or in part."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if "__pycache__" not in str(path)}


COMMANDS = ("cure", "diagnose", "rewire", "reconnect", "skips", "compare", "cases", "report",
            "docs", "learn", "learn start", "learn watch", "learn check", "learn hint",
            "learn solution", "learn reset", "learn list", "learn notebooks")  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_what_it_does_and_every_option_what_it_is(
    command: str, tmp_path: Path
) -> None:
    text = run(*command.split(), "--help", cwd=tmp_path).stdout.decode()
    assert text.startswith(f"Usage: skipway {command}")
    what = text.split("\n\n")[1].strip()
    assert len(what) > 20
    assert what[-1] in ".?"
    for line in text.partition("Options:")[2].splitlines():
        if line.strip().startswith("--"):
            assert re.search(r"^  --\S+.*\s{2,}\S|^  --\S+( \S+)?$", line), line


def test_all_commands_are_held_here(tmp_path: Path) -> None:
    script = (
        "from skipway.cli import main\n"
        "print(*main.commands, *(f'learn {n}' for n in main.commands['learn'].commands), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert set(done.stdout.split("\n")) - {""} == set(COMMANDS)


CASES = {
    "ends the program": ("raise SystemExit(3)\n", "case.py, line 1 ends the program"),
    "ends it from afar": ("import sys\nsys.exit('bye')\n", "line 2 ends the program"),
    "is no Python": ("def f(:\n", "line 1 raised SyntaxError"),
    "is no UTF-8": (b'x = "caf\xe9"\n', "line 1 raised SyntaxError"),
    "needs what is not there": ("\nimport nothing_there\n", "line 2 raised ModuleNotFoundError"),
    "says so over the screen": ("raise ValueError('\\x1b[2J' * 3)\n", r"\x1b[2J"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_file_that(name: str, tmp_path: Path) -> None:
    source, expected = CASES[name]
    text = source if isinstance(source, bytes) else source.encode()
    (tmp_path / "case.py").write_bytes(text)
    done = run("skips", "case.py", cwd=tmp_path)
    assert done.returncode == 2
    assert expected in said(done)
    assert "Traceback" not in said(done)
    assert b"\x1b" not in done.stderr


PLACES = {
    "a folder for a file": (["skips", "folder.py"], "folder.py is a folder"),
    "a file in no folder": (["skips", "nowhere/case.py"], "There is no folder nowhere"),
    "a shape beyond memory": (
        ["skips", "torch.nn:ReLU", "--shape", "99999999999,99999999999"], "memory for",
    ),
    "a model that ends the program": (["skips", "quits.py:net", "--shape", "1"], "SystemExit"),
    "a report into a file's inside": (["skips", "good.py", "--save", "good.py/x.html"], "Cannot"),
    "a run into a file": (["cure", "good.py", "--folder", "good.py"], "is a file"),
    "a time that is none": (["cure", "good.py", "--time-limit", "nan"], "no number of seconds"),
    "a time without end": (["cure", "good.py", "--time-limit", "inf"], "no number of seconds"),
    "a plan that is Python": (["rewire", "good.py", "--plan", "good.py"], "no saved result"),
    "a result that is Python": (["report", "good.py"], "no saved result"),
    "a folder without a run": (["report", "folder.py"], "holds no run"),
    "a course in a file": (["learn", "start", "good.py"], "is a file"),
    "no course": (["learn", "check"], "no course here"),
    "no such page": (["docs", "../../secret"], "secret"),
    "a page in no shape": (["docs", "caf\udce9\x1b[2J"], "caf"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_wrong_place_is_named(name: str, tmp_path: Path) -> None:
    words, expected = PLACES[name]
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "quits.py").write_text("def net(): raise SystemExit(4)\n")
    before = left(tmp_path)
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2, said(done)
    assert expected in said(done)
    assert "Traceback" not in said(done)
    assert left(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize(
    "words", [["skips", "closed/case.py"], ["skips", "case.py", "--save", "closed/x.html"],
              ["cure", "case.py", "--folder", "closed/run"], ["report", "closed"],
              ["learn", "start", "closed/course"]],
    ids=lambda words: " ".join(words[:1]) + " " + words[-1],
)  # fmt: skip
def test_a_folder_without_rights_is_named(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(GOOD)
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    before: tuple[str, ...] = ()
    if os.getuid() == 0:  # for whom no folder is closed, unless that right is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("run by root, and without setpriv")
        rights = "-dac_override,-dac_read_search"
        before = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
    try:
        done = subprocess.run([*before, *SKIPWAY, *words], cwd=tmp_path, capture_output=True)
    finally:
        closed.chmod(0o700)
    assert done.returncode == 2, said(done)
    assert "closed" in said(done)
    assert "Traceback" not in said(done)


def small_files() -> None:
    """Let no file grow beyond 4 KB, which is what a full disk looks like from inside."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.parametrize(
    "words", [["skips", "skipway.models:resnet50", "--shape", "1,3,32,32", "--save", "x.html"],
              ["rewire", "plain-mlp", "--save", "x.json"],
              ["cure", "case.py", "--folder", "run"],
              ["learn", "notebooks", "books"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_full_disk_leaves_no_half_of_a_file(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text(GOOD)
    done = run(*words, cwd=tmp_path, preexec_fn=small_files, more={"PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 2, said(done)
    assert re.search(r"Cannot write .*File too large\. Choose another place", said(done)), said(
        done
    )
    assert "Traceback" not in said(done)
    whole = {"case.py", "run/.lock"} | {name for name in left(tmp_path) if name.endswith(".ipynb")}
    assert left(tmp_path) <= whole
    for book in tmp_path.rglob("*.ipynb"):
        assert book.read_text().rstrip().endswith("}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["cases"], ["docs", "watch"], ["learn", "list"], ["--help"]])
def test_an_output_that_takes_nothing_is_told(words: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run(*words, cwd=tmp_path, stdout=full)
    assert done.returncode in (1, 2)  # click's own way with its help
    assert "Traceback" not in said(done)
    assert "Exception ignored" not in said(done)


@pytest.mark.parametrize(
    "words", [["cases"], ["docs"], ["docs", "rewire"], ["learn", "list"], ["report", "."],
              ["--help"], ["report", ".", "--json"]],
    ids=" ".join,
)  # fmt: skip
def test_a_reader_that_has_gone_is_no_error(words: list[str], tmp_path: Path) -> None:
    skips = tuple(skipway.PlannedSkip(f"layer.{n}", f"layer.{n + 2}") for n in range(3000))
    skipway.Plan(how="add", skips=skips).save(tmp_path / "result.json")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*words, cwd=tmp_path, stdout=writing)
    finally:
        os.close(writing)
    # As for every program that a pipe ends; click's own help says 1.
    assert done.returncode == (1 if words == ["--help"] else 141)
    assert done.stderr == b""


@pytest.mark.parametrize(
    "words", [["cases"], ["docs"], ["learn", "list"], ["report", "."]], ids=" ".join
)
def test_no_output_at_all_is_no_error(words: list[str], tmp_path: Path) -> None:
    skipway.Plan(how="add", skips=()).save(tmp_path / "result.json")
    command = " ".join([sys.executable, "-m", "skipway", *words]) + " >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=os.environ)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_another_encoding_gets_everything(encoding: str, tmp_path: Path) -> None:
    skips = (skipway.PlannedSkip("größe", "层"),)
    skipway.Plan(how="add", skips=skips, reason="4.1 × 10⁻²⁰").save(tmp_path / "result.json")
    more = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = run("report", ".", cwd=tmp_path, more=more)
    assert done.returncode == 0, said(done)
    text = done.stdout.decode(encoding)
    assert r"\u5c42" in text
    assert "10^-20" in text  # what there is a plain way to write is written in it
    assert ("4.1 x 10" if encoding == "ascii" else "4.1 × 10") in text
    done = run("report", "--json", ".", cwd=tmp_path, more=more)
    assert done.returncode == 0, said(done)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_name_that_is_not_utf8_works_and_is_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / f"{name}.py").write_text(GOOD)
    (tmp_path / name).mkdir()
    done = run("skips", f"{name}.py", "--save", f"{name}/x.html", cwd=tmp_path)
    assert done.returncode == 0, said(done)
    assert "<title>" in (tmp_path / name / "x.html").read_text(encoding="utf-8")
    assert rb"caf\udce9/x.html" in done.stdout
    done = run("cure", f"{name}.py", "--folder", name, cwd=tmp_path)
    assert done.returncode == 0, said(done)
    assert isinstance(skipway.read(tmp_path / name / "result.json"), skipway.Cure)
    done = run("skips", f"{name}.py:x\x1b[2J", cwd=tmp_path)
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr


def pressed(process: subprocess.Popen) -> tuple[str, str]:
    """Press Ctrl-C, and again after a while: an import may have taken the first for its own."""
    for _ in range(4):
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=30)
    process.kill()
    return process.communicate()


# Seconds after the case file was reached: in it, in the diagnosis, while workers start, and train.
@pytest.mark.parametrize("after", [0.0, 0.7, 2.0, 4.0, 8.0])
def test_ctrl_c_at_any_stage_is_told_in_a_sentence_and_loses_nothing(
    after: float, tmp_path: Path
) -> None:
    """As a terminal sends it: to the command and to its workers at once."""
    here = "from pathlib import Path\nPath(__file__).with_name('here').touch()\n"
    (tmp_path / "case.py").write_text(here + DEEP.replace("epochs=6", "epochs=600"))
    words = ["cure", "case.py", "--seeds", "3", "--workers", "2", "--folder", "run"]
    process = subprocess.Popen(
        [*SKIPWAY, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not (tmp_path / "here").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(after)
    out, err = pressed(process)
    # A shell reports both as 130; which one it is, is Python's own affair.
    assert process.returncode in (130, -signal.SIGINT), (out, err)
    # A worker that has only begun to start says in Python's words that it was stopped: nothing of
    # ours runs in it yet. The command itself has its one sentence.
    *begun, last = err.strip().splitlines()
    assert last == "Stopped. What was finished is kept; the same command continues."
    assert not [line for line in begun if re.search(r"skipway/(cli|_cure/\w+|__main__)\.py", line)]
    torn = [name for name in left(tmp_path) if re.search(r"\.job-|\.json\.", name)]
    assert torn == []


def test_ctrl_c_before_the_command_line_is_there_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = run("cases", cwd=tmp_path, more={"PYTHONPATH": f"{tmp_path}:{SOURCE}"})
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr == b""


def test_a_terminal_is_given_back_as_it_was(tmp_path: Path) -> None:
    """`learn watch` reads single keys; after Ctrl-C the terminal echoes again."""
    import termios

    run("learn", "start", "course", cwd=tmp_path)
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [*SKIPWAY, "learn", "watch"], cwd=tmp_path / "course", stdin=theirs, stdout=theirs,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    seen = b""
    while b"quit" not in seen:
        seen += os.read(ours, 65536)
    assert termios.tcgetattr(theirs) != before
    os.killpg(process.pid, signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in error
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
