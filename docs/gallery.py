"""Run every example and write the page of them, docs/gallery.md: `make gallery`.

What an example says of itself, prints and draws is what the page shows.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
# The order in which one looks at them; `test_docs.py` holds it to the folder.
ORDER = (
    "derivative",
    "gradient_against_depth",
    "concatenation",
    "long_skips",
    "value_residual",
    "compare_ddp",
)
HEAD = """# Gallery

The files of [`examples/`](../examples): what each one says, prints and draws. This page and its
pictures are made by running them, `make gallery`. Numbers may differ on another machine.
"""


def main() -> None:
    """Run them all, then write the page."""
    sections = [_section(name, _run(name)) for name in ORDER]
    (HERE / "gallery.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")


def _run(name: str) -> str:
    """Run one example, which draws its picture here if it draws one, and return what it prints."""
    print(name, flush=True)
    words = [_picture(name).name] if _draws(name) else []
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *words],
        cwd=HERE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("Drawn in")).strip()


def _section(name: str, printed: str) -> str:
    title, said = _says(name)
    picture = f"![{title}]({_picture(name).name})\n\n" if _draws(name) else ""
    code = f"[examples/{name}.py](../examples/{name}.py)"
    return f"## {title}\n\n{said}\n\n{picture}```text\n{printed}\n```\n\n{code}\n"


def _says(name: str) -> tuple[str, str]:
    """Return the title of an example, and what its docstring says below how to call it."""
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8"))) or ""
    title, *parts = re.split(r"\n\n+", text)
    told = [part for part in parts if not part.startswith("    ") and "pip install" not in part]
    return title.removesuffix("."), "\n\n".join(told)


def _draws(name: str) -> bool:
    return "savefig" in (EXAMPLES / f"{name}.py").read_text("utf-8")


def _picture(name: str) -> Path:
    return HERE / f"gallery-{name.replace('_', '-')}.png"


if __name__ == "__main__":
    main()
