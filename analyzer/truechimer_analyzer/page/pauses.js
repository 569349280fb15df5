// Pauses: when, how long and why; and for each source how long it was watched.

import { Chart, axis, timeAxis, timeRange } from "./chart.js";
import { causeMark, drawMarks } from "./causes.js";
import { byId, h, redraw } from "./dom.js";
import { count, duration, evidence, local, percent, span, utc, utcTime, words } from "./format.js";
import { curvePoints } from "./percentileaxes.js";
import { drawCurves, forgetCurves } from "./pausecurves.js";
import { drawLanes, forgetLanes } from "./pauselanes.js";
import { drawSurroundings, stateNote } from "./surroundings.js";
import { list, number, object, text, unixSeconds } from "./values.js";

let chart;

function pause(item) {
  return {
    at: unixSeconds(item.at),
    duration_s: number(item.duration_s),
    cause: text(item.cause, "unknown"),
    confidence: number(item.confidence),
    evidence: object(item.evidence),
    together: number(item.pauses) ?? 1,
    sum_s: number(item.sum_s),
  };
}

/** Stretches that nobody watched as [from, to] in Unix seconds. */
function gaps(item) {
  return list(item.unwatched)
    .map((gap) => [unixSeconds(gap.from), unixSeconds(gap.to)])
    .filter(([from, to]) => from !== null && to !== null && to > from);
}

/** The document's sources, checked. */
export function readPauses(document) {
  return list(document?.sources).map((item) => ({
    cluster: text(item.cluster, ""),
    node: text(item.node),
    source: text(item.source),
    runtime: text(item.runtime, ""),
    state: text(item.state, ""),
    age_s: number(item.last_watched_s),
    observed_s: number(item.observed_s),
    unwatched_s: number(item.unwatched_s),
    unwatched: gaps(item),
    count: number(item.count),
    countOf: text(item.count_of, "pauses"),
    recorded: number(item.recorded) ?? number(item.count),
    total_s: number(item.total_s),
    perHour: number(item.per_hour),
    p50_s: number(item.p50_s),
    p99_s: number(item.p99_s),
    max_s: number(item.max_s),
    maxUpper_s: number(item.max_upper_s),
    summed: number(item.not_seen_singly) ?? 0,
    residual_s: number(item.residual_p999_s),
    residualUpper_s: number(item.residual_p999_upper_s),
    curve: curvePoints(list(item.curve).map((p) => [number(p.exceedance), number(p.duration_s)]), number(item.recorded) ?? number(item.count)),
    causes: object(item.causes),
    longest: list(item.longest).map(pause),
    timeline: (Array.isArray(item.timeline) ? list(item.timeline) : list(item.longest)).map(pause),
  }));
}

/** {node, duration_s, cause} of the sources' worst pause; duration null when they had none, undefined when there are none. */
export function worstPause(sources) {
  const found = sources.filter((source) => source.runtime !== "disk" && (source.count !== null || source.max_s !== null)).map((source) => {
    const top = source.longest[0];
    return { node: source.node, duration_s: source.count === 0 ? null : (top?.duration_s ?? source.max_s), cause: top?.cause ?? "unknown" };
  });
  return found.sort((a, b) => (b.duration_s ?? -1) - (a.duration_s ?? -1))[0];
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
  chart.state = { marks, asOf };
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
        y: { distr: 3, log: 10, range: (u, low, high) => (low > 0 ? [10 ** Math.floor(Math.log10(low * 0.99)), 10 ** Math.ceil(Math.log10(high * 1.01))] : [1e-3, 1]) }, // zoomed to nothing, there is no low
      },
      axes: [timeAxis(), axis({ size: 70, values: (u, splits) => splits.map((v) => (v !== null && /^1(e|0*$)/.test(Number(v.toPrecision(3)).toExponential()) ? duration(v, 1) : null)) })],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(u) => drawMarks(u, chart.state.marks, (one) => one.duration_s)] },
    }),
  });
}

/** Both ends of what is known of the longest where some were not seen singly. */
function longestLength(source) {
  const least = source.longest[0].duration_s;
  return source.summed > 0 && source.maxUpper_s > least * 1.01 ? `${duration(least)} … ${duration(source.maxUpper_s)}` : duration(least);
}

function waits(source) {
  if (source.residual_s === null) return null;
  const least = duration(source.residual_s);
  const said = source.residualUpper_s === null || source.residualUpper_s <= source.residual_s ? least : duration(source.residualUpper_s);
  return h("span", { class: "muted reason", title: "a request that arrives at a random moment waits no longer than this for pauses, 99.9 % of the time" }, `waits ≤ ${said}`);
}

function longestOf(source, key) {
  if (source.longest.length === 0) return h("span", { class: "muted" }, "none");
  return h("details", { "data-key": `longest ${key}` },
    h("summary", {}, causeMark(source.longest[0].cause), ` ${longestLength(source)} ${words(source.longest[0].cause)}`),
    h("ol", { class: "longest" }, source.longest.slice(0, 10).map((one) => h("li", {},
      h("b", { class: "figure" }, one.together > 1 ? `${count(one.together)} in ${duration(one.sum_s)}` : duration(one.duration_s)), ` ${words(one.cause)}`,
      one.together > 1 ? h("span", { class: "muted" }, `, not seen singly: ${duration(one.duration_s)} on average`) : null,
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
          stateNote(source),
          waits(source)),
        h("td", { class: "right nowrap figure" }, span(source.observed_s), source.unwatched_s > 0 ? h("span", { class: "muted reason" }, `${span(source.unwatched_s)} unwatched`) : null),
        h("td", { class: "right figure" }, count(source.count), source.countOf === "pauses" ? null : h("span", { class: "muted" }, ` ${source.countOf}`)),
        h("td", { class: "right figure" }, source.perHour === null ? "–" : count(source.perHour)),
        h("td", { class: "right nowrap figure" }, duration(source.p50_s)),
        h("td", { class: "right nowrap figure" }, duration(source.p99_s)),
        h("td", {}, longestOf(source, `${source.node} ${source.source}`)))))));
}

/** Draw the section for these sources and what is beside them; `state` is {from, asOf, alone, label}. */
export function drawPauses(sources, beside, state) {
  drawChart(sources, state);
  byId("pauses-lanes-figure").hidden = sources.length === 0;
  if (sources.length > 0) drawLanes(sources, state);
  const lines = [
    ...sources.map((source) => ({ name: source.source, node: source.node, curve: source.curve, n: source.recorded, what: "pauses", observed_s: source.observed_s })),
    ...beside.disks.map((disk) => ({ name: disk.source, node: disk.node, curve: disk.curve, n: disk.n, what: "fsyncs", observed_s: disk.observed_s })),
  ];
  byId("pauses-curves-figure").hidden = lines.every((line) => line.curve.length < 2);
  if (!byId("pauses-curves-figure").hidden) drawCurves(lines, state.alone);
  redraw(byId("pauses-table"), sources.length === 0 ? null : table(sources, state.alone));
  drawSurroundings(beside, state.alone);
}

/** Rows for a CSV file. */
export function pauseRows(sources) {
  return [
    ["node", "source", "runtime", "at_unix_s", "duration_s", "cause", "confidence", "pauses", "sum_s"],
    ...sources.flatMap((source) => source.timeline.map((one) => [source.node, source.source, source.runtime, one.at, one.duration_s, one.cause, one.confidence, one.together, one.sum_s ?? one.duration_s])),
  ];
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetPauses() {
  chart?.forget();
  forgetLanes();
  forgetCurves();
}
