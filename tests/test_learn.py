"""`skipway learn` as a learner uses it: real processes, real files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skipway._errors import LearnError
from skipway.learn._exercise import course, find
from skipway.learn._folder import Folder
from skipway.learn._progress import STATE
from skipway.learn._run import run as run_answer
from test_cli import run

FIRST = course()[0]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.start(tmp_path / "skipway-course")[0]


@pytest.mark.parametrize("arguments", [["learn"], ["learn", "list"], ["learn", "hint", "1"]])
def test_looking_around_does_not_wait_for_torch(
    arguments: list[str], folder: Folder, tmp_path: Path
) -> None:
    script = (
        "import sys\nfrom skipway.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "assert not {'torch', 'numpy', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    assert "\n  learn " in run("--help", cwd=tmp_path).stdout
    text = run("learn", "--help", cwd=tmp_path).stdout
    found = re.findall(r"^  (\w+)  +\S", text.split("Commands:")[1], re.MULTILINE)
    assert found == [
        "start", "watch", "check", "hint", "solution", "reset", "list", "notebooks"
    ]  # fmt: skip


def test_it_runs_from_a_checkout_on_a_relative_path(folder: Folder) -> None:
    import skipway

    (folder.path / FIRST.file_name).write_text(FIRST.solution)
    place = os.path.relpath(Path(skipway.__file__).parents[1], folder.path)
    done = subprocess.run(
        [sys.executable, "-m", "skipway", "learn", "check", "1"],
        cwd=folder.path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": place},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_beside_the_answers_shadows_no_package(folder: Folder) -> None:
    (folder.path / "torch.py").write_text("raise SystemExit('the wrong torch')\n")
    (folder.path / "mine.py").write_text("FACTOR = 1\n")
    (folder.path / FIRST.file_name).write_text("from mine import FACTOR\n" + FIRST.solution)
    done = run_answer(FIRST, folder.file(FIRST), seconds=60)
    assert done.passed, done.message


def test_a_learner_goes_from_start_to_the_second_exercise(tmp_path: Path) -> None:
    assert run("learn", cwd=tmp_path).returncode == 2
    started = run("learn", "start", cwd=tmp_path)
    assert f"{len(course())} exercises written" in started.stdout
    assert "Next: 1 The update rule" in started.stdout
    place = tmp_path / "skipway-course"

    early = run("learn", "solution", cwd=place)
    assert (early.returncode, early.stdout) == (2, "")
    assert "Try 1 The update rule first" in early.stderr
    assert run("learn", "solution", "--force", cwd=place).stdout == FIRST.solution

    untouched = run("learn", "check", cwd=place)
    assert untouched.returncode == 1
    assert "is where you begin: write `updated`" in " ".join(untouched.stdout.split())
    assert run("learn", "solution", cwd=place).returncode == 2

    (place / FIRST.file_name).write_text(FIRST.solution.replace("weight - lear", "weight + lear"))
    wrong = run("learn", "check", cwd=place)
    assert wrong.returncode == 1
    assert "You went uphill" in wrong.stdout
    assert run("learn", "solution", cwd=place).stdout == FIRST.solution
    assert "tried 1 time\n" in run("learn", cwd=place).stdout

    (place / FIRST.file_name).write_text(FIRST.solution)
    right = run("learn", "check", cwd=place)
    assert right.returncode == 0
    assert "✓ 1 The update rule" in right.stdout
    assert "learning rate 0.001" in right.stdout
    assert f"Next: 2 {course()[1].title}" in right.stdout
    picture = place / "pictures" / "01_update_rule.png"
    assert picture.read_bytes().startswith(b"\x89PNG")

    # From the folder above, in a new process: the progress is still there.
    listed = run("learn", "list", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[1] for line in listed[:3]] == ["✓", "→", "·"]


def test_files_are_never_overwritten_but_by_reset(folder: Folder, tmp_path: Path) -> None:
    mine = folder.path / FIRST.file_name
    mine.write_text("mine = True\n")
    (folder.path / course()[1].file_name).unlink()
    again = run("learn", "start", cwd=tmp_path)
    assert again.stdout.startswith("1 exercises written")
    assert f"{len(course()) - 1} of yours stay as they are" in again.stdout
    assert mine.read_text() == "mine = True\n"

    done = run("learn", "reset", "1", cwd=tmp_path)
    assert mine.read_text("utf-8") == FIRST.stub
    assert "01_update_rule.old-1" in done.stdout
    assert (folder.path / "01_update_rule.old-1").read_text() == "mine = True\n"
    assert folder.reset(FIRST) is None
    mine.write_text("mine = 2\n")
    assert folder.reset(FIRST) == folder.path / "01_update_rule.old-2"


def test_a_course_is_not_started_inside_another(folder: Folder) -> None:
    inside = folder.path / "pictures"
    inside.mkdir()
    done = run("learn", "start", cwd=inside)
    assert done.returncode == 2
    assert f"in a course already, {folder.path}" in done.stderr
    assert list(inside.iterdir()) == []


def test_a_right_answer_stays_done_and_reset_takes_it_back(folder: Folder) -> None:
    folder.progress.record(FIRST.name, True)
    folder.progress.record(FIRST.name, False)
    again = Folder(folder.path)
    assert again.is_done(FIRST)
    assert again.progress.attempts == {FIRST.name: 2}
    again.reset(FIRST)
    assert not Folder(folder.path).is_done(FIRST)


@pytest.mark.parametrize("text", ["", "[]", '{"done": 3, "attempts": {}}', "\x00", '{"done": []}'])
def test_a_damaged_progress_file_is_said_to_be_one(folder: Folder, text: str) -> None:
    (folder.path / STATE).write_text(text)
    done = run("learn", cwd=folder.path)
    assert done.returncode == 2
    assert "learn check --all" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_all_finds_what_is_done(folder: Folder) -> None:
    (folder.path / FIRST.file_name).write_text(FIRST.solution)
    done = run("learn", "check", "--all", cwd=folder.path)
    assert done.returncode == 1
    assert json.loads((folder.path / STATE).read_text())["done"] == [FIRST.name]


@pytest.mark.parametrize(
    "spec", ["1", "01", "update_rule", "01_update_rule.py", "a/01_update_rule"]
)
def test_an_exercise_has_many_names(spec: str) -> None:
    assert find(spec) == FIRST


@pytest.mark.parametrize(("spec", "meant"), [("updaterule", "update_rule"), ("99", "learn list")])
def test_a_name_that_is_none_gets_a_close_one(spec: str, meant: str) -> None:
    with pytest.raises(LearnError, match=meant):
        find(spec)


def with_updated(body: str) -> str:
    return FIRST.solution.replace("    return weight - learning_rate * gradient\n", body)


ACCIDENTS = {
    "an endless loop": (
        "    while True: pass\n", "while True", "still running after 2 seconds.*line",
    ),
    "an exception": ("    return weight - 1 / 0\n", "1 / 0", "ZeroDivisionError: division by zero"),
    "a syntax error": ("    return weight -\n", "weight -", "cannot read line"),
    "a missing bracket": ("    return weight - (1\n", "- (1", "never closed"),
    "a print flood": ("    while True:\n        print(1)\n", "print(1)", "printed more than 2,000"),
    "a flood that catches everything": (
        "    while True:\n        try:\n            print(1)\n        except Exception:\n"
        "            pass\n", "print(1)", "printed more than",
    ),
    "an endless recursion": (
        "    return updated(weight, 0, 0)\n", "(weight, 0, 0)", "RecursionError",
    ),
    "an exit": ("    raise SystemExit(0)\n", "SystemExit", "ends the program"),
    "a hard exit": ("    import os; os._exit(3)\n", None, "ended the whole process with status 3"),
    "a killed process": (
        "    import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", None, "by signal 9",
    ),
    "a question to the keyboard": ("    return input()\n", "input()", "EOFError"),
    "a shape that does not fit": (
        "    return weight @ gradient\n", "weight @", "Print the .shape of both",
    ),
    "a gradient nobody asked for": (
        "    weight.sum().backward()\n", "backward()", r"call \.requires_grad_",
    ),
    "other arguments": ("    pass\n\n\ndef updated(w):\n    return w\n", None, "came with"),
    "a string": ("    return 'weight'\n", None, "returned a str; it should be a tensor"),
    "another shape": ("    return weight[0]\n", None, r"the shape \(3,\); it should be \(4, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_gets_a_helpful_line(name: str, folder: Folder) -> None:
    body, where, said = ACCIDENTS[name]
    code = with_updated(body)
    file = folder.file(FIRST)
    file.write_text(code, encoding="utf-8")
    verdict = run_answer(FIRST, file, seconds=2 if name == "an endless loop" else 60)
    assert not verdict.passed
    assert re.search(said, verdict.message), verdict.message
    if where is not None:
        assert verdict.line is not None
        assert where in code.splitlines()[verdict.line - 1]
        assert f"ine {verdict.line}" in verdict.message
    assert len(verdict.printed.splitlines()) <= 21


def test_other_accidents_with_files(folder: Folder) -> None:
    file = folder.file(FIRST)
    file.write_text("x = 1\n")
    assert "`updated` is missing" in run_answer(FIRST, file).message
    file.write_bytes(b"x = '\xff'\n")
    assert "cannot read line" in run_answer(FIRST, file).message
    file.unlink()
    done = run("learn", "check", cwd=folder.path)
    assert done.returncode == 1
    assert "01_update_rule.py is gone. `skipway learn reset 1`" in " ".join(done.stdout.split())
    file.mkdir()
    assert "gone" in run_answer(FIRST, file).message


def test_what_the_code_prints_is_shown(folder: Folder) -> None:
    file = folder.file(FIRST)
    file.write_text(with_updated("    print('here', weight.shape)\n    return weight\n"))
    done = run("learn", "check", cwd=folder.path)
    assert "here torch.Size([4, 3])" in done.stdout
    file.write_text(
        with_updated("    float(torch.ones(1, requires_grad=True))\n    return weight\n")
    )
    assert run_answer(FIRST, file, seconds=60).printed == ""
