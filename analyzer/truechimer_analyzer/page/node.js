// One node: W − UTC with its band, events of the clock, and the wall clock's rate.

import { Chart, axis, durationLabels, timeAxis, timeRange } from "./chart.js";
import { byId } from "./dom.js";
import { duration, local, ppm, signed, utc, words } from "./format.js";
import { ink } from "./palette.js";
import { columns, points } from "./series.js";

const LEAST_SPAN_S = 30;
const SETTLING_S = 20;
let offsets;
let rates;

/** Low, middle and high of W − UTC from a series of bounds of UTC − W. */
export function band(document) {
  const items = points(document, ["lower_seconds", "upper_seconds"]).map(({ at, values }) => {
    const known = values.lower_seconds !== null && values.upper_seconds !== null;
    const low = known ? 0 - values.upper_seconds : null;
    const high = known ? 0 - values.lower_seconds : null;
    return { at, values: { low, middle: known ? (low + high) / 2 : null, high } };
  });
  return columns(items, ["low", "middle", "high"]);
}

function drawEvents(u, events) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  let rightmost = -Infinity;
  for (const event of events) {
    const at = Math.round(u.valToPos(event.at, "x", true)) + 0.5;
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = ink(event.kind === "step" ? "bad" : "muted");
    ctx.lineWidth = (event.kind === "step" ? 1.5 : 1) * devicePixelRatio;
    ctx.setLineDash(event.kind === "step" ? [] : [2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    const label = event.size_s === null || event.size_s === 0 ? words(event.kind) : `${words(event.kind)} ${signed(event.size_s)}`;
    const width = ctx.measureText(label).width;
    const left = at + 5 + width > bbox.left + bbox.width ? at - 5 - width : at + 5;
    if (left < rightmost) continue;
    ctx.fillText(label, left, bbox.top + 12 * devicePixelRatio);
    rightmost = left + width + 8;
  }
  ctx.restore();
}

// Right after a start the band is wide by nature: the scale goes by what follows, where there is some.
function settled(data, events) {
  const starts = events.filter((event) => event.kind === "agent_start").map((event) => event.at);
  const within = (at) => starts.some((start) => at >= start && at - start < SETTLING_S);
  const kept = data[0].map((at, i) => i).filter((i) => data[1][i] !== null && !within(data[0][i]));
  return kept.length > 2 ? kept : data[0].map((at, i) => i).filter((i) => data[1][i] !== null);
}

function yRange(u, low, high) {
  if (low === null) return [-1e-3, 1e-3];
  if (!offsets.zoomed) {
    const shown = settled(u.data, offsets.state.events);
    low = shown.reduce((least, i) => Math.min(least, u.data[1][i]), Infinity);
    high = shown.reduce((most, i) => Math.max(most, u.data[3][i]), -Infinity);
  }
  const pad = Math.max((high - low) * 0.12, 1e-7);
  const [least, most] = [Math.min(low - pad, 0), Math.max(high + pad, 0)];
  // Zero is in the picture unless the band would be squeezed to a line by it.
  return most - least > (high - low) * 6 ? [low - pad, high + pad] : [least, most];
}

function withError(low, high) {
  return `${signed((low + high) / 2)} ± ${duration((high - low) / 2)}`;
}

/** Draw W − UTC over time. `state` is {document, events, asOf, node}. */
export function drawOffset(state) {
  offsets ??= new Chart(byId("offset-chart"));
  offsets.state = state;
  const data = band(state.document);
  if (!data[1].some((value) => value !== null)) {
    offsets.empty("No bound of this node in the window: no NTP server has answered it yet, or it has not been heard.");
    return;
  }
  const last = data[1].findLastIndex((value) => value !== null);
  offsets.draw({
    signature: `offset ${state.node}`,
    data,
    describe: `Wall clock minus UTC of ${state.node} over time; last ${withError(data[1][last], data[3][last])}`,
    hint: `now ${withError(data[1][last], data[3][last])}`,
    read: (index) => {
      const [at, low, , high] = data.map((column) => column[index]);
      const value = low === null ? "no bound" : withError(low, high);
      return `${utc(at)} (${local(at)}): ${value}`;
    },
    options: () => ({
      scales: { x: { time: true, range: timeRange(offsets, LEAST_SPAN_S) }, y: { range: yRange } },
      axes: [timeAxis(), axis({ size: 82, values: durationLabels })],
      series: [
        {},
        { stroke: ink("band-edge"), width: 1, points: { show: false } },
        { stroke: ink("accent"), width: 2, points: { show: (u) => u.data[0].length < 3 } },
        { stroke: ink("band-edge"), width: 1, points: { show: false } },
      ],
      bands: [{ series: [3, 1], fill: ink("band") }],
      hooks: {
        drawAxes: [(u) => zeroLine(u)],
        draw: [(u) => drawEvents(u, offsets.state.events)],
      },
    }),
  });
}

function zeroLine(u) {
  const at = Math.round(u.valToPos(0, "y", true)) + 0.5;
  if (at < u.bbox.top || at > u.bbox.top + u.bbox.height) return;
  u.ctx.save();
  u.ctx.strokeStyle = ink("ink");
  u.ctx.globalAlpha = 0.55;
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.beginPath();
  u.ctx.moveTo(u.bbox.left, at);
  u.ctx.lineTo(u.bbox.left + u.bbox.width, at);
  u.ctx.stroke();
  u.ctx.restore();
}

/** Draw the wall clock's rate over time. `state` is {document, asOf, node}. */
export function drawRate(state) {
  rates ??= new Chart(byId("rate-chart"));
  rates.state = state;
  const data = columns(points(state.document, ["wall_rate_ppm"]), ["wall_rate_ppm"]);
  const known = data[1].filter((value) => value !== null);
  if (known.length === 0) {
    rates.empty("No rate measured in the window yet; it takes two intervals of ten seconds.");
    return;
  }
  rates.draw({
    signature: `rate ${state.node}`,
    data,
    describe: `Rate of the wall clock of ${state.node} against the raw oscillator; last ${ppm(known.at(-1))} ppm`,
    hint: `now ${ppm(known.at(-1))} ppm`,
    read: (index) => `${utc(data[0][index])} (${local(data[0][index])}): ${ppm(data[1][index])} ppm`,
    options: () => ({
      height: 200,
      scales: {
        x: { time: true, range: timeRange(rates, LEAST_SPAN_S) },
        y: { range: (u, low, high) => (low === null ? [-1, 1] : [low - Math.max((high - low) * 0.15, 0.01), high + Math.max((high - low) * 0.15, 0.01)]) },
      },
      axes: [timeAxis(), axis({ size: 86, values: (u, splits) => splits.map((value) => (value === null ? null : `${Number(value.toFixed(4))} ppm`.replace("-", "−"))) })],
      series: [{}, { stroke: ink("series-1"), width: 1.5, points: { show: (u) => u.data[0].length < 40, size: 4 } }],
    }),
  });
}

/** Forget drawings, so that the next ones have the present theme's colours. */
export function forgetNode() {
  offsets?.forget();
  rates?.forget();
}
