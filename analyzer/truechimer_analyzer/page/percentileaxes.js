// The axes of percentile charts (HdrHistogram's way): x is log10(1 / exceedance), y a duration; and their lines' marks.

import { axis } from "./chart.js";
import { s } from "./dom.js";
import { duration } from "./format.js";
import { lineStyle } from "./palette.js";

const MOST_NINES = 20;

function nines(x) {
  if (x === 0) return "0 %";
  const shown = 100 * (1 - 10 ** -x);
  return `${shown.toFixed(Math.max(0, Math.round(x) - 2))} %`;
}

/** Ticks at 1, 2, 5 of each power of ten. (uPlot's own never end where a scale begins just below such a power.) */
export function logTicks(u) {
  const { min, max } = u.scales.y;
  if (!(min > 0 && Number.isFinite(max))) return []; // nothing is drawn yet: the loop would not end
  const steps = max / min > 300 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    ticks.push(...steps.map((step) => Number(`${step}e${power}`)).filter((tick) => tick >= min && tick <= max));
  }
  return ticks;
}

/** A logarithmic scale with room around its values; without any, from a millisecond to a second. */
export function logRange(u, low, high) {
  return low > 0 ? [low / 1.4, high * 1.4] : [1e-3, 1];
}

function wholes(u) {
  const { max } = u.scales.x;
  return Array.from({ length: Number.isFinite(max) && max > 0 ? Math.min(Math.floor(max), MOST_NINES) + 1 : 0 }, (_, i) => i);
}

/** uPlot's scales and axes. */
export function percentileAxes() {
  return {
    scales: {
      x: { time: false, range: (u, low, high) => [0, Math.max(1, high)] },
      y: { distr: 3, log: 10, range: logRange },
    },
    axes: [
      axis({ size: 30, splits: wholes, values: (u, splits) => splits.map(nines) }),
      axis({ size: 70, splits: logTicks, filter: (u, splits) => splits, values: (u, splits) => splits.map((v) => duration(v, 1)) }),
    ],
  };
}

/** `p of n within`: what x stands for. */
export function within(x) {
  return `${(100 * (1 - 10 ** -x)).toFixed(Math.max(1, Math.ceil(x)))} % within`;
}

/** Points of a curve, [exceedance, seconds], as [x, seconds] with x ascending; `n` values are the rarest they can speak of. */
export function curvePoints(pairs, n) {
  return pairs
    .filter(([exceedance, value]) => exceedance !== null && exceedance > 0 && exceedance <= 1 && value !== null && value > 0)
    // One in n is the rarest that n values can speak of: the longest of them stands there.
    .map(([exceedance, value]) => [Math.log10(1 / (n ? Math.max(exceedance, 1 / n) : exceedance)), value])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1])
    .filter((point, i, all) => i === all.length - 1 || point[0] < all[i + 1][0] - 1e-9);
}

/** The nth line's mark for a legend. */
export function lineMark(index) {
  const { colour, dash } = lineStyle(index);
  return s("svg", { class: "mark", viewBox: "0 0 24 10", width: 24, height: 10, "aria-hidden": "true" },
    s("line", { class: `${colour} stroked`, x1: 0, x2: 24, y1: 5, y2: 5, "stroke-dasharray": dash.join(" ") || null }));
}
