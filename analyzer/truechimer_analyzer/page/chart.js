// uPlot with what every chart here shares: size, theme, gaps, readout, description, keyboard.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h } from "./dom.js";
import { ink } from "./palette.js";
import { utcTime, unitFor } from "./format.js";

const FONT = "12px system-ui, sans-serif";

/** Axis options in the page's colours. */
export function axis(options) {
  return {
    stroke: ink("muted"),
    font: FONT,
    grid: { stroke: ink("grid"), width: 1 },
    ticks: { stroke: ink("grid"), width: 1, size: 4 },
    ...options,
  };
}

/** A time axis in UTC; the date is added when the window is longer than a day. */
export function timeAxis() {
  return axis({
    size: 30,
    space: 90,
    values: (u, splits) => {
      const range = u.scales.x.max - u.scales.x.min;
      return splits.map((at) => {
        if (range > 86400 * 1.2) return `${new Date(at * 1000).toISOString().slice(5, 10)} ${utcTime(at).slice(0, 5)}`;
        return range > 600 ? utcTime(at).slice(0, 5) : utcTime(at);
      });
    },
  });
}

// uPlot counts time in milliseconds: below that its ticks never end.
const NARROWEST_S = 0.05;

/**
 * The range of a chart's time axis: its data up to the answer's own instant, at least `least_s` wide;
 * what the reader chose while zoomed. (uPlot makes years of a single point.)
 */
export function timeRange(chart, least_s) {
  return (u, low, high) => {
    if (chart.zoomed) return [low, Math.max(high, low + NARROWEST_S)];
    const times = u.data[0];
    if (times.length === 0) return [0, 1];
    const last = times[times.length - 1];
    const { asOf } = chart.state;
    const end = asOf === null ? last : Math.max(last, Math.min(asOf, last + 120));
    return [Math.min(times[0], end - least_s), end];
  };
}

/** Labels of durations on an axis, all in the unit of the largest. */
export function durationLabels(u, splits) {
  const known = splits.filter((value) => value !== null);
  const [factor, unit] = unitFor(Math.max(...known.map(Math.abs), 1e-9));
  const step = known.length > 1 ? Math.abs(known[1] - known[0]) / factor : 1;
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return splits.map((value) => {
    if (value === null) return null;
    return value === 0 ? "0" : `${value > 0 ? "+" : "−"}${Math.abs(value / factor).toFixed(digits)} ${unit}`;
  });
}

/** One chart in a container: made anew when its make-up (`signature`) or the theme changes. */
export class Chart {
  constructor(container) {
    this.container = container;
    this.plot = undefined;
    this.signature = undefined;
    this.zoomed = false;
    this.picture = h("div", { class: "picture", role: "img", tabindex: "0" });
    this.readout = h("p", { class: "readout" });
    this.note = h("p", { class: "empty", hidden: true });
    container.replaceChildren(this.picture, this.readout, this.note);
    this.picture.addEventListener("keydown", (event) => this.walk(event));
    this.picture.addEventListener("dblclick", () => { this.zoomed = false; });
    new ResizeObserver(() => this.resize()).observe(container);
  }

  /** Say why there is nothing to draw. */
  empty(reason) {
    this.forget();
    this.picture.hidden = true;
    this.readout.textContent = "";
    this.note.hidden = false;
    this.note.textContent = reason;
  }

  /** Draw: `options(u)` is uPlot's without size; `describe` is for screen readers, `read(index)` the readout. */
  draw({ signature, options, data, describe, read, hint = "" }) {
    this.picture.hidden = false;
    this.note.hidden = true;
    this.picture.setAttribute("aria-label", describe);
    this.read = read;
    this.hint = hint;
    if (this.plot !== undefined && this.signature === signature) {
      if (this.zoomed) this.plot.setData(data, false);
      else this.plot.setData(data);
      if (this.zoomed) this.plot.redraw(true, false);
      this.tell(this.plot);
      return;
    }
    this.forget();
    this.signature = signature;
    const given = options();
    this.plot = new uPlot({
      ...given,
      width: this.width(),
      height: given.height ?? 260,
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: true, y: false, setScale: true }, ...given.cursor },
      hooks: {
        ...given.hooks,
        setCursor: [(u) => this.tell(u)],
        setSelect: [(u) => { if (u.select.width > 0) this.zoomed = true; }],
      },
    }, data, this.picture);
    this.tell(this.plot);
  }

  tell(u) {
    const index = u.cursor.idx;
    const said = index === null || index === undefined ? "" : this.read(index, u);
    this.readout.textContent = said || this.hint;
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20 }[event.key];
    if (step === undefined || this.plot === undefined) return;
    const xs = this.plot.data[0];
    const from = this.plot.cursor.idx ?? (step > 0 ? -1 : xs.length);
    const to = Math.max(0, Math.min(xs.length - 1, from + step));
    this.plot.setCursor({ left: this.plot.valToPos(xs[to], "x"), top: this.plot.bbox.height / 2 / devicePixelRatio });
    event.preventDefault();
  }

  width() {
    return Math.max(200, Math.floor(this.container.clientWidth));
  }

  resize() {
    if (this.plot !== undefined && this.width() !== this.plot.width) this.plot.setSize({ width: this.width(), height: this.plot.height });
  }

  /** Drop the drawing; the next draw makes it anew (after a change of theme). */
  forget() {
    this.plot?.destroy();
    this.plot = undefined;
    this.signature = undefined;
    this.zoomed = false;
  }
}
