"""The site: what the build itself does not check."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import skipway
from skipway import SkipwayError, _docs, cases, learn, models, nn, report
from skipway._results import CAUSES

pytest.importorskip("mkdocs", reason="the site is built where the extra `docs` is installed")

ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """The ids of a page, its links, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.formulas = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[key] for key in ("id", "name") if key in given}
        self.formulas += tag == "math"
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given.get("href", ""))
        elif tag != "a":
            self.fetched += [given[key] for key in ("src", "srcset", "poster") if key in given]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_public_name_is_in_the_reference(site: Path, pages: dict[Path, Page]) -> None:
    ids = set().union(*(p.ids for path, p in pages.items() if path.parent.name == "reference"))
    modules = {"cases", "learn", "models", "nn"}
    names = {f"skipway.{name}" for name in set(skipway.__all__) - modules}
    for module in (cases, learn, models, nn, report):
        names |= {f"{module.__name__}.{name}" for name in module.__all__}
    for file in (ROOT / "src/skipway/integrations").glob("[a-z]*.py"):
        made = re.findall(r"^(?:def|class) ([A-Za-z]\w*)", file.read_text("utf-8"), re.MULTILINE)
        names |= {f"skipway.integrations.{file.stem}.{name}" for name in made}
    assert names - ids == set()


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for target in page.fetched:
            assert not re.match(r"(\w+:)?//", target), f"{path.name} fetches {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", sheet.read_text("utf-8")), (
            sheet
        )


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links start at the root of a server
        for link in [*page.links, *page.fetched]:
            if re.match(r"\w+:", link) or not link:
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), f"{path.name} links to {link}"
            if anchor and not anchor.startswith("__") and target.suffix == ".html":
                assert anchor in pages[target].ids, f"{path.name} links to {link}"


def _pages_in_the_code() -> set[str]:
    """Every `page=` of an error or a warning, every class's own, and those of the findings."""
    found = {f"stuck#{cause}" for cause in CAUSES}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "page":
                found |= {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)}
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_PAGE":
                found |= {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)}
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "more":
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return found | {kind.page for kind in SkipwayError.__subclasses__()}


def test_what_an_error_leads_to_is_there(site: Path, pages: dict[Path, Page]) -> None:
    found = {page for page in _pages_in_the_code() if page}
    assert len(found) > 30
    for page in found:
        name, _, section = page.partition("#")
        assert section in pages[site / f"{name}.html"].ids, page
        assert _docs.section(page).startswith("#"), page


def test_formulas_need_no_script(pages: dict[Path, Page], site: Path) -> None:
    assert pages[site / "diagnosis.html"].formulas > 10
    for path in pages:
        prose = re.sub(r"<(code|pre).*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert 'class="arithmatex"' not in prose, path.name
        assert not re.search(r"\$[^$\n]*\\[a-z]+", prose), path.name


def test_the_search_works_in_a_page_opened_from_the_disk(site: Path, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get((site / "index.html").as_uri())
    browser.execute_script("document.querySelector('[data-md-toggle=search]').click()")
    field = browser.find_element("css selector", ".md-search__input")
    field.send_keys("elasticity")

    def found(driver: Any) -> list[str]:
        links = driver.find_elements("css selector", ".md-search-result__link")
        return [link.get_attribute("href") for link in links]

    links = WebDriverWait(browser, 20).until(found)
    assert any("diagnosis.html" in link for link in links)
