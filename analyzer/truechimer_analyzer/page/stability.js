// One node: ADEV, TDEV and MTIE of its clock's records over τ, side by side on log-log paper.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { Chart, axis } from "./chart.js";
import { byId, h, redraw, s } from "./dom.js";
import { count, duration, percent, span } from "./format.js";
import { ink } from "./palette.js";
import { list, number, object, text } from "./values.js";

/** The records: their names here (deviations have no sign), colour and dash; drawn in this order, the last on top. */
const RECORDS = {
  utc_minus_steady: { name: "oscillator against UTC", colour: "series-3", dash: [2, 3] },
  wall_minus_steady: { name: "wall clock against oscillator", colour: "series-2", dash: [7, 4] },
  utc_minus_wall: { name: "wall clock against UTC", colour: "series-1", dash: [] },
};
const KINDS = {
  adev: { says: "ADEV: how much the mean rate over τ changes from one τ to the next. No unit: 1e−6 is 1 µs a second.", show: ratio },
  tdev: { says: "TDEV: how far time read after τ is off what the readings before foretold, typically.", show: (value) => duration(value) },
  mtie: { says: "MTIE: the most that a clock strayed within any τ. What a lease of length τ must allow: the line against UTC, up to the end of its whisker.", show: (value) => duration(value) },
};
const TAU_TICKS = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000, 864000];
const LEAST_TICK_PX = 44;
// A whisker longer than this is cut: it must not flatten the lines.
const LONGEST_WHISKER = 100;
const charts = {};

function estimate(item) {
  const tau_s = number(item.tau_s);
  const value = number(item.value);
  if (tau_s === null || value === null || tau_s <= 0 || value <= 0) return [];
  return [{ tau_s, value, lower: number(item.lower) ?? value, upper: number(item.upper) ?? value, terms: number(item.terms) }];
}

function record(item) {
  const refused = item.refused === null || item.refused === undefined ? null : object(item.refused);
  return {
    id: text(item.series),
    span_s: number(item.span_s),
    longest_s: number(item.longest_s),
    share: number(item.used_share),
    half_s: number(item.half_width_s),
    breaks: object(item.breaks),
    refused: refused && { reason: text(refused.reason, "not enough was measured"), needed_s: number(refused.needed_s) },
    ...Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, list(item[kind]).flatMap(estimate).sort((a, b) => a.tau_s - b.tau_s)])),
  };
}

/** The node's records out of a document, checked, in drawing order. */
export function readStability(document, node) {
  const mine = list(document?.nodes).find((item) => item.node === node.name && (!item.cluster || item.cluster === node.cluster));
  const records = list(mine?.series).map(record);
  return Object.keys(RECORDS).flatMap((id) => records.filter((one) => one.id === id).slice(0, 1));
}

function ratio(value) {
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return `${mantissa}e${exponent.replace("-", "−").replace("+", "")}`;
}

