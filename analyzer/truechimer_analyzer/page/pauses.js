// Pauses: when, how long and why; and for each source how long it was watched.

import { Chart, axis, timeAxis, timeRange } from "./chart.js";
import { byId, h, redraw, s } from "./dom.js";
import { count, duration, evidence, local, percent, span, utc, utcTime, words } from "./format.js";
import { CAUSES, ink, outline } from "./palette.js";
import { list, number, object, text, unixSeconds } from "./values.js";

let chart;

function pause(item) {
  return {
    at: unixSeconds(item.at),
    duration_s: number(item.duration_s),
    cause: text(item.cause, "unknown"),
    confidence: number(item.confidence),
    evidence: object(item.evidence),
  };
}

/** The document's sources, checked. */
export function readPauses(document) {
  return list(document?.sources).map((item) => ({
    cluster: text(item.cluster, ""),
    node: text(item.node),
    source: text(item.source),
    runtime: text(item.runtime, ""),
    observed_s: number(item.observed_s),
    count: number(item.count),
    total_s: number(item.total_s),
    perHour: number(item.per_hour),
    p50_s: number(item.p50_s),
    p99_s: number(item.p99_s),
    max_s: number(item.max_s),
    residual_s: number(item.residual_p999_s),
    causes: object(item.causes),
    longest: list(item.longest).map(pause),
    timeline: (Array.isArray(item.timeline) ? list(item.timeline) : list(item.longest)).map(pause),
  }));
}

/** {node, duration_s, cause} of the sources' worst pause; duration null when they had none, undefined when there are none. */
export function worstPause(sources) {
  const found = sources.filter((source) => source.count !== null || source.max_s !== null).map((source) => {
    const top = source.longest[0];
    return { node: source.node, duration_s: source.count === 0 ? null : (top?.duration_s ?? source.max_s), cause: top?.cause ?? "unknown" };
  });
  return found.sort((a, b) => (b.duration_s ?? -1) - (a.duration_s ?? -1))[0];
}

function mark(cause) {
  const { colour, shape } = Object.hasOwn(CAUSES, cause) ? CAUSES[cause] : CAUSES.unknown;
  return { colour, ...outline(shape) };
}

/** A cause's mark as a small picture, for legends and tables. */
export function causeMark(cause) {
  const { colour, path, filled } = mark(cause);
  return s("svg", { class: "mark", viewBox: "-7 -7 14 14", width: 14, height: 14, "aria-hidden": "true" },
    s("path", { d: path, class: `${colour} ${filled ? "filled" : "stroked"}` }));
}

function drawMarks(u, marks, causes) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 6, bbox.top - 6, bbox.width + 12, bbox.height + 12);
  ctx.clip();
  const shapes = new Map(causes.map((cause) => {
    const { colour, path, filled } = mark(cause);
    return [cause, { ink: ink(colour), path: new Path2D(path), filled }];
  }));
  for (const one of marks) {
    const shape = shapes.get(one.cause);
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, u.valToPos(one.at, "x", true), u.valToPos(one.duration_s, "y", true));
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = ctx.strokeStyle = shape.ink;
    ctx.lineWidth = 1.8;
    if (shape.filled) ctx.fill(shape.path);
    else ctx.stroke(shape.path);
  }
  ctx.restore();
}

