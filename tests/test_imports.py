"""What a command waits for: which modules it loads. Counted, not timed, so that it cannot flake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
before = set(sys.modules)
{}
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""
CALLED = """
from skipway.cli import main
try:
    main({!r}, prog_name="skipway")
except SystemExit as end:
    assert not end.code, end.code
"""


# The parser, the names of the cases and of the exercises, the errors.
TELLING = {
    "skipway", "skipway.cli", "skipway.cases", "skipway.cases._find",
    *(f"skipway._{each}" for each in ("cli_errors", "cli_options", "cli_results", "cli_training",
                                      "errors", "visible")),
    "skipway.learn",
    *(f"skipway.learn._{each}" for each in ("commands", "exercise", "in_notebook")),
}  # fmt: skip


def loaded(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def foreign(modules: list[str]) -> set[str]:
    """Return the packages among them that are neither Python's own nor ours."""
    tops = {name.partition(".")[0] for name in modules}
    return tops - set(sys.stdlib_module_names) - {"skipway"}


def own(modules: list[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "skipway"}


def test_the_import_itself_loads_one_module() -> None:
    modules = loaded("import skipway")
    assert own(modules) == {"skipway"}
    assert foreign(modules) == set()


def test_an_error_to_catch_costs_no_torch() -> None:
    assert foreign(loaded("from skipway import SkipwayError, SkipwayWarning")) == set()


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["cases"], ["cases", "--json"], ["cure", "--help"],
     ["diagnose", "--help"], ["rewire", "--help"], ["skips", "--help"], ["reconnect", "--help"],
     ["compare", "--help"], ["report", "--help"], ["learn", "--help"],
     ["learn", "watch", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_what_only_tells_loads_click_and_the_parser(words: list[str]) -> None:
    modules = loaded(CALLED.format(words))
    assert foreign(modules) == {"click"}
    assert own(modules) <= TELLING


def test_the_list_of_exercises_loads_a_printer_more() -> None:
    modules = loaded(CALLED.format(["learn", "list"]))
    # The oldest rich reads Markdown with commonmark.
    known = {"click", "rich", "pygments", "markdown_it", "mdurl", "commonmark"}
    assert foreign(modules) <= known
    assert len(more := own(modules) - TELLING) <= 6, more


def test_a_result_is_drawn_again_without_torch(tmp_path) -> None:
    import skipway

    plan = skipway.Plan(how="add", skips=(skipway.PlannedSkip("a", "b"),))
    plan.save(tmp_path / "result.json")
    modules = loaded(CALLED.format(["report", str(tmp_path)]))
    assert (tmp_path / "report.html").exists()
    assert not {"torch", "sklearn", "scipy"} & foreign(modules)
