"""What a page links to outside of docs/ comes along, so that the site is whole by itself.

The pages are read on a code host as well, where `../benchmarks/x.py` is the right link. In the site
scripts become pages with highlighted code, folders become lists, everything else is copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()((?:\.\./)+)([^)#\s]+)")
HOME = "repository/"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add a file for everything that a page names outside of docs/."""
    for page in list(files.documentation_pages()):
        for target in _outside(
            page.src_uri, Path(config.docs_dir, page.src_uri).read_text("utf-8")
        ):
            _add(files, config, target)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let the links lead to what was added."""
    if page.file.generated_by:
        return markdown
    up = "../" * page.file.src_uri.count("/")

    def inside(match: re.Match[str]) -> str:
        target = _target(page.file.src_uri, match)
        return match[0] if target is None else f"{up}{HOME}{_uri(target)}"

    return LINK.sub(inside, markdown)


def _outside(page: str, markdown: str) -> Iterator[Path]:
    for match in LINK.finditer(markdown):
        target = _target(page, match)
        if target is not None:
            yield target


def _target(page: str, match: re.Match[str]) -> Path | None:
    """Return what is linked, from the root of the repository; None for what lies in docs/."""
    if len(match[1]) // 3 <= page.count("/"):
        return None
    return Path(match[2].rstrip("/"))


def _uri(target: Path) -> str:
    if (ROOT / target).is_dir():
        return f"{target.as_posix()}/contents.md"
    return f"{target.as_posix()}.md" if target.suffix == ".py" else target.as_posix()


def _add(files: Files, config: MkDocsConfig, target: Path) -> None:
    source, uri = ROOT / target, HOME + _uri(target)
    if uri in files.src_uris:
        return
    if not source.exists():
        raise FileNotFoundError(f"a page links to {target}, which does not exist")
    apart: dict[str, Any] = {"inclusion": InclusionLevel.NOT_IN_NAV}
    if source.is_dir():
        inside = sorted(each for each in source.iterdir() if each.is_file())
        lines = (
            f"- [{each.name}]({_uri(each.relative_to(ROOT)).split('/')[-1]})" for each in inside
        )
        text = "\n".join([f"# {target.as_posix()}", "", *lines])
        files.append(File.generated(config, uri, content=text, **apart))
        for each in inside:
            _add(files, config, each.relative_to(ROOT))
    elif source.suffix == ".py":
        code = source.read_text("utf-8").rstrip()
        text = f"# {target.as_posix()}\n\n````python\n{code}\n````\n"
        files.append(File.generated(config, uri, content=text, **apart))
    else:
        files.append(File.generated(config, uri, abs_src_path=str(source), **apart))
