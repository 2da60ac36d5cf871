"""How the code in a page of the docs is read, run, and held against what the page shows.

A fenced block is one of these, and nothing else (`blocks` refuses it):

- `python` runs, all of a page one after the other, as one script;
- `python title="my_case.py"` is a file, there for what follows it;
- `console`: every line that starts with `$ ` runs in a shell, in the same folder, and what is below
  is what it prints;
- `text` right after `python` is what that block prints; anywhere else it is a drawing, not code.

`python tests/pages.py docs/PAGE.md` writes the output of a page anew.

A comment on the line before says what is special: `<!-- needs: lightning -->` runs this block
alone, after those before it, where the package is installed; `<!-- not run: the reason -->` does
not; `<!-- exit 1 -->` says how its commands end. Printed and shown are compared word by word;
numbers may differ, as they do from machine to machine, and `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launched import mortal

FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?"
    r"(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=ticks) *$",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"[-−+±]?\d[\d,.]*(?:e[-+]?\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
TOOLS = {  # what a reader starts by its name, here of this very Python
    # Its other commands import whatever network libraries there are.
    "accelerate launch": "-m accelerate.commands.launch",
    "python": "",
    "skipway": "-m skipway",
    "torchrun": "-m torch.distributed.run",
}
LAUNCHERS = ("torchrun ", "accelerate launch ")
MARK, COMMAND = "\x1e", "\x1f"
# Frameworks import torchvision where there is one, also beside a torch that it was not built for.
PRELUDE = f"""import importlib.util, sys
if importlib.util.find_spec("torchvision"):
    sys.path.append({str(Path(__file__).parent)!r})
    import oracle
    sys.path.pop()
"""


@dataclass(frozen=True)
class Block:
    """One fenced block: its kind, text, note, and whether it directly follows a `python` one."""

    kind: str
    text: str
    title: str = ""
    note: str = ""
    follows: bool = False

    @property
    def runs(self) -> bool:
        return self.kind in ("python", "console") and not self.note.startswith(("not run", "needs"))

    @property
    def needs(self) -> list[str]:
        found = re.fullmatch(r"needs: (.+)", self.note)
        return found[1].split(", ") if found else []


def blocks(text: str) -> list[Block]:
    """Return a page's blocks, in order; a kind that nothing runs is refused."""
    found: list[Block] = []
    end, before = -1, ""
    for match in FENCE.finditer(text):
        info = re.fullmatch(r'(python|console|text)(?: title="([\w./-]+)")?', match["info"])
        line = text.count("\n", 0, match.start("ticks")) + 1
        assert info, f"line {line}: no runner covers a block of the kind {match['info']!r}"
        kind = "file" if info[2] and info[1] == "python" else info[1]
        follows = kind == "text" and before == "python" and not text[end : match.start()].strip()
        note = (match["note"] or "").strip()
        found.append(Block(kind, match["text"], info[2] or "", note, follows))
        end, before = match.end(), kind
    return found


def script(page: list[Block], ending: Block | None = None) -> str:
    """Return the page as one Python script, which marks where the output of each block begins."""
    parts = [PRELUDE] if ending else []
    for number, block in enumerate([*page, ending] if ending else page):
        if block.kind == "file":
            parts.append(f"__import__('pathlib').Path({block.title!r}).write_text({block.text!r})")
        elif block.runs or block is ending:
            parts.append(f"print('{MARK}{number}{MARK}', flush=True)")
            commands = re.findall(r"^\$ ((?:.*\\\n)*.*)", block.text, re.MULTILINE)
            status = int((re.fullmatch(r"exit (\d+)", block.note) or "00")[1])
            parts += (
                [block.text.rstrip()]
                if block.kind == "python"
                else [_shell(line, status) for line in commands]
            )
    return "\n".join([*parts, f"print('{MARK}end{MARK}', flush=True)", ""])


def _shell(command: str, status: int) -> str:
    """Return the line of Python that runs one command of a page and prints what it prints."""
    words = ["bash", "-c", f"({command}\n) 2>&1"]
    # gloo's threads now and then abort a process when all is done; what it has printed counts.
    ends = "in range(256)" if command.startswith(LAUNCHERS) else f"== {status}"
    return (
        f"print({COMMAND + '$ ' + command!r}, flush=True); "
        f"assert __import__('subprocess').run({words!r}).returncode {ends}, {command!r}"
    )


def run(text: str, folder: Path, warnings: str = "error") -> dict[int, str]:
    """Run the page in a folder of its own; return what each block printed, by its number."""
    path, tools = folder / "page.py", folder / ".bin"
    path.write_text(text, encoding="utf-8")
    tools.mkdir(exist_ok=True)
    for command, words in TOOLS.items():
        name, _, verb = command.partition(" ")
        text = f'{"shift; " if verb else ""}exec "{sys.executable}" {words} "$@"'
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    environment = {
        **mortal(),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(
        [sys.executable, "-W", warnings, path], cwd=folder, capture_output=True, text=True,
        timeout=250, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    _, *parts = done.stdout.split(MARK)
    return {int(n): shown for n, shown in zip(parts[::2], parts[1::2], strict=True) if n != "end"}


def shown(page: list[Block], printed: dict[int, str]) -> list[tuple[str, str]]:
    """Return what the page shows beside what was printed, wherever it shows something."""
    pairs = []
    for number, block in enumerate(page):
        if block.follows and number - 1 in printed:
            pairs.append((block.text, printed[number - 1]))
        if block.kind == "console" and number in printed:
            pairs += _by_command(block.text, printed[number])
    return pairs


def _by_command(text: str, printed: str) -> list[tuple[str, str]]:
    """Pair what is below each command; a command with nothing below it shows nothing."""
    shown_ = re.split(r"^(?=\$ )", text, flags=re.MULTILINE)[1:]
    both = zip(shown_, printed.split(COMMAND)[1:], strict=True)
    return [pair for pair in both if not re.fullmatch(r"(.|\\\n)*\n?", pair[0])]


def same(shown: str, printed: str) -> bool:
    """Whether the words are the same; numbers and the breaks of lines may differ."""
    pattern = ".*".join(re.escape(_words(part)) for part in shown.split("..."))
    return re.fullmatch(pattern, _words(printed)) is not None


def _words(text: str) -> str:
    without_comments = re.sub(r"(?m)^(\$ .*?) {2,}# .*$", r"\1", text)
    return " ".join(NUMBER.sub("#", without_comments).split())


def written_anew(text: str, folder: Path) -> str:
    """Return a page with what its `python` blocks print today, where nothing is left out."""
    page = blocks(text)
    for shown_, real in shown(page, run(script(page), folder)):
        if "..." not in shown_ and not shown_.startswith("$ "):
            shorn = real.strip("\n")
            text = text.replace(f"```text\n{shown_}```", f"```text\n{shorn}\n```")
        elif not same(shown_, real):
            print(f"--- by hand, the page shows\n{shown_}--- and what is printed is\n{real}")
    return text


if __name__ == "__main__":  # python tests/pages.py docs/gradient.md
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            made = written_anew(Path(name).read_text("utf-8"), Path(place))
        Path(name).write_text(made, encoding="utf-8")
