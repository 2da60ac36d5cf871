"use strict";
// The training curves: what stands still in the page becomes a plot that can be read off.
(() => {
  const { epochs, unit, scales, panels } = JSON.parse(document.getElementById("curves").textContent);
  const group = document.querySelector("#training .smwrap");
  const sync = uPlot.sync("training");
  let plots = [];

  const colour = (pan, name) => {
    const path = pan.querySelector(`svg .${name}`);
    return path ? getComputedStyle(path).stroke : "gray";
  };
  const write = (value, key) => value == null ? "–" : key === "test" && unit ? value.toFixed(1) + " " + unit : value.toPrecision(3);

  function plot(pan) {
    const key = pan.dataset.key, series = panels[+pan.dataset.panel][key];
    const longest = Math.max(1, ...series.map(values => values.length));
    const rows = series.map(values => [...values, ...Array(longest - values.length).fill(null)]);
    const now = document.createElement("span");
    now.className = "now";
    now.setAttribute("aria-hidden", "true");
    const thin = { stroke: colour(pan, "seed"), width: .9, alpha: .62, points: { show: false } };
    const thick = { stroke: colour(pan, "med"), width: 2.2, points: { show: false } };
    const made = new uPlot({
      width: pan.clientWidth, height: pan.clientHeight, padding: [0, 0, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: "training", setSeries: false } },
      scales: { x: { time: false, range: [0, Math.max(epochs, 1)] }, y: { range: scales[key] } },
      axes: [{ show: false }, { show: false }],
      series: [{}, ...rows.map((_, at) => at < rows.length - 1 ? thin : thick)],
      hooks: { setCursor: [u => {
        const at = u.cursor.idx;
        now.textContent = at == null ? "" : `epoch ${at}: ${write(rows[rows.length - 1][at], key)}`;
      }] },
    }, [[...Array(longest).keys()], ...rows], pan);
    pan.classList.add("live");
    pan.append(now);
    return made;
  }

  // A frame that is not shown has no width: the curves are drawn when it has.
  function draw() {
    if (!group.clientWidth) return;
    plots.forEach(each => { each.root.parentNode.querySelector(".now").remove(); each.destroy(); });
    plots = [...group.querySelectorAll(".pan")].map(plot);
  }

  // Arrow keys read the curves off epoch by epoch.
  let at = -1;
  group.tabIndex = 0;
  group.setAttribute("aria-label", "Training curves. Left and right arrows go through the epochs; the same numbers are in the table below them.");
  group.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.target !== group || !step || !plots.length) return;
    at = Math.min(epochs, Math.max(0, at + step));
    plots.forEach(each => each.setCursor({ left: each.valToPos(at, "x"), top: 0 }, false));
    plots.forEach(each => each.hooks.setCursor?.forEach(hook => hook(each)));
    event.preventDefault();
  });

  draw();
  let width = group.clientWidth;
  addEventListener("resize", () => { if (group.clientWidth && group.clientWidth !== width) { width = group.clientWidth; draw(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  void sync;
})();
