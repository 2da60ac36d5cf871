"use strict";
(() => {
  const spine = document.querySelector(".spine");
  if (spine) {
    const { strings, rows, inner } = JSON.parse(document.getElementById("layers").textContent);
    const card = document.getElementById("card");
    const body = spine.tBodies[0];
    const layers = new Map([...body.querySelectorAll("tr[data-i]")].map(row => [+row.dataset.i, row]));
    const visible = () => [...body.rows].filter(row => !row.hidden);
    let stop = body.querySelector("[aria-selected]");

    // The grid is one tab stop: the row that was last reached.
    function reach(row) {
      if (stop) stop.tabIndex = -1;
      stop = row;
      row.tabIndex = 0;
    }

    function select(row) {
      reach(row);
      if (!row.dataset.i) return;
      body.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
      row.setAttribute("aria-selected", "true");
      show(+row.dataset.i);
    }

    function show(layer) {
      const [name, type, words, why, skips, whatIf, ...numbers] = rows[layer].map(at => strings[at]);
      card.querySelector("h3").textContent = name;
      card.querySelector(".type").textContent = type;
      card.querySelector(".words").textContent = words;
      card.querySelector(".why").textContent = why;
      card.querySelector(".skips").textContent = skips;
      card.querySelector(".whatif").textContent = whatIf;
      card.querySelectorAll("tbody td").forEach((cell, at) => { cell.textContent = numbers[at]; });
      document.dispatchEvent(new CustomEvent("layer", { detail: layer }));
    }

    // Rows inside a fold are built from the data when it is first opened, after a row in sight.
    function build(at, pattern) {
      const row = pattern.cloneNode(true);
      const [name, title, ...cells] = inner[at].map(index => strings[index]);
      const head = row.querySelector("th");
      row.dataset.i = at;
      row.tabIndex = -1;
      row.removeAttribute("aria-selected");
      row.setAttribute("aria-level", 2);
      row.querySelectorAll("em, .dim").forEach(each => each.remove());
      head.textContent = name;
      head.title = title;
      row.querySelectorAll(".pl").forEach((plot, side) => {
        const [lane, state, width, word, number, said] = cells.slice(6 * side, 6 * side + 6);
        const bar = plot.querySelector("i"), sum = plot.nextElementSibling;
        plot.previousElementSibling.querySelector("use").setAttribute("href", "#" + lane);
        bar.className = state;
        bar.style.width = (width || 0) + "%";
        if (word) {
          plot.append(document.createElement("em"));
          plot.lastChild.className = state;
          plot.lastChild.textContent = word;
        }
        sum.firstChild.data = number || " ";
        sum.querySelector(".vh").textContent = " " + said;
      });
      return row;
    }

    function open(fold, wanted) {
      fold.setAttribute("aria-expanded", wanted);
      const pattern = body.querySelector("tr[data-i]");
      const made = [];
      for (let at = +fold.dataset.from; at < +fold.dataset.to; at++) {
        if (!layers.has(at)) {
          layers.set(at, build(at, pattern));
          made.push(layers.get(at));
        }
        layers.get(at).hidden = !wanted;
      }
      fold.after(...made);
    }
    const isOpen = fold => fold.getAttribute("aria-expanded") === "true";
    const foldAround = row => [...body.querySelectorAll(".fold")].find(
      fold => +row.dataset.i >= +fold.dataset.from && +row.dataset.i < +fold.dataset.to);

    // What is pointed at in the drawing: its numbers; a click opens the fold that it is in.
    document.addEventListener("point", ({ detail: { layer, chosen } }) => {
      const hidden = !layers.has(layer) || layers.get(layer).hidden;
      const fold = hidden && chosen && [...body.querySelectorAll(".fold")].find(
        each => layer >= +each.dataset.from && layer < +each.dataset.to);
      if (fold) open(fold, true);
      if (!hidden || fold) select(layers.get(layer));
      else show(layer);
    });

    // Rows that scroll under a resting pointer are not pointed at.
    let pointer = "";
    body.addEventListener("mouseover", event => {
      const here = `${event.clientX} ${event.clientY}`;
      const row = event.target.closest("tr[data-i]");
      if (row && here !== pointer) select(row);
      pointer = here;
    });
    document.addEventListener("mousemove", event => { pointer = `${event.clientX} ${event.clientY}`; });
    body.addEventListener("focusin", event => select(event.target.closest("tr")));
    body.addEventListener("click", event => {
      if (event.target.closest("a")) return;
      const row = event.target.closest("tr");
      if (row.classList.contains("fold")) open(row, !isOpen(row));
      select(row);
      row.focus({ preventScroll: true });
    });
    body.addEventListener("keydown", event => {
      const row = event.target.closest("tr"), shown = visible(), at = shown.indexOf(row);
      const fold = row.classList.contains("fold");
      const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 };
      let goal = shown[steps[event.key]];
      if (event.target.closest("a")) return;
      if (fold && ["Enter", " "].includes(event.key)) open(row, !isOpen(row));
      else if (event.key === "ArrowRight" && fold) open(row, true);
      else if (event.key === "ArrowLeft" && fold) open(row, false);
      else if (event.key === "ArrowLeft" && foldAround(row)) {
        goal = foldAround(row);
        open(goal, false);
      } else if (event.key === "Enter") {
        const flag = row.querySelector("a");
        if (flag) flag.click();
        return;
      } else if (!(event.key in steps)) return;
      event.preventDefault();
      if (!goal) return;
      reach(goal);
      goal.focus();
    });
  }

  // In the frame of a notebook a link to a part of this page would load the notebook itself.
  document.addEventListener("click", event => {
    const link = event.target.closest('a[href^="#"]');
    const goal = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!goal || location.protocol !== "about:") return;
    event.preventDefault();
    goal.scrollIntoView();
    goal.tabIndex = -1;
    goal.focus({ preventScroll: true });
  });

  const code = button => [...button.closest("div").querySelectorAll(".l")].map(line => line.textContent).join("\n") + "\n";
  document.querySelectorAll("[data-copy], [data-copy-code]").forEach(button => {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy ?? code(button));
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it by hand";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  });
})();
