// The fleet's shared scale around zero: linear, or symmetric-logarithmic when the nodes differ wildly.

import { h } from "./dom.js";
import { tickLabel } from "./format.js";

const WILDLY = 60;
/** Width of the drawing of a scale, in its own units, and the margin kept at either end. */
export const WIDTH = 300;
const MARGIN = 6;

/** Where a value of the scale is drawn. */
export function x(scale, seconds) {
  return WIDTH / 2 + scale.place(seconds) * (WIDTH / 2 - MARGIN);
}

/** The scale's labels; `every` tick or only the ends and zero. */
export function labels(scale, every) {
  const shown = scale.ticks.filter((tick, i) => every || tick === 0 || i === 0 || i === scale.ticks.length - 1);
  return h("div", { class: "ticks", "aria-hidden": "true" }, shown.map((tick) => {
    const label = h("span", {}, tickLabel(tick));
    label.style.left = `${(100 * x(scale, tick)) / WIDTH}%`;
    return label;
  }));
}

function niceCeil(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value * 0.999) * power;
}

/**
 * A scale for intervals given as [lower, upper] seconds: `place(s)` is −1…1 (clamped), `ticks` are
 * seconds, `kind` is linear or symlog. The limit, if known, is kept in view when it is near.
 */
export function sharedScale(intervals, limit) {
  const sizes = intervals.map(([low, high]) => Math.max(Math.abs(low), Math.abs(high))).filter((size) => size > 0);
  sizes.sort((a, b) => a - b);
  if (sizes.length === 0) sizes.push(limit ?? 1e-3);
  const largest = sizes[sizes.length - 1];
  const typical = sizes[Math.floor(sizes.length / 4)];
  if (largest <= typical * WILDLY) {
    const shown = limit !== null && limit > largest && limit < largest * 4 ? limit : largest;
    const end = niceCeil(shown * 1.04);
    return {
      kind: "linear",
      end,
      ticks: [-end, -end / 2, 0, end / 2, end],
      place: (seconds) => Math.max(-1, Math.min(1, seconds / end)),
    };
  }
  const core = 10 ** Math.floor(Math.log10(sizes[0]));
  const end = 10 ** Math.ceil(Math.log10(Math.max(largest, limit ?? 0) * 0.999));
  const decades = Math.round(Math.log10(end / core));
  const full = Math.asinh(end / core);
  const place = (seconds) => Math.max(-1, Math.min(1, Math.asinh(seconds / core) / full));
  const every = Math.max(1, Math.ceil(decades / 2));
  const side = [];
  for (let d = decades; d > 0; d -= every) side.push(core * 10 ** d);
  return { kind: "symlog", end, ticks: [...side.map((t) => -t), 0, ...side.reverse()], place };
}
