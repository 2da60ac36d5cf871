"""What one can do with the pictures of a report, in a real browser: drawing, curves, heat map."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import time
from dataclasses import replace
from importlib import resources

import pytest

import report_samples as samples
from skipway import report
from skipway._results import Event
from test_watch_heat import watched

EVENT = Event(step=30, cause="precision", words="hidden.1 stopped moving", layers=("hidden.1",),
              until=80)  # fmt: skip
FALLING = [[10 ** -(0.5 * layer + 0.05 * step) for step in range(40)] for layer in range(12)]


def heated(**more):
    return watched(FALLING, events=(EVENT,), **more)


def press(driver, selector, *keys):
    element = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].focus({preventScroll: true})", element)
    for key in keys:
        element.send_keys(key)


def matrix(driver, side=0) -> list[float]:
    """Where the content of a side of the drawing is: [zoom, x, y]."""
    return driver.execute_script("""
        return new Promise(done => setTimeout(() => {
            const all = document.querySelectorAll("#drawing .all")[arguments[0]];
            const m = all.transform.baseVal.consolidate()?.matrix ?? {a: 1, e: 0, f: 0};
            done([m.a, m.e, m.f]);
        }, 60))""", side)  # fmt: skip


# ---------------------------------------------------------------- the drawing


def test_the_drawing_shows_every_layer_and_tells_skips_apart(visit):
    driver = visit(samples.cure(1000).to_dict())
    seen = driver.execute_script("""
        return [...document.querySelectorAll("#drawing svg")].map(svg => ({
            layers: [...svg.querySelectorAll(".bar")].map(
                bar => bar.getAttribute("d").split("M").length - 1),
            proposed: svg.querySelectorAll(".arc:not(.solid)").length,
            existing: svg.querySelectorAll(".arc.solid").length,
            said: svg.getAttribute("aria-label"),
        }))""")  # fmt: skip
    assert [sum(side["layers"]) for side in seen] == [1002, 1002]
    assert [(side["proposed"], side["existing"]) for side in seen] == [(0, 0), (1, 0)]
    assert seen[1]["said"] == "After, by addition: 1,002 layers: arrives 1,002; 500 skips"
    dashes = "return getComputedStyle(document.querySelector('#drawing .arc')).strokeDasharray"
    assert driver.execute_script(dashes) == "3px, 2px"
    driver = visit(samples.residual(8).to_dict())
    assert driver.execute_script(dashes) == "none"


def test_one_goes_closer_with_buttons_and_keys_and_both_sides_go_together(visit):
    driver = visit(samples.cure(50).to_dict())
    start = matrix(driver)
    driver.find_element("css selector", "[data-zoom=in]").click()
    near = matrix(driver)
    assert near[0] == pytest.approx(2 * start[0])
    assert matrix(driver, 1) == pytest.approx(near)
    press(driver, "#drawing", "+")
    assert matrix(driver)[0] == pytest.approx(4 * start[0])
    assert matrix(driver, 1) == pytest.approx(matrix(driver))
    heights = driver.execute_script("""
        return [...document.querySelectorAll("#drawing .bars .base")].map(
            base => base.getBoundingClientRect().bottom - base.ownerSVGElement
                .querySelector(".sp").getBoundingClientRect().bottom)""")
    assert all(20 < height < 120 for height in heights)  # bars stay in sight, under the spine
    press(driver, "#drawing", "\ue014")  # arrow to the right
    assert matrix(driver)[1] < near[1]
    press(driver, "#drawing", "0")
    assert matrix(driver) == pytest.approx(start, abs=0.5)


def test_it_is_dragged_and_a_drag_chooses_no_layer(visit):
    from selenium.webdriver import ActionChains

    driver = visit(samples.cure(50).to_dict())
    driver.find_element("css selector", "[data-zoom=in]").click()
    before, name = matrix(driver), driver.find_element("css selector", "#card h3").text
    picture = driver.find_element("css selector", "#drawing svg")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    hand = ActionChains(driver, duration=50).move_to_element_with_offset(picture, 200, 20)
    hand.click_and_hold().perform()
    name = driver.find_element("css selector", "#card h3").text  # of the layer under the pointer
    ActionChains(driver, duration=50).move_by_offset(-150, 0).release().perform()
    after = matrix(driver)
    assert after[0] == before[0]
    assert after[1] == pytest.approx(before[1] - 150, abs=3)
    assert matrix(driver, 1) == pytest.approx(after)
    assert driver.find_element("css selector", "#card h3").text == name


def test_a_finger_moves_it_aside_and_is_left_to_scroll_the_page(browser, visit):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        driver = visit(samples.cure(50).to_dict())
        closer = driver.find_element("css selector", "[data-zoom=in]")
        # A control that is reached by tab is not behind the card.
        foot, edge = driver.execute_script(
            """
            arguments[0].blur();
            arguments[0].focus();
            return [arguments[0], document.getElementById("card")].map(each =>
                each.getBoundingClientRect()).map((box, at) => at ? box.top : box.bottom)""",
            closer,
        )
        assert foot <= edge
        closer.click()
        x, y = driver.execute_script("""
            const picture = document.querySelector("#drawing svg");
            picture.scrollIntoView({block: "center"});
            const box = picture.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]""")
        place = matrix(driver)
        moves = {"x": x, "y": y, "xDistance": -120, "gestureSourceType": "touch"}
        browser.execute_cdp_cmd("Input.synthesizeScrollGesture", moves)
        assert matrix(driver)[1] < place[1] - 60
        taken = driver.execute_script("""
            const picture = document.querySelector("#drawing svg");
            const [x, y] = arguments;
            const touch = new Touch({identifier: 1, target: picture, clientX: x, clientY: y});
            const given = {touches: [touch], changedTouches: [touch], bubbles: true,
                           cancelable: true};
            return ["touchstart", "touchmove"].map(name => {
                const event = new TouchEvent(name, given);
                picture.dispatchEvent(event);
                return event.defaultPrevented;
            }).concat(getComputedStyle(picture).touchAction)""", x, y)  # fmt: skip
        assert taken == [False, False, "pan-y"]
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(("blocks", "width"), [(3, 1280), (3, 400), (40, 400), (500, 1280)])
def test_closer_and_back_ends_where_it_began(browser, visit, blocks, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver = visit(samples.residual(blocks).to_dict())
        start = matrix(driver)
        press(driver, "#drawing", "+", "+")
        assert matrix(driver)[0] == pytest.approx(4 * start[0])
        press(driver, "#drawing", "-")
        assert matrix(driver)[0] == pytest.approx(2 * start[0])
        press(driver, "#drawing", "-", "-", "-")
        assert matrix(driver) == pytest.approx(start, abs=0.5)
        assert not driver.find_elements("css selector", ".map.near")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_wheel_scrolls_the_page_until_the_drawing_is_chosen(visit):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    driver = visit(samples.cure(50).to_dict())
    picture = driver.find_element("css selector", "#drawing svg")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    start = matrix(driver)
    origin = ScrollOrigin.from_element(picture)
    ActionChains(driver).scroll_from_origin(origin, 0, -120).perform()
    assert matrix(driver) == start
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    press(driver, "#drawing")
    ActionChains(driver).scroll_from_origin(origin, 0, -120).perform()
    assert matrix(driver)[0] > start[0]


def test_a_click_into_the_drawing_finds_the_layer_in_the_table_even_in_a_fold(visit):
    from selenium.webdriver import ActionChains

    cure = samples.cure(50)
    driver = visit(cure.to_dict())
    picture = driver.find_element("css selector", "#drawing svg")
    pitch = picture.rect["width"] / 52
    wanted = 25
    fold = driver.find_element("css selector", ".fold")
    first, end = (int(fold.get_attribute(f"data-{edge}")) for edge in ("from", "to"))
    assert first <= wanted < end
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    x = (wanted + 0.5) * pitch - picture.rect["width"] / 2
    ActionChains(driver).move_to_element_with_offset(picture, round(x), 0).click().perform()
    assert fold.get_attribute("aria-expanded") == "true"
    assert driver.find_element("css selector", "#card h3").text == cure.diagnosis.layers[25].name
    here = driver.find_element("css selector", "#drawing .here").get_attribute("x")
    assert float(here) == pytest.approx(25 * 840 / 52, abs=0.1)


def test_skips_and_plans_are_drawn_and_say_what_is_pointed_at(visit):
    from selenium.webdriver import ActionChains

    driver = visit(samples.skips().to_dict())
    arc = driver.find_element("css selector", "#drawing .arc.solid").get_attribute("d")
    assert arc.count("M") == samples.skips().counts["identity"] * 3  # three of five kinds are skips
    driver = visit(samples.rewiring(50).to_dict())
    assert not driver.find_elements("css selector", "#drawing .arc.solid")
    arc = driver.find_element("css selector", "#drawing .arc").get_attribute("d")
    assert arc.count("M") == 25
    picture = driver.find_element("css selector", "#drawing svg")
    x = 2.5 * picture.rect["width"] / 52 - picture.rect["width"] / 2
    ActionChains(driver).move_to_element_with_offset(picture, round(x), 5).perform()
    said = driver.find_element("css selector", "#way").text
    assert said == "hidden.1. Skips: from stem; to hidden.3."
    driver.find_element("css selector", "[data-zoom=in]").click()
    assert matrix(driver)[0] > 1.5


def test_what_if_a_skip_started_here_is_told(visit):
    layers = list(samples.readings(4, 2.0))
    layers[1] = replace(layers[1], with_skip=0.2, skip_to="hidden.3")
    data = samples.diagnosis(layers=tuple(layers), place="hidden.0").to_dict()
    said = visit(data).find_element("css selector", "#card .whatif").text
    now = layers[1].elasticity
    assert said == (
        f"What if a skip started here? Led to hidden.3, E here would be 0.20 instead of "
        f"{now:.1e}.".replace("e-0", "e−")
    )


# ---------------------------------------------------------------- curves


def test_the_curves_are_plots_that_are_read_off_together(visit):
    from selenium.webdriver import ActionChains

    comparison = samples.comparison()
    driver = visit(comparison.to_dict())
    panels = driver.find_elements("css selector", ".pan.live")
    assert len(panels) == 10  # five variants, twice; the linear one is a line in each
    assert len(driver.find_elements("css selector", ".pan canvas")) == 10
    assert not driver.find_element("css selector", ".pan svg .med").is_displayed()
    ActionChains(driver).move_to_element(panels[1]).perform()
    said = driver.execute_script(
        "return [...document.querySelectorAll('.pan .now')].map(each => each.textContent)"
    )
    runs = comparison.variants[1].runs
    middle = sorted(run.test[5] for run in runs)[2]
    assert said[1] == f"epoch 5: {middle:.1f} %"
    assert len(said) == 10
    assert all(each.startswith("epoch 5: ") for each in said)
    drawn = driver.execute_script("""
        const canvas = document.querySelectorAll('.pan canvas')[1];
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some(each => each > 0)""")
    assert drawn


def test_arrow_keys_go_through_the_epochs(visit):
    driver = visit(samples.comparison().to_dict())
    press(driver, "#training .smwrap", *["\ue014"] * 4)
    said = driver.execute_script("return document.querySelector('.pan .now').textContent")
    assert said.startswith("epoch 3: ")
    press(driver, "#training .smwrap", "\ue012")
    said = driver.execute_script("return document.querySelector('.pan .now').textContent")
    assert said.startswith("epoch 2: ")


def test_the_curves_are_a_table_too(visit):
    comparison = samples.comparison()
    driver = visit(comparison.to_dict())
    cells = driver.execute_script("""
        return [...document.querySelector('#training .plain').rows].map(
            row => [...row.cells].map(cell => cell.textContent))""")
    assert cells[0][:3] == ["Epoch", "Plain", "Addition"]
    assert len(cells) == 12
    for epoch in (0, 4, 10):
        ends = sorted(run.test[epoch] for run in comparison.variants[1].runs)
        assert cells[1 + epoch][:1] + cells[1 + epoch][2:3] == [str(epoch), f"{ends[2]:.1f}"]


def test_plots_follow_the_light(browser, visit):
    driver = visit(samples.comparison().to_dict())
    seen = []
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        time.sleep(0.2)
        seen.append(
            driver.execute_script("""
            const canvas = document.querySelectorAll(".pan.control canvas")[0];
            const copy = document.createElement("canvas");
            Object.assign(copy, {width: canvas.width, height: canvas.height});
            const pen = copy.getContext("2d", {willReadFrequently: true});
            pen.drawImage(canvas, 0, 0);
            const {data} = pen.getImageData(0, 0, copy.width, copy.height);
            let sum = 0, count = 0;
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] === 255) { sum += data[at]; count += 1; }
            return sum / count""")
        )
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen[0] < 80 < 180 < seen[1]  # dark lines on light ground, and the reverse


# ---------------------------------------------------------------- heat map


def test_a_cell_of_the_map_is_read_off_by_pointer_and_keys(visit):
    from selenium.webdriver import ActionChains

    driver = visit(heated().to_dict())
    reading = driver.find_element("css selector", "#reading")
    last = FALLING[11][39]
    assert reading.text == (
        f"hidden.11, step 400, loss 1: elasticity of the weights {last:.1e}".replace("e-0", "e−")
    )
    press(driver, ".heatmap", "\ue013", "\ue012")  # up, left
    assert reading.text.startswith("hidden.10, step 390, ")
    box = driver.find_element("css selector", ".heatmap svg .cell")
    assert box.rect["width"] > 5
    picture = driver.find_element("css selector", ".heatmap svg")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    ActionChains(driver).move_to_element(picture).perform()
    match = re.match(r"hidden\.(\d+), step (\d+), loss 1: .* (\S+)$", reading.text)
    layer, step, value = int(match[1]), int(match[2]), float(match[3].replace("−", "-"))
    assert 0 < layer < 10
    assert value == pytest.approx(FALLING[layer][step // 10 - 1], rel=0.06)
    assert driver.find_elements("css selector", "#lines canvas")


def test_the_layer_chosen_in_the_table_is_the_one_drawn_over_the_steps(visit):
    data = watched([[0.5, 0.4]] * 4, names=["stem", "hidden.0", "hidden.1", "head"]).to_dict()
    driver = visit(data)
    driver.find_element("css selector", ".spine tr[data-i='2']").click()
    assert driver.find_element("css selector", "#reading").text.startswith("hidden.1, step 20")


def test_the_map_is_a_table_too_and_its_findings_are_links(visit):
    driver = visit(heated().to_dict())
    cells = driver.execute_script("""
        return [...document.querySelector('#steps .plain').rows].map(
            row => [...row.cells].map(cell => cell.textContent))""")
    lowest = f"{FALLING[3][39]:.1e}".replace("e-0", "e−")
    first = f"{FALLING[3][0]:.3f}"
    assert cells[4] == ["hidden.3", first, lowest, "400", lowest]
    driver.find_element("css selector", "#steps dd a").click()
    assert driver.current_url.endswith("#finding-2")


# ---------------------------------------------------------------- in a notebook's frame


def test_in_the_frame_of_a_notebook_links_stay_in_the_page(browser, tmp_path):
    shown = html.escape(report.page(samples.cure(50).to_dict()), quote=True)
    place = tmp_path / "notebook.html"
    frame = f'<iframe srcdoc="{shown}" width="1000" height="720"></iframe>'
    place.write_text(f"<!doctype html><title>notebook</title>{frame}", encoding="utf-8")
    browser.get(place.as_uri())
    browser.switch_to.frame(0)
    try:
        browser.find_element("css selector", ".mast a[href='#findings']").click()
        title, top = browser.execute_script("""
            return [document.title, document.getElementById("findings").getBoundingClientRect().top]
        """)
        assert title.endswith("skipway report")
        assert abs(top) < 400
        browser.find_element("css selector", ".flag").click()
        assert browser.execute_script("return document.activeElement.id") == "finding-3"
        boxes = browser.execute_script("""
            return [...document.querySelectorAll('.lane1 use')].map(use => use.getBBox().width)""")
        assert max(boxes) > 15  # what is drawn by reference is found in the frame as well
    finally:
        browser.switch_to.default_content()


# ---------------------------------------------------------------- on paper


def pdf(browser, place) -> str:
    """Print the page that is open; return the words on its sheets."""
    made = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    place.write_bytes(base64.b64decode(made["data"]))
    words = subprocess.run(["pdftotext", "-layout", place, "-"], capture_output=True, check=True)
    return words.stdout.decode()


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext to read what is printed")
def test_paper_holds_what_the_screen_holds(browser, visit, tmp_path):
    driver = visit(samples.cure(50).to_dict())
    driver.find_element("css selector", "[data-zoom=in]").click()
    said = pdf(browser, tmp_path / "page.pdf")
    for words in ("17.9", "hidden.49", "Block × 10", "Concatenation", "self.hidden[30](relu(x))",
                  "Every learning rate tried", "3.16", "validation part", "20 %"):  # fmt: skip
        assert words in said, words
    assert "Closer" not in said
    assert matrix(driver)[0] == pytest.approx(1, abs=0.3)  # and the drawing was whole


# ---------------------------------------------------------------- frames that are hidden

DRAWN = """
    const inside = document.querySelector("iframe").contentDocument;
    const drawing = inside.querySelector("#drawing svg .all");
    const scale = drawing && new DOMMatrix(getComputedStyle(drawing).transform).a;
    const widths = [...inside.querySelectorAll(".uplot canvas")].map(each => each.clientWidth);
    return [scale, inside.querySelector("#drawing").clientWidth, widths]"""


@pytest.mark.parametrize("made", [samples.cure(50), heated()], ids=["curves", "heat"])
def test_a_page_in_a_frame_that_is_hidden_is_drawn_when_it_is_shown(browser, tmp_path, made):
    """A notebook hides frames, and so does a picture of a whole page, for a moment."""
    place, hidden = tmp_path / "notebook.html", "arguments[0].style.display = 'none'"
    framed = html.escape(report.page(made.to_dict()), quote=True)
    place.write_text(
        f'<div style="display:none"><iframe width="900" srcdoc="{framed}"></iframe></div>', "utf-8"
    )
    browser.get_log("browser")
    browser.get(place.as_uri())
    box = browser.find_element("css selector", "div")
    for _ in range(2):
        browser.execute_script("arguments[0].style.display = ''", box)
        time.sleep(0.3)
        scale, width, canvases = browser.execute_script(DRAWN)
        assert scale > 0.1
        assert 300 < width <= 900
        assert canvases
        assert min(canvases) > 50
        browser.execute_script(hidden, box)
        time.sleep(0.3)
    assert browser.get_log("browser") == []


# ---------------------------------------------------------------- for everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["cure", "residual", "watched", "rewiring", "skips"])
def test_axe_finds_nothing(browser, visit, name, width, scheme):
    axe = pytest.importorskip("axe_core_python")
    script = resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8")
    made = {"cure": samples.cure(50), "residual": samples.residual(8), "watched": heated(),
            "rewiring": samples.rewiring(), "skips": samples.skips()}[name]  # fmt: skip
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        driver = visit(made.to_dict())
        driver.execute_script(script)
        found = driver.execute_async_script("axe.run(document).then(arguments[0])")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    told = [
        (each["id"], [node["html"][:90] for node in each["nodes"]]) for each in found["violations"]
    ]
    assert not told, json.dumps(told, indent=1)
    assert len(found["passes"]) > 15


def test_every_control_can_be_reached_by_tab_in_the_order_of_the_page(visit):
    driver = visit(samples.cure(50).to_dict())
    places = driver.execute_script("""
        return [...document.querySelectorAll('a, button, summary, [tabindex="0"]')]
            .filter(each => each.tabIndex >= 0 && each.checkVisibility())
            .map(each => [each.tabIndex,
                each.getAttribute('aria-label') ?? each.textContent.trim()])""")
    assert all(order == 0 and name for order, name in places)


# ---------------------------------------------------------------- size, and what is not ours


def test_pages_stay_small_with_their_libraries_inside():
    assert len(report.page(samples.cure(50).to_dict()).encode()) < 300_000
    assert len(report.page(samples.cure(1000).to_dict()).encode()) < 1_000_000
    assert len(report.page(watched(FALLING * 4).to_dict()).encode()) < 300_000
    assert len(report.page(samples.residual(500).to_dict()).encode()) < 1_000_000
    falling = [
        [10 ** -(0.02 * layer + 0.01 * step) for step in range(256)] for layer in range(1000)
    ]
    assert len(report.page(watched(falling).to_dict()).encode()) < 1_000_000


@pytest.mark.parametrize(("made", "curves", "drawing"), [
    (samples.cure(8), True, True), (samples.comparison(), True, False),
    (samples.diagnosis(8), False, True), (samples.skips(), False, True),
    (samples.finding(), False, False),
])  # fmt: skip
def test_a_page_holds_the_libraries_it_uses_with_their_licences(made, curves, drawing):
    page = report.page(made.to_dict())
    assert ("Copyright (c) 2022 Leon Sorokin" in page) is curves
    assert ("var uPlot=" in page) is curves
    assert ("Copyright 2009-2010 Andrea Leofreddi" in page) is drawing
    assert ("svg-pan-zoom v3.6.2" in page) is drawing


def test_the_libraries_are_as_they_were_released():
    folder = resources.files("skipway.report").joinpath("third_party")
    sums = folder.joinpath("SHA256SUMS").read_text(encoding="utf-8").split()
    kept = {each.name for each in folder.iterdir()} - {"README.md", "SHA256SUMS"}
    assert kept == set(sums[1::2])
    for name, known in zip(sums[1::2], sums[::2], strict=True):
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == known, name
