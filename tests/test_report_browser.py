"""The report in a real browser: the table of layers, hostile names, dark, narrow, on paper."""

from __future__ import annotations

import re

import pytest

import report_samples as samples
from skipway._results import SkipConnection
from skipway.report._folds import MOST_ROWS
from test_report import KINDS


def card(driver) -> dict[str, list[str]]:
    """Read the card: its name, its words, its numbers."""
    return driver.execute_script("""
        const card = document.getElementById("card");
        const rows = [...card.querySelectorAll("tbody tr")].map(row =>
            [row.cells[0].textContent, [...row.querySelectorAll("td")].map(c => c.textContent)]);
        return Object.fromEntries([["name", card.querySelector("h3").textContent],
            ["words", card.querySelector(".words").textContent],
            ["why", card.querySelector(".why").textContent],
            ["whatif", card.querySelector(".whatif").textContent],
            ["skips", card.querySelector(".skips").textContent], ...rows]);
    """)


def row(driver, name):
    for each in driver.find_elements("css selector", ".spine tbody tr[data-i]"):
        if each.find_element("css selector", "th").text.split("\n")[0].startswith(name):
            return each
    raise AssertionError(name)


@pytest.mark.parametrize("name", KINDS)
def test_every_page_opens_in_silence(visit, name):
    driver = visit(KINDS[name].to_dict())
    assert driver.find_element("css selector", "h1").text
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= driver.execute_script("return innerWidth")


