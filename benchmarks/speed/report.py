"""What a page weighs and how soon it is open: `python benchmarks/speed/report.py [ROUNDS]`.

Pages of real results: plain perceptrons of 50 and of 1,000 layers, diagnosed, with a skip thought
of (`what_if`, both sides of the page), rewired, and watched for 60 steps; and resnet152. Each is
written by `skipway.report.page`, then opened ROUNDS times in headless Chromium, each time in a tab
that never saw it. Results in report.json:

- `kilobytes` of the page, libraries included (1 kB is 1,000 bytes);
- `written in`: seconds for `page`, median;
- `opened in`: from the start of the navigation until all scripts have run, the drawing can be
  moved and the curves stand (`domContentLoadedEventEnd`), median and longest, in milliseconds;
- `first paint`: the same clock, first contentful paint;
- `a fold opens in`: from the click on the largest fold until the frame with its rows is painted.

`layout` writes pages of 500 to 4,000 layers and says what a layer costs: a constant, where the
layout is linear.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from measure import machine, write

import skipway
from skipway import models, report

Page = Mapping[str, Any]

OPENED = """
    const done = arguments[0];
    const settle = () => requestAnimationFrame(() => requestAnimationFrame(() => {
        const [entry] = performance.getEntriesByType("navigation");
        const paint = performance.getEntriesByName("first-contentful-paint")[0];
        if (!paint) return settle();
        done([entry.domContentLoadedEventEnd, paint.startTime,
              document.querySelectorAll("#drawing[tabindex], .pan.live, #lines canvas").length]);
    }));
    settle();
"""
FOLD = """
    const done = arguments[0];
    const size = fold => fold.dataset.to - fold.dataset.from;
    const [largest] = [...document.querySelectorAll(".fold")].sort((a, b) => size(b) - size(a));
    if (!largest) return done(null);
    const start = performance.now();
    largest.click();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
"""


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    pages = {**perceptrons(50), **perceptrons(1000), **resnet()}
    result = {**machine("selenium"), "browser": "", "rounds": rounds, "pages": {}}
    with tempfile.TemporaryDirectory() as folder:
        browser = opened_browser(folder)
        try:
            result["browser"] = "Chromium " + browser.capabilities["browserVersion"]
            for name, data in pages.items():
                result["pages"][name] = measured(data, browser, Path(folder), rounds)
        finally:
            browser.quit()
    result["layout"] = layout(rounds)
    write(__file__, result)


def perceptrons(depth: int) -> dict[str, Page]:
    """Diagnose, ask, rewire and watch one plain net."""
    torch.manual_seed(0)
    inner = [m for _ in range(depth - 2) for m in (nn.Linear(32, 32), nn.Tanh())]
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), *inner, nn.Linear(32, 4))
    x, y = torch.randn(32, 16), torch.randint(4, (32,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    diagnosis = skipway.diagnose(model, (x, y), F.cross_entropy, optimizer=optimizer)
    rewiring = skipway.rewire(model, x, diagnosis=diagnosis)
    asked = diagnosis.what_if(skip=rewiring.plan.skips)
    with skipway.watch(model, optimizer, every=1, notify=lambda _: None) as watch:
        for _ in range(60):
            optimizer.zero_grad()
            watch.loss(F.cross_entropy(model(x), y)).backward()
            optimizer.step()
        watched = watch.diagnosis()
    named = {"diagnosed": diagnosis, "asked": asked, "rewired": rewiring, "watched": watched}
    return {f"{depth:,} layers, {what}": each.to_dict() for what, each in named.items()}


def resnet() -> dict[str, Page]:
    torch.manual_seed(0)
    batch = torch.randn(2, 3, 32, 32), torch.randint(1000, (2,))
    found = skipway.diagnose(models.resnet152(), batch, F.cross_entropy)
    return {"resnet152, diagnosed": found.to_dict()}


def opened_browser(folder: str) -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                 "disable-background-networking", "window-size=1280,1000",
                 f"user-data-dir={folder}/profile"):  # fmt: skip
        options.add_argument(f"--{flag}")
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def measured(data: Page, browser: Any, folder: Path, rounds: int) -> dict[str, Any]:
    text = report.page(data)
    written, opened, painted, folds = [], [], [], []
    for turn in range(rounds):
        start = time.perf_counter()
        report.page(data)
        written.append(time.perf_counter() - start)
        place = folder / f"page-{turn}.html"
        place.write_text(text, encoding="utf-8")
        browser.switch_to.new_window("tab")
        browser.get(place.as_uri())
        ready, paint, _ = browser.execute_async_script(OPENED)
        opened.append(ready)
        painted.append(paint)
        folds.append(browser.execute_async_script(FOLD))
        browser.close()
        browser.switch_to.window(browser.window_handles[0])
    made = {
        "kilobytes": round(len(text.encode()) / 1e3, 1),
        "written in, s": round(statistics.median(written), 3),
        "opened in, ms": [round(statistics.median(opened)), round(max(opened))],
        "first paint, ms": [round(statistics.median(painted)), round(max(painted))],
    }
    if folds[0] is not None:
        made["a fold opens in, ms"] = round(statistics.median(folds))
    return made


def layout(rounds: int) -> dict[str, float]:
    """Return milliseconds for one layer of pages of growing length."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(500)))
    batch = torch.randn(8, 8), torch.randn(8, 8)
    found = skipway.diagnose(model, batch, F.mse_loss).to_dict()
    times: dict[str, float] = {}
    for copies in (1, 2, 4, 8):
        layers = [
            {**layer, "name": f"part{part}.{layer['name']}"}
            for part in range(copies)
            for layer in found["layers"]
        ]
        names = [layer["name"] for layer in layers]
        # Skips across every two layers, and one across every hundred: lanes inside lanes.
        skips = [
            {
                "kind": "identity",
                "source": names[at],
                "destination": names[at + step],
                "merge": "add",
            }
            for step in (2, 100)
            for at in range(0, len(names) - step, step)
        ]
        data = {**found, "layers": layers, "skips": skips, "place": names[0]}
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            report.page(data)
            seconds.append(time.perf_counter() - start)
        times[f"{len(layers):,} layers"] = round(1e3 * statistics.median(seconds) / len(layers), 3)
    return times


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
