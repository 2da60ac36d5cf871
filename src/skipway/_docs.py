"""`skipway docs`: the pages of the documentation, in the terminal.

They come with the package, so that an error can lead to its page on a machine without a network.
"""

from __future__ import annotations

import re
from pathlib import Path

from ._errors import SkipwayError

_INSTALLED = Path(__file__).parent / "docs"
_CHECKOUT = Path(__file__).parents[2] / "docs"
_HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def show(page: str) -> None:
    """Print a page, one section of it (`"rewire#the-optimizer"`), or with `""` what there is."""
    if not page:
        for name, heading in titles().items():
            print(f"{name:16}  {heading}")
        return
    from rich.markdown import Markdown

    from ._console import CommandConsole
    from ._formulas import readable

    console = CommandConsole()
    console.print(Markdown(readable(section(page))), width=min(100, console.width))


def titles() -> dict[str, str]:
    """Return what the pages are about, by name."""
    found = {}
    for path in sorted(_home().glob("*.md")):
        heading = _HEADING.search(path.read_text("utf-8"))
        found[path.stem] = heading[2] if heading else ""
    return found


def section(page: str) -> str:
    """Return a page, or one section of it: `"rewire"`, `"rewire#the-optimizer"`.

    Raises:
        SkipwayError: there is none of this name; the message lists those that are.
    """
    name, _, wanted = page.partition("#")
    path = _home() / f"{name}.md"
    if not re.fullmatch(r"[\w-]+", name) or not path.exists():
        raise SkipwayError(f"No page is called {name!r}; there are {', '.join(titles())}.")
    text = path.read_text("utf-8")
    if not wanted:
        return text
    headings = _headings(text)
    for at, heading in enumerate(headings):
        if anchor(heading[2]) == wanted:
            later = (each for each in headings[at + 1 :] if len(each[1]) <= len(heading[1]))
            # A page's own title stands for what comes before its first section.
            after = headings[at + 1 : at + 2] if len(heading[1]) == 1 else list(later)
            return text[heading.start() : after[0].start() if after else len(text)]
    there = ", ".join(anchor(heading[2]) for heading in headings)
    raise SkipwayError(f"The page {name} has no section {wanted!r}; there are {there}.")


def anchor(heading: str) -> str:
    """Return the name of a section, as it is in the site and on a code host."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _headings(text: str) -> list[re.Match[str]]:
    # A comment in a block of code is no heading.
    hidden = _CODE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    return list(_HEADING.finditer(hidden))


def _home() -> Path:
    for place in (_INSTALLED, _CHECKOUT):
        if (place / "tutorial.md").exists():
            return place
    raise SkipwayError("The pages of the documentation are not installed here.")
