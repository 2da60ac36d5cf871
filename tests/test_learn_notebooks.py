"""The course as notebooks: made of the same files, run cell by cell as a learner would."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from skipway.learn._exercise import Exercise, course
from skipway.learn._in_notebook import Checked
from skipway.learn._notebooks import notebook
from test_cli import run

pytestmark = pytest.mark.filterwarnings("ignore")
JUPYTER_COURSE = [course()[0], course()[3]]


def code_cells(made: dict[str, Any]) -> list[str]:
    return [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"]


def solved(made: dict[str, Any]) -> dict[str, Any]:
    """The notebook with its own folded solution in the cell of the task."""
    folded = made["cells"][-1]["source"]
    solution = re.search(r"```python\n(.*?)\n```", folded, re.DOTALL)
    assert solution is not None
    made["cells"][1]["source"] = solution.group(1)
    return made


def run_cells(made: dict[str, Any]) -> Checked:
    """Run the code cells in order in one namespace; return what the last line shows."""
    names: dict[str, Any] = {"__name__": "a_notebook"}
    for source in code_cells(made):
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "a cell", "exec"), names)
        shown = eval(compile(ast.Expression(last.value), "a cell", "eval"), names) if last else None
    assert isinstance(shown, Checked)
    return shown


@pytest.mark.parametrize("exercise", course(), ids=lambda each: each.name)
def test_a_notebook_asks_and_its_own_solution_passes(exercise: Exercise) -> None:
    open_task = run_cells(notebook(exercise))
    assert not open_task.passed
    cell = code_cells(notebook(exercise))[0]
    line = open_task.verdict.line
    assert line is not None
    assert "raise NotImplementedError" in cell.splitlines()[line - 1]

    state = torch.random.get_rng_state()
    done = run_cells(solved(notebook(exercise)))
    assert done.passed, done
    assert torch.equal(torch.random.get_rng_state(), state)
    shown = done._repr_markdown_()
    assert shown.startswith(f"**✓ {exercise.number} {exercise.title}**")
    assert 'src="data:image/png;base64,iVBOR' in shown
    assert exercise.explanation in repr(done)


@pytest.mark.parametrize("exercise", course(), ids=lambda each: each.name)
def test_a_notebook_says_all_that_the_file_says(exercise: Exercise) -> None:
    made = notebook(exercise)
    task = ast.get_docstring(ast.parse(exercise.stub))
    assert task is not None
    asked = made["cells"][0]["source"]
    assert set(re.findall(r"\w{3,}", task)) <= set(re.findall(r"\w{3,}", asked))
    assert exercise.hint in made["cells"][3]["source"]
    # What stands in a block of code is a formula or a drawing, never a sentence.
    for block in re.findall(r"```text\n(.*?)\n```", asked, re.DOTALL):
        assert not re.search(r"[a-z]\.( |$)", block)


def test_the_command_writes_them_and_leaves_the_learners_alone(tmp_path: Path) -> None:
    first = run("learn", "notebooks", "mine", cwd=tmp_path)
    assert first.stdout == f"{len(course())} notebooks written into mine.\n"
    files = sorted((tmp_path / "mine").iterdir())
    assert [file.stem for file in files] == [Path(each.file_name).stem for each in course()]
    files[0].write_text("mine")
    files[1].unlink()
    second = run("learn", "notebooks", "mine", cwd=tmp_path)
    assert second.stdout.startswith("1 notebooks written into mine. 10 of yours stay")
    assert files[0].read_text() == "mine"
    assert json.loads(files[2].read_text("utf-8"))["nbformat"] == 4


def test_a_wrong_answer_is_told_why_without_a_file() -> None:
    made = notebook(course()[3])
    made["cells"][1]["source"] += "\n\n\nclass Net(Net):\n    def forward(self, x):\n"
    made["cells"][1]["source"] += (
        "        return self.relu2(self.conv2(self.relu1(self.conv1(x))))\n"
    )
    assert "You returned F(x), not F(x) + x." in repr(run_cells(made))


@pytest.mark.parametrize("exercise", JUPYTER_COURSE, ids=lambda each: each.name)
def test_it_runs_in_jupyter(exercise: Exercise) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for made, said in (
        (notebook(exercise), "is where you begin"),
        (solved(notebook(exercise)), "✓"),
    ):
        opened = nbformat.reads(json.dumps(made), as_version=4)
        nbformat.validate(opened)
        nbclient.NotebookClient(opened, timeout=120, kernel_name="python3").execute()
        shown = opened.cells[2].outputs[-1]["data"]
        assert said in shown["text/markdown"]
        assert said in shown["text/plain"]