def test_the_spine_has_a_row_for_every_layer_and_visible_arcs(visit):
    driver = visit(samples.cure(20).to_dict())
    rows = driver.find_elements("css selector", ".spine tbody tr[data-i]")
    assert len(rows) == 22
    assert {each.rect["height"] for each in rows} == {20}
    widths = [
        bar.rect["width"] for bar in driver.find_elements("css selector", ".pl:nth-child(3) i")
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 5 * widths[0]
    boxes = driver.execute_script("""
        return [...document.querySelectorAll('.lane1 use')].map(use => use.getBBox().width)""")
    assert all(box > 15 for box in boxes[:-1])  # an arc stands out to the left of the spine
    assert driver.find_elements("css selector", ".lane0 use")
    arcs = "return document.querySelectorAll('.defs .arc').length"
    assert driver.execute_script(arcs) > 3


def test_the_card_is_never_empty_and_follows_the_click(visit):
    cure = samples.cure(20)
    driver = visit(cure.to_dict())
    assert card(driver)["name"] == "hidden.0"
    row(driver, "hidden.7").click()
    read = card(driver)
    before, after = cure.diagnosis.layer("hidden.7"), cure.after.layer("hidden.7")
    assert read["name"] == "hidden.7"
    shown = read["Elasticity E"]
    assert float(shown[0].replace("−", "-")) == pytest.approx(before.elasticity, rel=0.05)
    assert float(shown[1]) == pytest.approx(after.elasticity, rel=0.05)
    assert read["Via the skip"] == ["–", "0.079"]
    assert read["Weights moved"] == ["0 %", "99.9 %"]
    assert read["words"].startswith("Of 3,575 weights with a gradient, none moves at this step.")
    assert read["words"].endswith("After the treatment: 3,571 of 3,575.")
    assert read["skips"] == "Skips: from hidden.5; to hidden.9."
    assert read["why"] == (
        "Before: nothing moves, because every update of a weight that has a gradient rounds away. "
        "After: arrives, because less than 1 decade is lost between the loss and this layer."
    )


def test_the_card_stays_whole_in_sight_beside_the_row_pointed_at(browser, visit):
    size = {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver = visit(samples.cure(50).to_dict())
        for name in ("hidden.40", "hidden.33"):
            row(driver, name).click()
            driver.execute_script(
                "arguments[0].scrollIntoView({block: 'center'})", row(driver, name)
            )
            top, bottom = driver.execute_script("""
                const box = document.getElementById("card").getBoundingClientRect();
                return [box.top, box.bottom]""")
            assert top >= 0
            assert bottom <= 720
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_keys_move_through_the_grid_which_is_one_tab_stop(visit):
    from selenium.webdriver.common.keys import Keys

    driver = visit(samples.cure(20).to_dict())
    stops = ".spine tbody [tabindex='0'], .spine tbody a:not([tabindex='-1'])"

    def press(*keys):
        for key in keys:
            driver.switch_to.active_element.send_keys(key)
        assert len(driver.find_elements("css selector", stops)) == 1
        return card(driver)["name"]

    row(driver, "hidden.3").click()
    assert press(Keys.ARROW_DOWN) == "hidden.4"
    assert press(Keys.ARROW_UP, Keys.ARROW_UP) == "hidden.2"
    assert press(Keys.END) == "head"
    assert press(Keys.ARROW_DOWN) == "head"
    assert press(Keys.HOME) == "stem"
    assert driver.switch_to.active_element.get_attribute("data-i") == "0"


def test_a_fold_opens_and_closes_and_its_rows_are_whole(visit):
    from selenium.webdriver.common.keys import Keys

    cure = samples.cure(50)
    driver = visit(cure.to_dict())
    fold = driver.find_element("css selector", ".fold")
    visible = (
        "return [...document.querySelectorAll('.spine tr[data-i]')].filter(r => !r.hidden).length"
    )
    closed = driver.execute_script(visible)
    first, end = int(fold.get_attribute("data-from")), int(fold.get_attribute("data-to"))
    assert closed == 52 - (end - first)
    fold.click()
    assert fold.get_attribute("aria-expanded") == "true"
    assert driver.execute_script(visible) == 52
    order = driver.execute_script(
        "return [...document.querySelectorAll('.spine tr[data-i]')].map(r => +r.dataset.i)"
    )
    assert order == list(range(52))
    inner = row(driver, f"hidden.{first}")
    inner.click()
    layer = cure.diagnosis.layers[first + 1]
    assert card(driver)["name"] == layer.name
    number = inner.find_element("css selector", ".num").text.split()[0]
    assert float(number.replace("−", "-")) == pytest.approx(layer.elasticity, rel=0.05)
    bars = [b.rect["width"] for b in driver.find_elements("css selector", ".pl:nth-child(3) i")]
    assert bars == sorted(bars)
    driver.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert fold.get_attribute("aria-expanded") == "false"
    assert driver.execute_script(visible) == closed
    assert driver.switch_to.active_element == fold
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert driver.execute_script(visible) == 52
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.execute_script(visible) == closed


NAMES = (
    samples.HOSTILE,
    "b</script><script>alert(2)</script>",
    """c"'`&amp;\\${x}]]>--><!--""",
    "слой.שכבה.طبقة.🧨",
    "\u202ereversed\u202c \u2028 line",
    "e" * 500,
)


def test_hostile_names_stay_text_in_the_browser(visit):
    layers = tuple(samples.reading(name, "Linear <b>", 1e-9, 1.0) for name in NAMES)
    skips = tuple(SkipConnection("identity", a, b) for a, b in zip(NAMES, NAMES[2:], strict=False))
    given = samples.diagnosis(layers=layers, place=NAMES[0], skips=skips)
    plain = samples.diagnosis(3)
    driver = visit(plain.to_dict())
    scripts = driver.execute_script("return document.scripts.length")
    driver = visit(given.to_dict())
    assert card(driver)["name"] == samples.HOSTILE
    for at, name in enumerate(NAMES):
        driver.find_element("css selector", f".spine tr[data-i='{at}']").click()
        assert card(driver)["name"] == name
    assert driver.execute_script("return document.scripts.length") == scripts
    assert not driver.find_elements("css selector", "img, #card b, .spine b")
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= driver.execute_script("return innerWidth")


def test_without_script_everything_is_there_to_read(browser, visit):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = visit(samples.cure(50).to_dict())
        said = driver.find_element("css selector", "main").text
        for name in ("stem", "hidden.49", "Block × 10", "Yes. Both kinds of skip cure it"):
            assert name in said
        assert card_of_place(driver) == "hidden.0"
        assert driver.find_element("css selector", "#drawing svg .bar").is_displayed()
        assert driver.find_element("css selector", ".pan svg .med").is_displayed()
        assert not driver.find_element("css selector", "#drawing .tools").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def card_of_place(driver) -> str:
    return driver.find_element("css selector", "#card h3").text


def test_a_thousand_layers_open_with_few_rows(visit):
    driver = visit(samples.cure(1000).to_dict())
    assert len(driver.find_elements("css selector", ".spine tbody tr")) <= MOST_ROWS
    heights = [each.rect["height"] for each in driver.find_elements("css selector", ".fold")]
    assert heights
    assert max(heights) <= 130
    fold = max(
        driver.find_elements("css selector", ".fold"),
        key=lambda f: int(f.get_attribute("data-to")) - int(f.get_attribute("data-from")),
    )
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", fold)
    fold.click()
    size = int(fold.get_attribute("data-to")) - int(fold.get_attribute("data-from"))
    assert size > 100
    assert len(driver.find_elements("css selector", ".spine tr[aria-level='2']")) == size


def test_folded_source_keeps_its_line_numbers_and_copies_whole(visit):
    driver = visit(samples.rewiring().to_dict())
    code = driver.execute_script(
        "return [...document.querySelectorAll('.code .l')].map(line => line.textContent)"
    )
    assert "\n".join(code) + "\n" == samples.rewiring().code
    added = driver.find_elements("css selector", ".code .add")
    assert len(added) == 50
    tail = driver.find_elements("css selector", ".code > pre")[-1]
    lines = len(tail.find_elements("css selector", ".l"))
    total = samples.rewiring().code.count("\n")
    # The counter of the first line shown after the fold goes on where the hidden ones end.
    assert f"line {total - lines}" in tail.get_attribute("style")


def test_on_a_phone_the_numbers_of_a_touched_row_are_in_sight(browser, visit):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver = visit(samples.cure(50).to_dict())
        touched = row(driver, "hidden.40")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", touched)
        touched.click()
        for _ in range(12):  # and a row that the keys reach is not behind them
            touched.send_keys("\ue015")
            touched = driver.switch_to.active_element
        at, numbers, tall = driver.execute_script("""
            const card = document.getElementById("card");
            return [document.activeElement, card.querySelector("tbody tr"), card].map(each =>
                [each.getBoundingClientRect().top, each.getBoundingClientRect().bottom])""")
        assert card(driver)["name"] == "head"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert 0 <= at[0] < at[1] <= tall[0]
    assert 0 <= numbers[0] < numbers[1] <= 844
    assert tall[1] - tall[0] < 0.4 * 844


def test_dark_print_and_narrow_pages_hold_together(browser, visit):
    driver = visit(samples.cure(50).to_dict())
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = driver.execute_script(ground)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    dark = driver.execute_script(ground)
    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 120
    assert sum(map(int, re.findall(r"\d+", light)[:3])) == 3 * 255
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    hidden = driver.find_element("css selector", ".card").is_displayed()
    assert not hidden
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    for width in (1180, 900, 620, 380):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
