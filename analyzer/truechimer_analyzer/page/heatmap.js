// A heatmap of nodes × nodes on a canvas: colours from the style sheet, marks, a keyboard and words for each cell.

import { h, s } from "./dom.js";
import { ink } from "./palette.js";

const LEAST_CELL = 6;
const MOST_CELL = 30;
const LEAST_LABEL = 11;
const SHADES = 6;
const LONGEST_NAME = 150;
const FONT = "11px system-ui, sans-serif";
const PAGE = 10;

function channels(colour) {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

/** The colour at 0…1 of the page's sequential scale, which is ordered by lightness alone. */
function shades() {
  const stops = Array.from({ length: SHADES }, (_, i) => channels(ink(`heat-${i + 1}`)));
  return (share) => {
    const at = Math.max(0, Math.min(1, share)) * (SHADES - 1);
    const from = Math.min(SHADES - 2, Math.floor(at));
    const mixed = stops[from].map((value, i) => Math.round(value + (stops[from + 1][i] - value) * (at - from)));
    return { colour: `rgb(${mixed.join(" ")})`, dark: mixed[0] * 0.3 + mixed[1] * 0.6 + mixed[2] * 0.1 < 128 };
  };
}

/**
 * A logarithmic scale over the positive ones of these values: {least, greatest, place(value) → 0…1}, a decade
 * at least, so that figures that are alike look alike; null without any.
 */
export function logScale(values) {
  let least = Infinity;
  let greatest = 0;
  for (const value of values) {
    if (value === null || !(value > 0)) continue;
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  if (greatest === 0) return null;
  const spread = Math.max(1, Math.sqrt((10 * least) / greatest));
  [least, greatest] = [least / spread, greatest * spread];
  const width = Math.log(greatest / least);
  return { least, greatest, place: (value) => Math.max(0, Math.log(value / least) / width) };
}

/** The scale's colours as a picture between the words for its ends. */
export function scaleLegend(least, greatest) {
  const steps = Array.from({ length: SHADES * 4 }, (_, i) => i);
  const shade = shades();
  return h("li", {}, least, s("svg", { class: "mark", viewBox: `0 0 ${steps.length * 5} 10`, width: steps.length * 5, height: 10, "aria-hidden": "true" },
    steps.map((i) => s("rect", { x: i * 5, y: 0, width: 5.2, height: 10, fill: shade(i / (steps.length - 1)).colour }))), greatest);
}

/** One heatmap in a container. `choose(row, column)` is called for a click or Enter. */
export class Heatmap {
  constructor(container, choose) {
    this.choose = choose;
    this.state = undefined;
    this.at = undefined;
    this.turn = 0;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.words = h("div", { class: "hidden" });
    this.grid = h("div", { class: "heat-grid", role: "grid", tabindex: "0", "aria-describedby": "mesh-keys" }, this.canvas, this.words);
    this.scroll = h("div", { class: "heat-scroll" }, this.grid);
    this.readout = h("p", { class: "readout heat-readout" });
    this.note = h("p", { class: "empty", hidden: true });
    container.replaceChildren(this.scroll, this.readout, this.note);
    this.grid.addEventListener("keydown", (event) => this.walk(event));
    this.grid.addEventListener("focus", () => { if (this.state) this.go(...(this.at ?? [0, this.state.names.length > 1 ? 1 : 0])); });
    this.grid.addEventListener("blur", () => this.paint());
    this.canvas.addEventListener("mousemove", (event) => { const at = this.under(event); if (at) this.go(...at, false); });
    this.canvas.addEventListener("click", (event) => { const at = this.under(event); if (at) { this.go(...at); this.choose(...at); } });
    new ResizeObserver(() => { if (this.state && this.width !== container.clientWidth) this.paint(); }).observe(container);
    this.container = container;
  }

  /** Say why there is nothing to draw. */
  empty(reason) {
    this.state = undefined;
    this.scroll.hidden = true;
    this.readout.textContent = "";
    this.note.hidden = false;
    this.note.textContent = reason;
  }

  /**
   * Draw `names` × `names`: `cell(i, j)` is {share: 0…1 or null (nothing known), mark: "", "✕", "?"}, `say(i, j)`
   * its words, `chosen` [i, j] or undefined.
   */
  draw(state) {
    const before = this.state;
    if (before && this.at) {
      const kept = this.at.map((index) => state.names.indexOf(before.names[index]));
      this.at = kept.includes(-1) ? undefined : kept;
    }
    this.state = state;
    this.scroll.hidden = false;
    this.note.hidden = true;
    this.grid.setAttribute("aria-label", state.describe);
    this.grid.setAttribute("aria-rowcount", state.names.length);
    this.grid.setAttribute("aria-colcount", state.names.length);
    this.paint();
    if (this.at) this.tell();
    else this.readout.textContent = state.hint;
  }

  layout() {
    const { names } = this.state;
    this.width = this.container.clientWidth;
    const { ctx } = this;
    ctx.font = FONT;
    const longest = Math.min(LONGEST_NAME, Math.ceil(Math.max(...names.map((name) => ctx.measureText(name).width)))) + 10;
    const cell = Math.max(LEAST_CELL, Math.min(MOST_CELL, Math.floor((this.width - longest - 2) / names.length)));
    return { left: longest, top: longest, cell };
  }

  paint() {
    if (!this.state) return;
    this.ctx = this.canvas.getContext("2d");
    const { names, cell: of, chosen } = this.state;
    this.box = this.layout();
    const { left, top, cell } = this.box;
    const px = devicePixelRatio;
    const [width, height] = [left + cell * names.length + 2, top + cell * names.length + 2];
    this.canvas.width = width * px;
    this.canvas.height = height * px;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const { ctx } = this;
    ctx.scale(px, px);
    const gap = cell >= 10 ? 1 : 0;
    const shade = shades();
    const [none, line, surface] = [ink("none-soft"), ink("muted"), ink("surface")];
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.font = `600 ${Math.min(13, cell - 2)}px system-ui, sans-serif`;
    for (let i = 0; i < names.length; i++) {
      for (let j = 0; j < names.length; j++) {
        if (i === j) continue;
        const { share, mark } = of(i, j);
        const [x, y, size] = [left + j * cell, top + i * cell, cell - gap];
        const shown = share === null ? null : shade(share);
        ctx.fillStyle = shown ? shown.colour : none;
        ctx.fillRect(x, y, size, size);
        if (shown === null) this.strike(x, y, size, line);
        else if (mark && cell >= 9) {
          ctx.fillStyle = shown.dark ? "#ffffff" : "#10161c";
          ctx.fillText(mark, x + size / 2, y + size / 2 + 0.5);
        } else if (mark) {
          ctx.fillStyle = mark === "✕" ? ink("bar-bad") : surface;
          ctx.fillRect(x + size / 4, y + size / 4, size / 2, size / 2);
        }
      }
    }
    this.labels();
    if (chosen) this.outline(...chosen, ink("accent"), 2);
    if (this.at) {
      // Two lines, so that one of them differs from the cell.
      this.outline(...this.at, ink("surface"), 5);
      this.outline(...this.at, ink("ink"), document.activeElement === this.grid ? 2.5 : 1.2);
    }
  }

  /** Nothing known: a line across, so that it is no colour of the scale. */
  strike(x, y, size, colour) {
    const { ctx } = this;
    ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(x + 1, y + size - 1);
    ctx.lineTo(x + size - 1, y + 1);
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  labels() {
    const { ctx, box: { left, top, cell }, state: { names } } = this;
    const every = Math.max(1, Math.ceil(LEAST_LABEL / cell));
    ctx.font = FONT;
    for (let i = 0; i < names.length; i += every) {
      const here = this.at?.[0] === i;
      const there = this.at?.[1] === i;
      const name = this.fit(names[i], left - 8);
      ctx.fillStyle = ink(here ? "ink" : "muted");
      ctx.textAlign = "right";
      ctx.fillText(name, left - 5, top + (i + 0.5) * cell);
      ctx.save();
      ctx.fillStyle = ink(there ? "ink" : "muted");
      ctx.translate(left + (i + 0.5) * cell, top - 5);
      ctx.rotate(-Math.PI / 2);
      ctx.textAlign = "left";
      ctx.fillText(name, 0, 0);
      ctx.restore();
    }
  }

  fit(name, width) {
    const { ctx } = this;
    if (ctx.measureText(name).width <= width) return name;
    let kept = name;
    while (kept.length > 1 && ctx.measureText(`${kept}…`).width > width) kept = kept.slice(0, -1);
    return `${kept}…`;
  }

  outline(i, j, colour, width) {
    const { ctx, box: { left, top, cell } } = this;
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.strokeRect(left + j * cell - 0.5, top + i * cell - 0.5, cell, cell);
  }

  under(event) {
    if (!this.state) return undefined;
    const { left, top, cell } = this.box;
    const at = [Math.floor((event.offsetY - top) / cell), Math.floor((event.offsetX - left) / cell)];
    return at.every((index) => index >= 0 && index < this.state.names.length) ? at : undefined;
  }

  walk(event) {
    if (!this.state) return;
    const last = this.state.names.length - 1;
    const [i, j] = this.at ?? [0, 0];
    const to = {
      ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1],
      PageUp: [i - PAGE, j], PageDown: [i + PAGE, j], Home: event.ctrlKey ? [0, 0] : [i, 0], End: event.ctrlKey ? [last, last] : [i, last],
    }[event.key];
    if (to) this.go(...to.map((index) => Math.max(0, Math.min(last, index))));
    else if (event.key === "Enter" || event.key === " ") this.choose(i, j);
    else return;
    event.preventDefault();
  }

  go(i, j, spoken = true) {
    if (this.at?.[0] === i && this.at[1] === j && this.words.childElementCount > 0) return;
    this.at = [i, j];
    this.paint();
    this.tell();
    if (spoken) this.reveal(i, j);
  }

  /** The words of the cell, on the page and as the grid's active cell. */
  tell() {
    const [i, j] = this.at;
    const words = this.state.say(i, j);
    this.readout.textContent = words;
    const shown = this.words.querySelector("[role=gridcell]");
    if (shown && shown.textContent === words) return;
    // Another element each time: a reader that knows the active cell does not read it again.
    this.turn = 1 - this.turn;
    const id = `heat-cell-${this.turn}`;
    this.words.replaceChildren(h("div", { role: "row", "aria-rowindex": i + 1 }, h("div", { role: "gridcell", id, "aria-colindex": j + 1 }, words)));
    this.grid.setAttribute("aria-activedescendant", id);
  }

  /** Scroll the cell into sight, with some of its neighbours. */
  reveal(i, j) {
    const { left, top, cell } = this.box;
    const { scroll } = this;
    const [x, y] = [left + j * cell, top + i * cell];
    if (x - left < scroll.scrollLeft) scroll.scrollLeft = Math.max(0, x - left);
    if (x + 2 * cell > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x + 2 * cell - scroll.clientWidth;
    if (y - top < scroll.scrollTop) scroll.scrollTop = Math.max(0, y - top);
    if (y + 2 * cell > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = y + 2 * cell - scroll.clientHeight;
  }
}
