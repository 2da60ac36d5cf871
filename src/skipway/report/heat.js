"use strict";
// The map of layers over steps: what stands in a cell, and the curve of the layer pointed at.
(() => {
  const { names, steps, values, loss, frame } = JSON.parse(document.getElementById("steps-data").textContent);
  const [left, top, wide, tall, across] = frame;
  const map = document.querySelector(".heatmap"), svg = map.querySelector("svg");
  const reading = document.getElementById("reading"), lines = document.getElementById("lines");
  // Curves are drawn over exponents: numbers may be 300 decades apart.
  const exponent = value => typeof value === "number" && value > 0 ? Math.log10(value) : null;
  const short = value => typeof value === "string" ? value : value == null ? "not looked at" : value === 0 ? "0"
    : value >= .001 && value < 1e4 ? String(value) : value.toExponential(1).replace("e+", "e").replace("-", "−");
  let row = 0, column = steps.length - 1, plot = null;

  const cell = document.createElementNS(svg.namespaceURI, "rect");
  cell.setAttribute("class", "cell");
  svg.append(cell);

  // The weakest layer at the end is what one looks for first.
  values.forEach((line, at) => {
    const last = line[line.length - 1], known = values[row][line.length - 1];
    if (typeof last === "number" && (typeof known !== "number" || last < known)) row = at;
  });

  function point(nextRow, nextColumn) {
    row = Math.min(names.length - 1, Math.max(0, nextRow));
    column = Math.min(steps.length - 1, Math.max(0, nextColumn));
    for (const [key, value] of [["x", left + column * wide], ["y", top + row * tall], ["width", wide], ["height", tall]]) cell.setAttribute(key, value);
    const at = loss[column] == null ? "" : `, loss ${loss[column]}`;
    reading.textContent = `${names[row]}, step ${steps[column].toLocaleString("en")}${at}: elasticity of the weights ${short(values[row][column])}`;
    if (!plot) return;
    plot.setData([columns, ...behind.map(each => values[each].map(exponent)), values[row].map(exponent)], true);
    plot.setCursor({ left: plot.valToPos(column, "x"), top: 0 }, false);
  }

  const columns = steps.map((_, at) => at);
  const every = Math.ceil(names.length / 40);
  const behind = names.map((_, at) => at).filter(at => at % every === 0);

  // A frame that is not shown has no width: the curve is drawn when it has.
  function draw() {
    if (!svg.getBoundingClientRect().width) return;
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink"), quiet = style.getPropertyValue("--ink3"), grid = style.getPropertyValue("--grid");
    const scale = svg.getBoundingClientRect().width / across;
    const thin = { stroke: quiet, width: .7, alpha: .45, points: { show: false }, spanGaps: true };
    const power = value => "10" + String(value).replace(/./g, sign => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻");
    const [low, high] = values.flat().map(exponent).filter(each => each !== null)
      .reduce(([least, most], each) => [Math.min(least, each), Math.max(most, each)], [0, -400]);
    const span = Math.ceil((high - low) / 6) || 1, first = Math.ceil(low / span);
    const splits = Array.from({ length: 8 }, (_, at) => (first + at) * span).filter(each => each <= high);
    plot = new uPlot({
      width: svg.getBoundingClientRect().width, height: 170, padding: [8, 60 * scale, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [-.5, steps.length - .5] }, y: { range: [low - .04 * (high - low) - .1, high + .1] } },
      axes: [
        { show: false }, // the columns are those of the map above
        { stroke: quiet, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px sans-serif", size: left * scale,
          splits: () => splits, values: (_, shown) => shown.map(power) },
      ],
      series: [{}, ...behind.map(() => thin), { stroke: ink, width: 2, points: { show: false }, spanGaps: true }],
    }, [columns, ...behind.map(each => values[each].map(exponent)), values[row].map(exponent)], lines);
    point(row, column);
  }

  function find(event) {
    const seen = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const atColumn = Math.floor((seen.x - left) / wide), atRow = Math.floor((seen.y - top) / tall);
    if (atColumn >= 0 && atColumn < steps.length && atRow >= 0 && atRow < names.length) point(atRow, atColumn);
  }
  svg.addEventListener("pointermove", find);
  svg.addEventListener("pointerdown", find);
  map.tabIndex = 0;
  map.setAttribute("aria-label", "Map of the layers over the steps. Arrow keys go from cell to cell; the same numbers are in the table below.");
  map.addEventListener("keydown", event => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.target !== map || !step) return;
    point(row + step[0], column + step[1]);
    event.preventDefault();
  });
  // The row selected in the table is the curve drawn here.
  document.addEventListener("layer", event => {
    const at = names.indexOf(document.querySelector("#card h3").textContent);
    if (at >= 0) point(at, column);
  });

  reading.hidden = lines.hidden = false;
  draw();
  let width = svg.getBoundingClientRect().width;
  addEventListener("resize", () => { const now = svg.getBoundingClientRect().width; if (now && now !== width) { width = now; draw(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
