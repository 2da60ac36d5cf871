"""Draw the pictures of the documentation: `python docs/pictures.py RUN_FOLDER` (`make pictures`).

Nothing is drawn by hand: the pages are those of the finished run of `skipway cure` in RUN_FOLDER,
and of a training that is watched here: of a plain network of 20 layers on scikit-learn's digits.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from sklearn.datasets import load_digits
from torch import nn

import skipway

HERE = Path(__file__).parent
WAIT = "const done = arguments[0]; setTimeout(done, 400);"
CLOSER = """
    document.querySelectorAll(".spine tr[data-i]")[6].click();
    document.querySelector("[data-zoom=in]").click();
    scrollTo({top: document.querySelector("#network").offsetTop - 8, behavior: "instant"});
"""
CURVES = """
    scrollTo({top: document.querySelector("#training").offsetTop - 8, behavior: "instant"});
    const group = document.querySelector("#training .smwrap");
    for (let at = 0; at < 5; at += 1)
        group.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
"""
STEPS = """
    scrollTo({top: document.querySelector("#steps").offsetTop - 8, behavior: "instant"});
"""


@contextmanager
def browser() -> Iterator[Any]:
    """Open Chromium, and close it again."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars",
                     "disable-background-networking", "force-prefers-reduced-motion",
                     f"user-data-dir={profile}"):  # fmt: skip
            options.add_argument(f"--{flag}")
        driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        try:
            yield driver
        finally:
            driver.quit()


def picture(
    driver: Any, page: Path, name: str, size: tuple[int, int], *, dark: bool = False, act: str = ""
) -> None:
    """Save what one sees of a page, three pixels for two."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1.5, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(page.resolve().as_uri())
    driver.execute_script(act)
    driver.execute_async_script(WAIT)
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (HERE / name).write_bytes(base64.b64decode(shot["data"]))


def watched(folder: Path) -> Path:
    """Train a plain network while it is watched; return the page."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    model = nn.Sequential()
    for name in ("stem", *(f"hidden_{at}" for at in range(18))):
        model.add_module(name, nn.Linear(64, 64))
        model.add_module(f"{name}_tanh", nn.Tanh())
    model.add_module("head", nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with skipway.watch(model, optimizer, every=5, notify=lambda _: None) as watch:
        for _ in range(12):
            for rows in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                watch.loss(nn.functional.cross_entropy(model(x[rows]), y[rows])).backward()
                optimizer.step()
        return watch.diagnosis().save(folder / "watched.html")


def main(run: Path) -> None:
    """Draw them all."""
    page, steps = run / "report.html", watched(run)
    with browser() as driver:
        picture(driver, page, "report.png", (1280, 1180))
        picture(driver, page, "report-network.png", (1280, 1000), dark=True, act=CLOSER)
        picture(driver, page, "report-curves.png", (1280, 640), act=CURVES)
        picture(driver, steps, "report-steps.png", (1280, 760), act=STEPS)
        picture(driver, page, "report-phone.png", (400, 860))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