/** A span of whole seconds as an axis says it: 30 s, 5 min, 6 h, 2 d. */
export function tau(spanned) {
  const seconds = Math.round(spanned);
  const [unit, name] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Number((seconds / unit).toPrecision(2))} ${name}`;
}

function tauTicks(u) {
  const { min, max } = u.scales.x;
  const width = u.bbox.width / devicePixelRatio;
  const ticks = [];
  for (const tick of TAU_TICKS.map(Math.log10)) {
    if (tick < min || tick > max) continue;
    if (ticks.length === 0 || ((tick - ticks.at(-1)) / (max - min)) * width >= LEAST_TICK_PX) ticks.push(tick);
  }
  return ticks;
}

function valueTicks(u) {
  const { min, max } = u.scales.y;
  const decades = Math.log10(max / min);
  const steps = decades > 2.2 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / 6));
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    if (power % every === 0) ticks.push(...steps.map((step) => Number(`${step}e${power}`)).filter((tick) => tick >= min && tick <= max));
  }
  return ticks;
}

const low = (one) => Math.max(one.lower, one.value / LONGEST_WHISKER);
const high = (one) => Math.min(one.upper, one.value * LONGEST_WHISKER);

function valueRange(shown, kind) {
  const all = shown.flatMap((one) => one[kind]);
  return [Math.min(...all.map((one) => (one.lower > 0 ? low(one) : one.value))) / 1.4, Math.max(...all.map(high)) * 1.4];
}

function drawWhiskers(u, shown, kind) {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 6 * px, bbox.top, bbox.width + 12 * px, bbox.height);
  ctx.clip();
  ctx.globalAlpha = 0.6;
  ctx.lineWidth = px;
  for (const [i, one] of shown.entries()) {
    ctx.strokeStyle = ink(RECORDS[one.id].colour);
    ctx.beginPath();
    for (const each of one[kind]) {
      // A little apart, so that whiskers of several records do not cover each other.
      const at = u.valToPos(Math.log10(each.tau_s), "x", true) + (i - (shown.length - 1) / 2) * 3 * px;
      const [top, bottom] = [high(each), each.lower > 0 ? low(each) : each.value].map((value) => u.valToPos(value, "y", true));
      ctx.moveTo(at, top);
      ctx.lineTo(at, bottom);
      for (const [end, drawn] of [[top, each.upper <= high(each)], [bottom, each.lower > 0 && each.lower >= low(each)]]) {
        if (!drawn) continue;
        ctx.moveTo(at - 3 * px, end);
        ctx.lineTo(at + 3 * px, end);
      }
    }
    ctx.stroke();
  }
  ctx.restore();
}

function told(one, each, kind) {
  const { show } = KINDS[kind];
  return `${RECORDS[one.id].name} ${show(each.value)} (${each.lower > 0 ? show(each.lower) : 0} … ${show(each.upper)})`;
}

function drawKind(kind, records, node, empty) {
  const chart = charts[kind] ??= new Chart(byId(`${kind}-chart`));
  const shown = records.filter((one) => one[kind].length > 0);
  if (shown.length === 0) {
    chart.empty(empty);
    return;
  }
  chart.shown = shown;
  const joined = uPlot.join(shown.map((one) => [one[kind].map((each) => Math.log10(each.tau_s)), one[kind].map((each) => each.value)]));
  const last = shown.map((one) => `${RECORDS[one.id].name} ${KINDS[kind].show(one[kind].at(-1).value)} at ${tau(one[kind].at(-1).tau_s)}`);
  chart.draw({
    signature: `${kind} ${node} ${shown.map((one) => one.id).join(" ")}`,
    data: joined,
    describe: `${kind.toUpperCase()} of ${node} over spans of ${tau(10 ** joined[0][0])} to ${tau(10 ** joined[0].at(-1))}: ${last.join("; ")}`,
    hint: KINDS[kind].says,
    read: (index) => {
      const at = 10 ** chart.plot.data[0][index];
      const lines = chart.shown.flatMap((one) => one[kind].filter((each) => Math.abs(each.tau_s / at - 1) < 1e-6).map((each) => told(one, each, kind)));
      return `τ = ${tau(at)}\n${lines.reverse().join("\n")}`;
    },
    options: () => ({
      height: 240,
      scales: {
        x: { time: false, range: (u, from, to) => (chart.zoomed ? [from, to] : [from - 0.08, Math.max(to, from + 1) + 0.08]) },
        y: { distr: 3, log: 10, range: () => valueRange(chart.shown, kind) },
      },
      axes: [
        axis({ size: 30, splits: tauTicks, values: (u, splits) => splits.map((tick) => tau(10 ** tick)) }),
        axis({ size: kind === "adev" ? 56 : 62, splits: valueTicks, filter: (u, splits) => splits, values: (u, splits) => splits.map((value) => (kind === "adev" ? Number(value.toPrecision(1)).toExponential(0).replace("-", "−").replace("+", "") : duration(value, 1))) }),
      ],
      series: [{}, ...shown.map((one) => ({
        stroke: ink(RECORDS[one.id].colour), width: 2, dash: RECORDS[one.id].dash, spanGaps: true,
        points: { show: true, size: 5, width: 1, fill: ink(RECORDS[one.id].colour) },
      }))],
      hooks: { drawAxes: [(u) => drawWhiskers(u, chart.shown, kind)] },
    }),
  });
}

function lacking(refused) {
  return refused.needed_s === null ? refused.reason : `needs ${span(refused.needed_s)} more: ${refused.reason}`;
}

function legendItem(one) {
  const { name, colour, dash } = RECORDS[one.id];
  const mark = s("svg", { class: "mark", viewBox: "0 0 24 10", width: 24, height: 10, "aria-hidden": "true" },
    s("line", { class: `${colour} stroked`, x1: 0, x2: 24, y1: 5, y2: 5, "stroke-dasharray": dash.join(" ") || null }));
  const ended = Object.entries(one.breaks).flatMap(([why, times]) => (number(times) === null ? [] : [`${count(times)} ${why}${times === 1 ? "" : "s"}`]));
  const facts = one.refused
    ? lacking(one.refused)
    : [one.half_s === null ? "" : `each reading ± ${duration(one.half_s, 2)}`, `${percent(one.share)} of the window used`,
      ended.length > 0 ? `cut by ${ended.join(", ")}; unbroken for ${span(one.longest_s)}` : ""].filter(Boolean).join(", ");
  return h("li", {}, mark, h("span", {}, `${name} `, h("span", { class: "muted" }, facts)));
}

/** Draw a node's stability. `records` are of `readStability`, `node` names it. */
export function drawStability(records, node) {
  redraw(byId("stability-legend"), ...[...records].reverse().map(legendItem));
  const refused = records.filter((one) => one.refused).sort((a, b) => (a.refused.needed_s ?? Infinity) - (b.refused.needed_s ?? Infinity))[0];
  const needed_s = refused?.refused.needed_s ?? null;
  const empty = needed_s !== null ? `Not yet: needs ${span(needed_s)} more.` : refused ? `None: ${refused.refused.reason}.` : "Nothing of this node’s clock is stored.";
  for (const kind of Object.keys(KINDS)) drawKind(kind, records, node, records.every((one) => one.refused) ? empty : "Too few measurements of this for any span yet.");
}

/** Rows for a CSV file. */
export function stabilityRows(records) {
  return [
    ["record", "deviation", "tau_s", "value", "lower", "upper", "terms"],
    ...records.flatMap((one) => Object.keys(KINDS).flatMap((kind) => one[kind].map((each) => [one.id, kind, each.tau_s, each.value, each.lower, each.upper, each.terms]))),
  ];
}

/** Forget the drawings, so that the next have the present theme's colours. */
export function forgetStability() {
  for (const chart of Object.values(charts)) chart.forget();
}
