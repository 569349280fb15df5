// Round trips: percentile curves (HdrHistogram's way) and a table with exposure and losses apart.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { Chart } from "./chart.js";
import { byId, h, redraw } from "./dom.js";
import { count, duration, percent, span } from "./format.js";
import { ink, lineStyle } from "./palette.js";
import { curvePoints, lineMark, percentileAxes, within } from "./percentileaxes.js";
import { list, number, text } from "./values.js";
import { fragment } from "./view.js";

const MOST_LINES = 8;
const COLUMNS = [["p50", "p50_s"], ["p90", "p90_s"], ["p99", "p99_s"], ["p99.9", "p999_s"], ["max", "max_s"]];
/** The slowest so many have a row; the CSV file has all. */
const MOST_ROWS = 200;
const read = new WeakMap();
let chart;

function curveOf(item) {
  const given = list(item.curve).map((p) => [number(p.exceedance), number(p.rtt_s)]);
  const n = number(item.replies) ?? number(item.count);
  const fallback = [[0.5, "p50_s"], [0.1, "p90_s"], [0.01, "p99_s"], [0.001, "p999_s"], [n ? 1 / n : null, "max_s"]]
    .filter(([exceedance]) => exceedance !== null && n !== null && exceedance * n >= 1 - 1e-9)
    .map(([exceedance, field]) => [exceedance, number(item[field])]);
  return curvePoints(given.length > 0 ? given : fallback, n);
}

/** The document's paths, checked, slowest tail first. Read once a document: there may be thousands. */
export function readDelays(document) {
  if (document === null || typeof document !== "object") return [];
  if (!read.has(document)) read.set(document, pathsOf(document));
  return read.get(document);
}

function pathsOf(document) {
  const paths = list(document?.paths).map((item) => ({
    cluster: text(item.cluster, ""),
    node: text(item.node),
    peer: text(item.peer),
    via: text(item.via, ""),
    count: number(item.count),
    replies: number(item.replies) ?? number(item.count),
    dscp: number(item.dscp) ?? 0,
    key: `${text(item.node)}>${text(item.peer)}>${text(item.via, "")}>${number(item.dscp) ?? 0}`,
    lost: number(item.lost),
    ratio: number(item.loss_ratio),
    upper: number(item.loss_upper),
    sent: number(item.sent),
    lostForward: number(item.lost_forward),
    lostBackward: number(item.lost_backward),
    undetermined: number(item.lost_undetermined),
    unknown: number(item.lost_unknown),
    forwardRatio: number(item.loss_forward_ratio),
    forwardUpper: number(item.loss_forward_upper),
    backwardRatio: number(item.loss_backward_ratio),
    backwardUpper: number(item.loss_backward_upper),
    reordered: number(item.reordered),
    refused: number(item.refused),
    span_s: number(item.span_s),
    quantiles: Object.fromEntries(COLUMNS.map(([, field]) => [field, number(item[field])])),
    curve: curveOf(item),
  }));
  return paths.sort((a, b) => (b.quantiles.p99_s ?? b.quantiles.max_s ?? 0) - (a.quantiles.p99_s ?? a.quantiles.max_s ?? 0));
}

/** How it was measured, with the DSCP class where it is not the usual one. */
function means(path) {
  return path.dscp ? `${path.via}, DSCP ${path.dscp}` : path.via;
}

function label(path, alone) {
  return `${alone ? "" : `${path.node} → `}${path.peer}${path.via ? ` (${means(path)})` : ""}`;
}

/** A path in words. */
export function pathName(path) {
  return label(path, false);
}

function drawChart(paths, alone) {
  chart ??= new Chart(byId("delays-chart"));
  const shown = paths.filter((path) => path.curve.length > 1).slice(0, MOST_LINES);
  byId("delays-legend").replaceChildren(
    ...shown.map((path, i) => h("li", {}, lineMark(i), ` ${label(path, alone)} `, h("span", { class: "muted" }, `n = ${count(path.replies)}`))),
    ...(paths.length > shown.length && shown.length === MOST_LINES ? [h("li", { class: "muted" }, `the ${MOST_LINES} slowest of ${paths.length} paths`)] : []));
  if (shown.length === 0) {
    chart.empty(paths.length === 0 ? "No path was probed in the window." : "Too few replies for a curve yet.");
    return;
  }
  const data = uPlot.join(shown.map((path) => [path.curve.map((p) => p[0]), path.curve.map((p) => p[1])]));
  chart.draw({
    signature: `delays ${shown.map((path) => label(path, alone)).join(", ")}`,
    data,
    describe: `Round trip percentiles of ${shown.length} paths; ${shown.map((p) => `${label(p, alone)} of ${count(p.replies)} replies p50 ${duration(p.quantiles.p50_s)}, p99 ${duration(p.quantiles.p99_s)}`).join("; ")}`,
    hint: "move over the chart to read a percentile",
    read: (index, u) => {
      const x = u.data[0][index];
      const values = u.data.slice(1).flatMap((column, i) => (column[index] === null || column[index] === undefined ? [] : [`${label(shown[i], alone)} ${duration(column[index])}`]));
      return `${within(x)}: ${values.join(", ")}`;
    },
    options: () => ({
      height: 280,
      ...percentileAxes(),
      series: [{}, ...shown.map((path, i) => {
        const { colour, dash } = lineStyle(i);
        return { stroke: ink(colour), width: 2, dash, spanGaps: true, points: { show: false } };
      })],
    }),
  });
}

