// A lane a source over time: pauses as marks by cause, and hatched where nobody was looking.

import { Chart, axis, timeAxis, timeRange } from "./chart.js";
import { byId } from "./dom.js";
import { count, duration, local, span, utc, utcTime, words } from "./format.js";
import { drawMarks } from "./causes.js";
import { ink } from "./palette.js";

export const MOST_LANES = 12;
const LANE_PX = 26;
const LABEL_PX = 132;
const LEAST_S = 120;
let chart;

/** The sources that have a lane: those that nobody watches any more first, then by time paused. */
export function laned(sources) {
  return [...sources]
    .sort((a, b) => Number(b.state === "unknown") - Number(a.state === "unknown") || (b.total_s ?? 0) - (a.total_s ?? 0))
    .slice(0, MOST_LANES);
}

function name(source, alone) {
  const said = alone ? source.source : `${source.node} ${source.source}`;
  return said.length > 20 ? `${said.slice(0, 19)}…` : said;
}

function hatched(ctx, left, top, width, height) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.globalAlpha = 0.5;
  ctx.strokeStyle = ink("muted");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const step = 6 * devicePixelRatio;
  // From a fixed origin, so that hatching does not crawl while time goes on.
  for (let x = Math.floor((left - height) / step) * step; x < left + width; x += step) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

function drawLanesOf(u, { lanes, unwatched }) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  lanes.forEach((source, lane) => {
    const top = u.valToPos(lane - 0.38, "y", true);
    const height = u.valToPos(lane + 0.38, "y", true) - top;
    ctx.fillStyle = ink("band");
    if (source.observed_s > 0) ctx.fillRect(bbox.left, top, bbox.width, height);
    for (const [from, to] of unwatched[lane]) {
      const left = Math.max(bbox.left, u.valToPos(from, "x", true));
      const width = Math.max(devicePixelRatio, Math.min(bbox.left + bbox.width, u.valToPos(to, "x", true)) - left);
      ctx.fillStyle = ink("surface");
      ctx.fillRect(left, top, width, height);
      hatched(ctx, left, top, width, height);
    }
  });
  ctx.restore();
}

function described(source, unwatched, alone) {
  const gaps = unwatched.map(([from, to]) => `${utcTime(from)} to ${utcTime(to)}`);
  const missing = gaps.length === 0 ? "" : `, nobody looked from ${gaps.slice(0, 5).join(", ")}${gaps.length > 5 ? " and at other times" : ""}`;
  return `${name(source, alone)}: ${count(source.count)} ${source.countOf}, watched for ${span(source.observed_s)}${missing}`;
}

/** Draw the lanes; `state` is {from, asOf, alone, label} in Unix seconds. */
export function drawLanes(sources, { from, asOf, alone, label }) {
  chart ??= new Chart(byId("pauses-lanes"));
  const lanes = laned(sources);
  if (lanes.length === 0 || from === null || asOf === null) {
    chart.empty("Nobody watched for pauses in the window.");
    return;
  }
  const unwatched = lanes.map((source) => (source.observed_s > 0 ? source.unwatched : [[from, asOf]]));
  const marks = lanes
    .flatMap((source, lane) => source.timeline.map((one) => ({ ...one, source, lane })))
    .filter((one) => one.at !== null && one.duration_s !== null)
    .sort((a, b) => a.at - b.at);
  // Ends without a mark, so that the chart spans the window and the cursor finds a point in an empty one.
  const items = [{ at: Math.min(from, marks[0]?.at ?? from) }, ...marks, { at: Math.max(asOf, marks.at(-1)?.at ?? asOf) }];
  chart.state = { items, marks, lanes, unwatched, asOf };
  chart.draw({
    signature: `lanes ${label} ${lanes.map((source) => `${source.node} ${source.source}`).join(", ")}`,
    data: [items.map((one) => one.at), items.map((one) => one.lane ?? null)],
    describe: `Pauses of ${label} over time, a lane each. ${lanes.map((source, lane) => described(source, unwatched[lane], alone)).join("; ")}`,
    hint: lanes.length < sources.length ? `${lanes.length} of ${count(sources.length)} sources; hatched: nobody was looking` : "hatched: nobody was looking",
    read: (index) => {
      const one = chart.state.items[index];
      if (one?.source === undefined) return "";
      return `${utc(one.at)} (${local(one.at)}): ${duration(one.duration_s)}, ${words(one.cause)}, ${one.source.source} on ${one.source.node}`;
    },
    options: () => ({
      height: lanes.length * LANE_PX + 46,
      scales: {
        x: { time: true, range: timeRange(chart, LEAST_S) },
        y: { dir: -1, range: () => [-0.5, chart.state.lanes.length - 0.5] },
      },
      axes: [
        timeAxis(),
        axis({
          size: LABEL_PX, grid: { show: false }, ticks: { show: false },
          splits: () => chart.state.lanes.map((_, lane) => lane), filter: (u, splits) => splits,
          values: () => chart.state.lanes.map((source) => name(source, alone)),
        }),
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: {
        drawAxes: [(u) => drawLanesOf(u, chart.state)],
        draw: [(u) => drawMarks(u, chart.state.marks, (one) => one.lane)],
      },
    }),
  });
}


/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetLanes() {
  chart?.forget();
}
