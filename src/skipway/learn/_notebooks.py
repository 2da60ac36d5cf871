"""The course as Jupyter notebooks, made of the same files. Nothing here imports torch."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from .._files import write_text
from ._exercise import Exercise, course


def write_notebooks(folder: Path) -> list[str]:
    """Write a notebook for each exercise; one that is there already stays as it is.

    Returns:
        The names of the files that were written.

    Raises:
        SkipwayError: the folder cannot be written.
    """
    written = []
    for exercise in course():
        file = folder / f"{Path(exercise.file_name).stem}.ipynb"
        if not file.exists():
            write_text(file, json.dumps(notebook(exercise), indent=1, ensure_ascii=False) + "\n")
            written.append(file.name)
    return written


def notebook(exercise: Exercise) -> dict[str, Any]:
    """Return the exercise as a notebook: task, code, check, and what is folded away."""
    task, code = _parts(exercise.stub)
    solution = _parts(exercise.solution)[1]
    check = f'from skipway import learn\n\nlearn.check("{exercise.name}", globals())'
    cells = [
        ("markdown", f"# {exercise.number}. {exercise.title}\n\n{_markdown(task)}"),
        ("code", code),
        ("code", check),
        ("markdown", _folded("Hint", exercise.hint)),
        ("markdown", _folded("Solution", f"```python\n{solution}\n```\n")),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [_cell(f"{exercise.name}-{i}", *cell) for i, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(name: str, kind: str, source: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": name.replace("_", "-"), "metadata": {}, "source": source}
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell


def _parts(source: str) -> tuple[str, str]:
    """Return the docstring of a file without its title, and the code below it."""
    first = ast.parse(source).body[0]
    assert isinstance(first, ast.Expr)
    assert isinstance(first.value, ast.Constant)
    task = str(first.value.value).partition("\n")[2]
    return task.strip("\n"), "\n".join(source.splitlines()[first.end_lineno :]).strip("\n")


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>"


def _markdown(text: str) -> str:
    """Return a docstring's text as Markdown: names in bold, indented blocks as code."""
    blocks = re.split(r"\n\s*\n", text)
    return "\n\n".join(_block(block, blocks[:i]) for i, block in enumerate(blocks))


def _block(block: str, before: list[str]) -> str:
    head, _, rest = block.partition("\n")
    if head[:1] != " " and rest.startswith("    "):
        # A name, and under it what it is to do.
        return f"**`{head}`**\n\n" + textwrap.dedent(rest)
    if not block.startswith("    "):
        return block
    defines = any(re.search(r"^\S.*\n {4}", each) for each in before)
    if defines and not block.startswith("        "):
        return textwrap.dedent(block)  # a further paragraph under that name
    return "```text\n" + textwrap.dedent(block) + "\n```"
