// One path by the hour: median, 99th percentile and longest, with what was lost in each.

import { Chart, axis, timeAxis } from "./chart.js";
import { byId, h, s } from "./dom.js";
import { count, duration, utc } from "./format.js";
import { ink, lineStyle } from "./palette.js";
import { logRange, logTicks } from "./percentileaxes.js";
import { list, number, unixSeconds } from "./values.js";

const HOUR_S = 3600;
const LINES = [["p50", "p50_s"], ["p99", "p99_s"], ["longest", "max_s"]];
let chart;

/** The hours of a path out of a document that was asked for one path; those without a probe are left out. */
export function readHours(document, path) {
  const mine = list(document?.paths).find((item) => item.node === path.node && item.peer === path.peer && item.via === path.via && (number(item.dscp) ?? 0) === path.dscp && (!item.cluster || item.cluster === path.cluster));
  return list(mine?.hours).flatMap((item) => {
    const from = unixSeconds(item.from);
    if (from === null) return [];
    return [{
      from,
      count: number(item.count),
      lost: number(item.lost),
      lostForward: number(item.lost_forward),
      lostBackward: number(item.lost_backward),
      ...Object.fromEntries(LINES.map(([, field]) => [field, number(item[field])])),
    }];
  }).sort((a, b) => a.from - b.from);
}

/** With an empty hour in each gap, so that no line is drawn across it. */
function spread(hours) {
  return hours.flatMap((hour, i) => (i > 0 && hour.from - hours[i - 1].from > HOUR_S ? [{ from: hours[i - 1].from + HOUR_S, count: 0 }, hour] : [hour]));
}

function told(hour) {
  const when = `${utc(hour.from).slice(0, 16)}–${utc(hour.from + HOUR_S).slice(11, 16)} UTC`;
  if (hour.count === 0) return `${when}: no probe`;
  const ways = hour.lostForward === null || hour.lostForward === undefined ? "" : ` (there ${count(hour.lostForward)}, back ${count(hour.lostBackward)})`;
  const lines = LINES.map(([name, field]) => `${name} ${duration(hour[field] ?? null)}`).join(", ");
  return `${when}: ${lines}; ${count(hour.count)} probes, ${count(hour.lost)} lost${ways}`;
}

function lineMark(index) {
  const { colour, dash } = lineStyle(index * 7);
  return s("svg", { class: "mark", viewBox: "0 0 24 10", width: 24, height: 10, "aria-hidden": "true" },
    s("line", { class: `${colour} stroked`, x1: 0, x2: 24, y1: 5, y2: 5, "stroke-dasharray": dash.join(" ") || null }));
}

/** Draw the hours of one path; `name` names it. */
export function drawHours(hours, name) {
  chart ??= new Chart(byId("hours-chart"));
  byId("hours-path").textContent = name;
  const shown = spread(hours);
  const known = hours.flatMap((hour) => LINES.map(([, field]) => hour[field])).filter((value) => value !== null && value > 0);
  byId("hours-legend").replaceChildren(...(known.length === 0 ? [] : LINES.map(([line], i) => h("li", {}, lineMark(i), ` ${line}`))));
  if (known.length === 0) {
    const lost = hours.reduce((sum, hour) => sum + (hour.lost ?? 0), 0);
    chart.empty(hours.length === 0 ? "No probe of this path in the last day." : `No reply in ${hours.length} ${hours.length === 1 ? "hour" : "hours"}; ${count(lost)} probes were lost.`);
    return;
  }
  chart.state = { shown, asOf: null };
  const worst = hours.reduce((a, b) => ((b.max_s ?? 0) > (a.max_s ?? 0) ? b : a));
  chart.draw({
    signature: `hours ${name}`,
    data: [shown.map((hour) => hour.from + HOUR_S / 2), ...LINES.map(([, field]) => shown.map((hour) => (hour[field] > 0 ? hour[field] : null)))],
    describe: `${name} by hour, ${hours.length} hours; the worst ${told(worst)}`,
    hint: `worst hour ${told(worst)}`,
    read: (index) => (chart.state.shown[index] ? told(chart.state.shown[index]) : ""),
    options: () => ({
      height: 180,
      scales: {
        x: { time: true, range: (u, low, high) => (chart.zoomed ? [low, high] : [u.data[0][0] - HOUR_S / 2, u.data[0].at(-1) + HOUR_S / 2]) },
        y: { distr: 3, log: 10, range: logRange },
      },
      axes: [timeAxis(), axis({ size: 70, splits: logTicks, filter: (u, splits) => splits, values: (u, splits) => splits.map((v) => duration(v, 1)) })],
      series: [{}, ...LINES.map((_, i) => {
        const { colour, dash } = lineStyle(i * 7);
        return { stroke: ink(colour), width: 2, dash, points: { show: true, size: 5, width: 1, fill: ink(colour) } };
      })],
    }),
  });
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetHours() {
  chart?.forget();
}