function drawChart(sources, { asOf, label }) {
  chart ??= new Chart(byId("pauses-chart"));
  const marks = sources
    .flatMap((source) => source.timeline.map((one) => ({ ...one, source })))
    .filter((one) => one.at !== null && one.duration_s !== null && one.duration_s > 0)
    .sort((a, b) => a.at - b.at);
  const causes = [...new Set(marks.map((one) => one.cause))].sort();
  byId("pauses-legend").replaceChildren(...causes.map((cause) => {
    const n = marks.filter((one) => one.cause === cause).length;
    return h("li", {}, causeMark(cause), ` ${words(cause)} `, h("span", { class: "muted" }, count(n)));
  }));
  if (marks.length === 0) {
    const watched = sources.reduce((sum, source) => sum + (source.observed_s ?? 0), 0);
    chart.empty(watched > 0 ? `No pause above the threshold in ${span(watched)} of watching.` : "Nobody watched for pauses in the window.");
    return;
  }
  const data = [marks.map((one) => one.at), marks.map((one) => one.duration_s)];
  const longest = marks.reduce((a, b) => (b.duration_s > a.duration_s ? b : a));
  chart.state = { marks, causes, asOf };
  chart.draw({
    signature: `pauses ${label}`,
    data,
    describe: `${marks.length} pauses of ${label} by time and duration; the longest ${duration(longest.duration_s)}, ${words(longest.cause)}`,
    hint: `longest ${duration(longest.duration_s)} at ${utcTime(longest.at)} UTC, ${words(longest.cause)}`,
    read: (index) => {
      const one = chart.state.marks[index];
      if (one === undefined) return "";
      return `${utc(one.at)} (${local(one.at)}): ${duration(one.duration_s)}, ${words(one.cause)}, ${one.source.source} on ${one.source.node}`;
    },
    options: () => ({
      height: 240,
      scales: {
        x: { time: true, range: timeRange(chart, 120) },
        y: { distr: 3, log: 10, range: (u, low, high) => [10 ** Math.floor(Math.log10(low * 0.99)), 10 ** Math.ceil(Math.log10(high * 1.01))] },
      },
      axes: [timeAxis(), axis({ size: 70, values: (u, splits) => splits.map((v) => (v !== null && /^1(e|0*$)/.test(Number(v.toPrecision(3)).toExponential()) ? duration(v, 1) : null)) })],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(u) => drawMarks(u, chart.state.marks, chart.state.causes)] },
    }),
  });
}

function longestOf(source, key) {
  if (source.longest.length === 0) return h("span", { class: "muted" }, "none");
  return h("details", { "data-key": `longest ${key}` },
    h("summary", {}, causeMark(source.longest[0].cause), ` ${duration(source.longest[0].duration_s)} ${words(source.longest[0].cause)}`),
    h("ol", { class: "longest" }, source.longest.slice(0, 10).map((one) => h("li", {},
      h("b", { class: "figure" }, duration(one.duration_s)), ` ${words(one.cause)}`,
      one.confidence === null ? null : h("span", { class: "muted" }, ` (confidence ${percent(one.confidence)})`),
      one.at === null ? null : h("time", { class: "muted", title: local(one.at) }, ` ${utc(one.at)}`),
      Object.keys(one.evidence).length === 0 ? null : h("span", { class: "muted evidence" }, evidence(one.evidence))))));
}

function table(sources, alone) {
  const headings = [alone ? null : "Node", "Source", "Watched", "Pauses", "An hour", "p50", "p99", "Longest, with evidence"];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of pauses by source", "data-scroll": "pauses", "data-key": "pauses scroll" },
    h("table", { class: "compact" },
      h("thead", {}, h("tr", {}, headings.map((name, i) => name && h("th", { scope: "col", class: i > 1 && i !== 7 ? "right" : null }, name)))),
      h("tbody", {}, sources.map((source) => h("tr", {},
        alone ? null : h("td", {}, source.node),
        h("th", { scope: "row", title: source.source }, source.source, source.runtime && source.runtime !== source.source ? h("span", { class: "muted" }, ` ${source.runtime}`) : null,
          source.residual_s === null ? null : h("span", { class: "muted reason", title: "a request that arrives at a random moment waits no longer than this for pauses, 99.9 % of the time" }, `waits ≤ ${duration(source.residual_s)}`)),
        h("td", { class: "right nowrap figure" }, span(source.observed_s)),
        h("td", { class: "right figure" }, count(source.count)),
        h("td", { class: "right figure" }, source.perHour === null ? "–" : count(source.perHour)),
        h("td", { class: "right nowrap figure" }, duration(source.p50_s)),
        h("td", { class: "right nowrap figure" }, duration(source.p99_s)),
        h("td", {}, longestOf(source, `${source.node} ${source.source}`)))))));
}

/** Draw the section for these sources. */
export function drawPauses(sources, state) {
  drawChart(sources, state);
  redraw(byId("pauses-table"), sources.length === 0 ? null : table(sources, state.alone));
}

/** Rows for a CSV file. */
export function pauseRows(sources) {
  return [
    ["node", "source", "runtime", "at_unix_s", "duration_s", "cause", "confidence"],
    ...sources.flatMap((source) => source.timeline.map((one) => [source.node, source.source, source.runtime, one.at, one.duration_s, one.cause, one.confidence])),
  ];
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetPauses() {
  chart?.forget();
}
