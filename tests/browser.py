"""Fixtures that open a result's page in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from skipway import report


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        reason = "Chromium with chromedriver is not installed, so no page can be opened."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--force-prefers-reduced-motion",
        "--window-size=1400,1000",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    yield made
    made.quit()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a result's page; at the end nothing may have been asked for or complained about."""
    places = []

    def go(data):
        place = tmp_path / f"page-{len(places)}.html"
        place.write_text(report.page(data), encoding="utf-8")
        places.append(place.as_uri())
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(place.as_uri())
        return browser

    yield go
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked = [each["request"]["url"] for each in sent if each["documentURL"] in places]
    assert asked
    assert all(url in places or url == "data:," for url in asked), asked
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
