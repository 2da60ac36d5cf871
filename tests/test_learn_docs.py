"""Every screen in docs/learn.md is what the command prints, replayed in order in a new folder.

A comment before a screen says what the learner has just saved: a kept answer, by its heading, or
some code. `python tests/test_learn_docs.py` writes the screens anew.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from skipway.learn._exercise import course, find
from test_cli import run
from test_learn_course import answers
from test_learn_watch import Terminal

PAGE = Path(__file__).parent.parent / "docs" / "learn.md"
SCREEN = re.compile(
    r"(?:^<!-- (?P<kind>answer|code): (?P<name>\S+?): (?P<what>.+?) -->\n)?"
    r"^```console\n(?P<text>.*?)^```\n",
    re.DOTALL | re.MULTILINE,
)


def replay(page: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each screen as it is printed and as it comes."""
    place = folder
    for screen in SCREEN.finditer(page):
        if screen["kind"]:
            save(place, screen["kind"], screen["name"], screen["what"])
        shown = ""
        for line in screen["text"].splitlines():
            if line.startswith("$ cd "):
                place = place / line.split()[-1]
                shown += line + "\n"
            elif line.startswith("$ skipway learn watch"):
                shown += f"{line}\n{watched(place)}"
            elif line.startswith("$ skipway "):
                shown += f"{line}\n{printed(line.split()[2:], place)}"
        yield screen["text"], shown


def save(place: Path, kind: str, name: str, what: str) -> None:
    exercise = find(name)
    kept = {heading: code for _, heading, code in answers(exercise)}
    code = kept[what] if kind == "answer" else what.replace("\\n", "\n")
    (place / exercise.file_name).write_text(f"{exercise.solution}\n\n{code}", encoding="utf-8")


def printed(arguments: list[str], place: Path) -> str:
    done = run(*arguments, cwd=place)
    text = done.stdout + done.stderr
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


def watched(place: Path) -> str:
    terminal = Terminal(place)
    try:
        text = terminal.until("gradient")
        text += terminal.rest()
        terminal.press("q")
        terminal.wait()
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)
        os.close(terminal.slave)
    # What the spinner drew and took away again is not on the screen.
    text = text[text.index("✗") :]
    return "\n".join(line.rstrip() for line in text.replace("\r", "").rstrip().splitlines()) + "\n"


def test_the_screens_are_what_one_sees(tmp_path: Path) -> None:
    for written, shown in replay(PAGE.read_text("utf-8"), tmp_path):
        assert written == shown


def test_the_page_names_every_exercise() -> None:
    rows = re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [str(each.number) for each in course()]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = PAGE.read_text("utf-8")
        screens = iter(list(replay(page, Path(folder))))
        new = SCREEN.sub(lambda m: m[0].replace(m["text"], next(screens)[1]), page)
        PAGE.write_text(new, encoding="utf-8")
    sys.exit(new != page)
