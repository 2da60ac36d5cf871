"""The course is whole, its solutions pass, and every kept wrong answer gets its own reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skipway.learn._examine import examine
from skipway.learn._exercise import COURSE, Exercise, course
from skipway.learn._verdict import Verdict

# A learner's process does not turn warnings into errors.
pytestmark = pytest.mark.filterwarnings("ignore")
ANSWERS = Path(__file__).parent / "learn"
FILES = ["__init__.py", "check.py", "exercise.py", "explanation.md", "hint.md", "solution.py"]


def answers(exercise: Exercise) -> list[tuple[str, str, str]]:
    """The kept answers to an exercise: `Right` or `Wrong`, the heading, the code."""
    text = (ANSWERS / f"{exercise.name}.md").read_text("utf-8")
    form = r"^## (Right|Wrong): (.+?)\n\n```python\n(.*?)^```"
    return re.findall(form, text, re.DOTALL | re.MULTILINE)


ALL = [
    pytest.param(exercise, kind, heading, code, id=f"{exercise.name}: {heading}")
    for exercise in course()
    for kind, heading, code in answers(exercise)
]


def judge(exercise: Exercise, code: str, folder: Path) -> Verdict:
    file = folder / exercise.file_name
    file.write_text(code, encoding="utf-8")
    return examine(exercise.name, file)


def test_the_order_names_every_folder_once_and_no_file_is_stray() -> None:
    folders = sorted(p.name for p in COURSE.iterdir() if p.is_dir() and p.name != "__pycache__")
    assert sorted(each.name for each in course()) == folders
    assert sorted(p.name for p in COURSE.iterdir() if p.is_file()) == ["__init__.py", "order.txt"]
    assert sorted(p.name for p in ANSWERS.iterdir()) == [f"{name}.md" for name in folders]


@pytest.mark.parametrize("exercise", course(), ids=lambda each: each.name)
def test_an_exercise_has_all_its_parts(exercise: Exercise) -> None:
    files = sorted(p.name for p in exercise.folder.iterdir() if p.name != "__pycache__")
    assert files == FILES
    for text in (exercise.hint, exercise.explanation):
        assert len(text.split()) >= 30
    title = f'"""{exercise.number}. {exercise.title}'
    assert exercise.stub.startswith(f"{title}.\n")
    assert exercise.solution.startswith(f"{title}: one way to write it.")
    assert exercise.folder.joinpath("hint.md").read_text("utf-8") not in exercise.solution
    kept = answers(exercise)
    headings = len(re.findall("^## ", (ANSWERS / f"{exercise.name}.md").read_text("utf-8"), re.M))
    assert len(kept) == headings
    assert sum(kind == "Wrong" for kind, *_ in kept) >= 4
    assert sum(kind == "Right" for kind, *_ in kept) >= 2


@pytest.mark.parametrize("exercise", course(), ids=lambda each: each.name)
def test_the_stub_fails_kindly_and_the_solution_passes(exercise: Exercise, tmp_path: Path) -> None:
    stub = judge(exercise, exercise.stub, tmp_path)
    assert stub.kind == "unwritten"
    assert stub.line is not None
    assert "raise NotImplementedError" in exercise.stub.splitlines()[stub.line - 1]
    solved = judge(exercise, exercise.solution, tmp_path)
    assert solved.passed, solved.message
    assert solved.picture is not None
    assert Verdict.from_dict(solved.to_dict()) == solved


@pytest.mark.parametrize(("exercise", "kind", "heading", "code"), ALL)
def test_a_kept_answer_is_judged_as_its_heading_says(
    exercise: Exercise, kind: str, heading: str, code: str, tmp_path: Path
) -> None:
    verdict = judge(exercise, f"{exercise.solution}\n\n{code}", tmp_path)
    if kind == "Right":
        assert verdict.passed, verdict.message
        assert verdict.picture is not None
    else:
        assert verdict.kind == "wrong", verdict.message
        assert heading in verdict.message
