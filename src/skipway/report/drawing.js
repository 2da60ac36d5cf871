"use strict";
// The drawing of the whole network: closer, aside, and a click that finds the layer in the table.
(() => {
  const map = document.getElementById("drawing");
  const pitch = +map.dataset.pitch, count = +map.dataset.count, spine = +map.dataset.spine;
  const pictures = [...map.querySelectorAll("svg")];
  const boxes = pictures.map(svg => svg.getAttribute("viewBox"));
  const content = pictures.map(svg => svg.querySelector(".all"));
  const most = Math.max(4, 28 / pitch);
  // A finger that goes up or down scrolls the page; one that goes aside is followed below.
  const touches = ["touchstart", "touchmove", "touchend", "touchleave", "touchcancel"];
  let views = [], busy = false, wasNear = false;

  // Bars keep their height and their place under the spine, however close one is; what is near has
  // more room, for the arcs above it.
  function steady() {
    const zoom = views[0].getZoom(), near = zoom > 1.01;
    pictures.forEach(svg => {
      const bars = svg.querySelector(".bars");
      bars?.setAttribute("transform", `translate(0 ${+bars.dataset.under + bars.dataset.gap / zoom}) scale(1 ${1 / zoom})`);
    });
    if (map.classList.toggle("near", near) === wasNear) return;
    wasNear = near;
    views.forEach(view => view.resize());
  }

  // What is done to one side is done to the other: they stay one above the other.
  function together(view, act) {
    if (busy) return;
    busy = true;
    views.filter(each => each !== view).forEach(act);
    steady();
    busy = false;
  }

  // The drawing never leaves its frame, and its spine stays in sight.
  function within(view, old, wanted) {
    const { width, height, viewBox, realZoom } = view.getSizes();
    const x = Math.min(0, Math.max(width - viewBox.width * realZoom, wanted.x));
    if (view.getZoom() <= 1.01) return { x, y: 0 };
    const at = spine * realZoom;
    return { x, y: Math.min(height - 24 - at, Math.max(24 - at, wanted.y)) };
  }

  // A frame that is not shown has no width, and a drawing in it no scale: it begins when it is.
  function begin() {
    if (!map.clientWidth) return;
    views = pictures.map((svg, at) => {
      const view = svgPanZoom(svg, {
        viewportSelector: content[at], fit: true, center: false, minZoom: 1, maxZoom: most,
        zoomScaleSensitivity: .35, dblClickZoomEnabled: false, mouseWheelZoomEnabled: false,
        customEventsHandler: { haltEventListeners: touches, init() {}, destroy() {} },
        beforePan(old, wanted) { return within(this, old, wanted); },
        onZoom(zoom) { together(this, each => { each.zoom(zoom); each.pan(this.getPan()); }); },
        onPan(place) { together(this, each => each.pan(place)); },
      });
      return view;
    });
  }

  function whole() {
    views.forEach(view => view.resetZoom());
    views.forEach(view => view.pan({ x: 0, y: 0 }));
  }

  // On paper the drawing is whole, in whatever width the paper has.
  function still() {
    whole();
    views.forEach(view => view.destroy());
    views = [];
    wasNear = false;
    map.classList.remove("near");
    pictures.forEach((svg, at) => {
      svg.setAttribute("viewBox", boxes[at]);
      content[at].removeAttribute("transform");
      content[at].removeAttribute("style");
    });
  }

  function zoom(step) {
    if (!views.length) return undefined;
    if (step === "all") return whole();
    // Closer to the layer that is selected, with its arcs above the spine.
    const view = views[0], now = view.getZoom(), { realZoom } = view.getSizes(), place = view.getPan();
    const next = Math.min(most, Math.max(1, step === "in" ? 2 * now : now / 2));
    const here = (+map.querySelector(".here").getAttribute("x") + pitch / 2) * realZoom;
    const kept = here + place.x;
    view.zoom(next);
    view.pan({ x: kept - here * next / now, y: 96 - spine * realZoom * next / now });
    return undefined;
  }

  document.addEventListener("layer", event => {
    const x = event.detail * pitch;
    map.querySelectorAll(".here").forEach(here => here.setAttribute("x", x));
    if (event.detail === pointed || !views.length) return;
    const { realZoom, width } = views[0].getSizes(), place = views[0].getPan();
    const left = x * realZoom + place.x;
    if (left < 0 || left + pitch * realZoom > width) views[0].pan({ x: width / 2 - x * realZoom, y: place.y });
  });

  function at(event, picture) {
    const seen = new DOMPoint(event.clientX, event.clientY);
    return Math.floor(seen.matrixTransform(content[picture].getScreenCTM().inverse()).x / pitch);
  }
  function point(layer, chosen) {
    if (layer < 0 || layer >= count) return;
    pointed = layer;
    document.dispatchEvent(new CustomEvent("point", { detail: { layer, chosen } }));
  }
  let down = null, pointed = -1, finger = 0;
  pictures.forEach((svg, picture) => {
    svg.addEventListener("pointerdown", event => {
      down = [event.clientX, event.clientY];
      finger = event.clientX;
    });
    svg.addEventListener("pointermove", event => {
      if (event.pointerType === "touch" && down) {
        views[picture].panBy({ x: event.clientX - finger, y: 0 });
        finger = event.clientX;
      }
      if (!event.buttons && at(event, picture) !== pointed) point(at(event, picture), false);
    });
    svg.addEventListener("click", event => {
      if (!down || Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 4) return;
      point(at(event, picture), true);
      map.focus({ preventScroll: true });
    });
  });

  // The wheel scrolls the page until one has clicked into the drawing.
  map.addEventListener("focus", () => views.forEach(view => view.enableMouseWheelZoom()));
  map.addEventListener("blur", () => views.forEach(view => view.disableMouseWheelZoom()));
  map.addEventListener("keydown", event => {
    if (event.target !== map) return;
    const keys = { "+": "in", "=": "in", "-": "out", "0": "all" };
    const steps = { ArrowLeft: 80, ArrowRight: -80 };
    if (event.key in keys) zoom(keys[event.key]);
    else if (event.key in steps) views[0]?.panBy({ x: steps[event.key], y: 0 });
    else return;
    event.preventDefault();
  });
  map.querySelectorAll("[data-zoom]").forEach(button => {
    button.addEventListener("click", () => zoom(button.dataset.zoom));
  });

  // Without a table of numbers beside it, the drawing itself says what it knows of a layer.
  const ways = document.getElementById("ways"), way = document.getElementById("way");
  if (ways) {
    const told = JSON.parse(ways.textContent);
    way.hidden = false;
    way.textContent = told[0];
    document.addEventListener("point", ({ detail: { layer } }) => {
      way.textContent = told[layer];
      document.dispatchEvent(new CustomEvent("layer", { detail: layer }));
    });
  }

  map.tabIndex = 0;
  map.querySelector(".tools").hidden = false;
  map.setAttribute("aria-label", map.getAttribute("aria-label") + ". Plus and minus go closer and further away, arrows move.");
  begin();
  let width = map.clientWidth; // a phone changes its height whenever its address bar comes or goes
  addEventListener("resize", () => {
    if (!map.clientWidth || map.clientWidth === width) return;
    width = map.clientWidth;
    still();
    begin();
  });
  addEventListener("beforeprint", still);
  addEventListener("afterprint", begin);
})();