function losses(path) {
  if (path.lost === null || path.count === null) return "–";
  // Three divided by n bounds a rate of which nothing was seen (95 %).
  const upper = path.upper ?? (path.lost === 0 && path.count > 0 ? Math.min(1, 3 / path.count) : null);
  const limit = upper === null ? "" : ` (≤ ${percent(upper)})`;
  if (path.lost === 0) return [h("span", { class: "figure" }, "0"), h("span", { class: "muted" }, limit)];
  return [h("b", { class: "figure lost" }, count(path.lost)), h("span", { class: "muted" }, ` ${percent(path.ratio ?? path.lost / Math.max(1, path.count))}${limit}`)];
}

function lossOf(number) {
  return h("td", { class: "right figure" }, number === null ? "–" : number > 0 ? h("b", { class: "lost" }, count(number)) : "0");
}

/** The columns of losses by direction: of those that any path has. */
function ways(paths) {
  if (!paths.some((path) => path.lostForward !== null || path.undetermined !== null)) return [];
  const optional = [["Way unknown", "unknown"], ["Reordered", "reordered"]].filter(([, field]) => paths.some((path) => path[field] > 0));
  return [["Lost there", "lostForward"], ["Lost back", "lostBackward"], ["Undetermined", "undetermined"], ...optional];
}

function table(paths, alone, chosenKey) {
  const refusing = paths.some((path) => path.refused !== null && path.refused > 0);
  const directions = ways(paths);
  const headings = [alone ? null : "Node", "Peer", "Replies", "Lost", ...directions.map(([name]) => name), refusing ? "Refused" : null, ...COLUMNS.map(([name]) => name)];
  return h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Table of round trips by path", "data-scroll": "delays", "data-key": "delays scroll" },
    h("table", { class: "compact" },
      h("thead", {}, h("tr", {}, headings.map((name, i) => name && h("th", { scope: "col", class: i > 1 ? "right" : null }, name)))),
      h("tbody", {}, paths.map((path) => h("tr", { class: path.key === chosenKey ? "selected" : null },
        alone ? null : h("td", {}, path.node),
        h("th", { scope: "row", title: path.peer },
          h("a", { href: fragment({ path: path.key }), "data-key": `path ${path.key}`, "aria-current": path.key === chosenKey ? "true" : null }, path.peer),
          path.via ? h("span", { class: "muted" }, ` ${means(path)}`) : null),
        h("td", { class: "right nowrap figure" }, count(path.replies), h("span", { class: "muted" }, ` in ${span(path.span_s)}`)),
        h("td", { class: "right nowrap" }, losses(path)),
        directions.map(([, field]) => lossOf(path[field])),
        refusing ? h("td", { class: "right figure" }, count(path.refused)) : null,
        COLUMNS.map(([, field]) => h("td", { class: "right nowrap figure" }, duration(path.quantiles[field]))))))));
}

/** The path that the view names, else the first of these. */
export function chosenPath(every, shown, key) {
  return every.find((path) => key !== "" && (path.key === key || (key.endsWith(">") && path.key.startsWith(key)))) ?? shown[0];
}

/** Draw the section for these paths; `alone` when all are of one node. */
export function drawDelays(paths, alone, chosenKey) {
  drawChart(paths, alone);
  byId("delays").toggleAttribute("data-wide", ways(paths).length > 0);
  const rows = paths.filter((path, i) => i < MOST_ROWS || path.key === chosenKey);
  redraw(byId("delays-table"), paths.length === 0 ? null : table(rows, alone, chosenKey),
    rows.length < paths.length && h("p", { class: "muted" }, `the ${MOST_ROWS} slowest of ${count(paths.length)} paths; the CSV file has all`));
}

/** Rows for a CSV file. */
export function delayRows(paths) {
  return [
    ["node", "peer", "via", "dscp", "count", "replies", "lost", "loss_upper", "lost_forward", "lost_backward", "lost_undetermined", "lost_unknown", "reordered", "refused", "span_s", ...COLUMNS.map(([, field]) => field)],
    ...paths.map((path) => [path.node, path.peer, path.via, path.dscp, path.count, path.replies, path.lost, path.upper, path.lostForward, path.lostBackward, path.undetermined, path.unknown, path.reordered, path.refused, path.span_s, ...COLUMNS.map(([, field]) => path.quantiles[field])]),
  ];
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetDelays() {
  chart?.forget();
}
