"""The code in the docs runs as it stands, page by page, and prints what the page shows."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pages
from pages import Block, blocks
from skipway import models

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
# Their screens are replayed, with the answers that lead to them, by test_learn_docs.py.
REPLAYED = {"learn.md"}


def _read(page: Path) -> list[Block]:
    found = blocks(page.read_text("utf-8"))
    if page.name in REPLAYED:
        found = [block for block in found if block.kind != "console"]
    return found


def _name(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    found = _read(page)
    if not any(block.runs for block in found):
        return
    printed = pages.run(pages.script(found), tmp_path)
    for shown, real in pages.shown(found, printed):
        assert pages.same(shown, real), f"The page shows\n{shown}\nand what is printed is\n{real}"


NEEDING = [(page, n) for page in PAGES for n, block in enumerate(_read(page)) if block.needs]


@pytest.mark.parametrize(
    ("page", "number"), NEEDING, ids=lambda each: each if isinstance(each, int) else _name(each)
)
def test_a_block_runs_in_its_framework(
    page: Path, number: int, tmp_path: Path, monkeypatch
) -> None:
    found = _read(page)
    missing = [name for name in found[number].needs if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed here")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    # The warnings of frameworks are theirs.
    printed = pages.run(pages.script(found[:number], found[number]), tmp_path, "default")
    for shown, real in pages.shown(found[: number + 1], printed):
        assert pages.same(shown, real), f"The page shows\n{shown}\nand what is printed is\n{real}"


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in _read(page):
            assert not block.note.startswith("not run") or re.fullmatch(
                r"not run: \w.{10,}", block.note
            ), f"{page.name}: {block.text}"


@pytest.mark.parametrize(
    "text",
    [
        "```py\n1 / 0\n```\n",
        "```\n$ skipway cases\n```\n",
        "```pycon\n>>> 1\n```\n",
        "````python {.extra}\n1 / 0\n````\n",
        "```bash\nskipway cases\n```\n",
    ],
)
def test_a_block_that_nothing_runs_is_refused(text: str) -> None:
    with pytest.raises(AssertionError, match="no runner covers"):
        blocks(text)


PAGE = """
```python title="two.py"
TWO = 2
```

```python
from two import TWO

print("one and", TWO)
```

```text
one and 3
```

```console
$ python -c "from two import TWO; print('and', TWO, 'times')"
and 4 times
$ ls missing || echo gone
...gone
```
"""


def test_what_is_printed_is_held_against_what_is_shown(tmp_path: Path) -> None:
    found = blocks(PAGE)
    pairs = pages.shown(found, pages.run(pages.script(found), tmp_path))
    assert [real.split()[-1] for _, real in pairs] == ["2", "times", "gone"]
    assert all(pages.same(shown, real) for shown, real in pairs)
    wrong = blocks(PAGE.replace("one and 3", "one or 3"))
    assert not pages.same(*pages.shown(wrong, pages.run(pages.script(wrong), tmp_path))[0])


def test_a_block_that_raises_and_a_command_that_fails_are_noticed(tmp_path: Path) -> None:
    for text in ("```python\n1 / 0\n```\n", "```console\n$ false\n```\n"):
        with pytest.raises(AssertionError, match=r"ZeroDivisionError|AssertionError: false"):
            pages.run(pages.script(blocks(text)), tmp_path)


def test_the_page_of_evidence_is_what_its_results_make_it() -> None:
    script = ROOT / "benchmarks" / "evidence" / "claims" / "page.py"
    spec = importlib.util.spec_from_file_location("page_of_evidence", script)
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert (ROOT / "docs" / "evidence.md").read_text("utf-8") == page.written()


def test_networks_are_expressed_in_five_lines() -> None:
    page = (ROOT / "docs" / "building-blocks.md").read_text("utf-8")
    section = page.split("## Networks in five lines")[1].split("## When the two sides")[0]
    codes = [block.text for block in blocks(section)][1:-1]
    networks = [code.split("(")[0].removeprefix("def ") for code in codes]
    assert networks == [
        "resnet_v1", "resnet_v2", "dense_block", "unet", "transformer_block", "hyper_transformer"
    ]  # fmt: skip
    for code in codes:
        assert len(code.strip().splitlines()) - 1 <= 5, code


def test_the_gallery_has_every_example() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    for example in (ROOT / "examples").glob("*.py"):
        title = (ast.get_docstring(ast.parse(example.read_text("utf-8"))) or "").splitlines()[0]
        assert f"## {title.removesuffix('.')}\n" in page, f"{example.name}: run `make gallery`"
        if "savefig" in example.read_text("utf-8"):
            picture = f"gallery-{example.stem.replace('_', '-')}.png"
            assert f"]({picture})" in page
            assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")


def _run_example(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / name, *arguments],
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_derivative_survives_any_depth() -> None:
    output, plain, skips = _run_example("derivative.py").splitlines()
    numbers = [re.findall(r"-?\d\.\d{6}", line) for line in (output, plain, skips)]
    assert numbers[2] == numbers[0]
    assert set(numbers[1]) == {"0.000000"}


def test_value_residuals_train() -> None:
    output = _run_example("value_residual.py", "40")
    losses = [float(number) for number in re.findall(r"([\d.]+) nats", output)]
    # To guess characters by their frequency in that text costs 2.94 nats.
    assert len(losses) == 2
    assert all(0 < loss < 2.94 for loss in losses)


def _parameters(call: str) -> int:
    name, _, arguments = call.partition("(")
    with torch.device("meta"):
        network = eval(f"build({arguments}", {"build": getattr(models, name)})
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_table_of_networks_has_their_parameters() -> None:
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+\(.*?\))` \| ([\d,]+) \| (the same|[\d,]+) \|", page, re.MULTILINE)
    assert len(rows) == 26
    for call, count, twin in rows:
        number = int(count.replace(",", ""))
        assert _parameters(call) == number, call
        plain = number if twin == "the same" else int(twin.replace(",", ""))
        bracket = call[:-1] if call.endswith("()") else f"{call[:-1]}, "
        assert _parameters(f"{bracket}plain=True)") == plain, call
