// How long pauses are, by percentile, each line with the time it was watched.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { Chart } from "./chart.js";
import { byId, h } from "./dom.js";
import { count, duration, span } from "./format.js";
import { ink, lineStyle } from "./palette.js";
import { lineMark, percentileAxes, within } from "./percentileaxes.js";

const MOST_LINES = 8;
let chart;

function label(line, alone) {
  return alone ? line.name : `${line.node} ${line.name}`;
}

/** Draw a line for each of these sources and disks ({name, node, curve, n, what, observed_s}) with a curve. */
export function drawCurves(lines, alone) {
  chart ??= new Chart(byId("pauses-curves"));
  const shown = lines.filter((line) => line.curve.length > 1).slice(0, MOST_LINES);
  byId("pauses-curves-legend").replaceChildren(
    ...shown.map((line, i) => h("li", {}, lineMark(i), ` ${label(line, alone)} `, h("span", { class: "muted" }, `${count(line.n)} ${line.what} in ${span(line.observed_s)}`))));
  if (shown.length === 0) {
    chart.empty("Too few pauses for a curve.");
    return;
  }
  const data = uPlot.join(shown.map((line) => [line.curve.map((p) => p[0]), line.curve.map((p) => p[1])]));
  chart.draw({
    signature: `curves ${shown.map((line) => label(line, alone)).join(", ")}`,
    data,
    describe: `Lengths by percentile; ${shown.map((line) => `${label(line, alone)}: ${count(line.n)} ${line.what} in ${span(line.observed_s)}, the longest ${duration(line.curve.at(-1)[1])}`).join("; ")}`,
    hint: "of the pauses, not of the time: what a request meets is in the table",
    read: (index, u) => {
      const values = u.data.slice(1).flatMap((column, i) => (column[index] === null || column[index] === undefined ? [] : [`${label(shown[i], alone)} ${duration(column[index])}`]));
      return `${within(u.data[0][index])}: ${values.join(", ")}`;
    },
    options: () => ({
      height: 240,
      ...percentileAxes(),
      series: [{}, ...shown.map((line, i) => {
        const { colour, dash } = lineStyle(i);
        return { stroke: ink(colour), width: 2, dash, spanGaps: true, points: { show: false } };
      })],
    }),
  });
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetCurves() {
  chart?.forget();
}
