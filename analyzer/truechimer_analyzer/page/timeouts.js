// First timeouts: for each use what the evidence supports, or what is missing.

import { h, redraw } from "./dom.js";
import { count, duration, plain, span, words } from "./format.js";
import { list, number, object, text } from "./values.js";

/** The document's evidence and uses, checked. */
export function readTimeouts(document) {
  const evidence = object(document?.evidence);
  return {
    paths: number(evidence.paths),
    samples: number(evidence.samples),
    span_s: number(evidence.span_s),
    rate_hz: number(evidence.rate_hz),
    uses: list(document?.uses).map((item) => {
      const falses = object(item.false_per_month);
      const detection = object(item.detection_s);
      const refused = item.refused === null || item.refused === undefined ? null : object(item.refused);
      const strictest = object(item.strictest_supported);
      return {
        use: text(item.use),
        timeout_s: number(item.timeout_s),
        estimate: number(falses.estimate),
        upper: number(falses.upper),
        detection_s: number(detection.mean),
        binding: text(item.binding, ""),
        basis: text(item.basis, ""),
        refused: refused && { reason: text(refused.reason, "not enough evidence"), needed_s: number(refused.needed_s) },
        strictest: number(strictest.timeout_s) === null ? null : { timeout_s: number(strictest.timeout_s), perMonth: number(strictest.false_per_month) },
      };
    }),
  };
}

function refusal(use) {
  return h("td", { colspan: "5", class: "refused" },
    h("b", {}, "Not yet: "), use.refused.reason.replace(/[.\s]*$/, "."),
    use.refused.needed_s === null || /\bneeds?\b/i.test(use.refused.reason) ? null : ` Needs ${span(use.refused.needed_s)} more.`,
    use.strictest === null ? null : h("span", { class: "muted" },
      ` Strictest supported now: ${duration(use.strictest.timeout_s)}, ${plain(use.strictest.perMonth)} false alarms a month.`));
}

/** Draw the section. */
export function drawTimeouts(body, timeouts) {
  if (timeouts.uses.length === 0) {
    redraw(body, h("p", { class: "empty" }, "No timeout can be derived yet: it takes round trips to some peer."));
    return;
  }
  redraw(body, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of timeouts", "data-scroll": "timeouts", "data-key": "timeouts scroll" },
    h("table", { class: "compact" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Use"),
        h("th", { scope: "col", class: "right" }, "Timeout"),
        h("th", { scope: "col", class: "right" }, "False a month"),
        h("th", { scope: "col", class: "right" }, "At most (95 %)"),
        h("th", { scope: "col", class: "right" }, "Detects within"),
        h("th", { scope: "col" }, "Set by"))),
      h("tbody", {}, timeouts.uses.map((use) => h("tr", { class: use.refused ? "is-refused" : null },
        h("th", { scope: "row" }, words(use.use)),
        use.refused ? refusal(use) : [
          h("td", { class: "right nowrap figure" }, h("b", {}, duration(use.timeout_s))),
          h("td", { class: "right figure" }, plain(use.estimate)),
          h("td", { class: "right figure" }, plain(use.upper)),
          h("td", { class: "right nowrap figure" }, duration(use.detection_s)),
          h("td", {}, use.binding || "–", use.basis ? h("span", { class: "muted" }, ` ${use.basis}`) : null),
        ]))))));
}

/** One line on what the timeouts rest on. */
export function timeoutsNote(timeouts) {
  if (timeouts.samples === null) return "";
  const rate = timeouts.rate_hz === null ? "" : `; a month is 30 days at ${plain(timeouts.rate_hz)} operations a second`;
  return `from ${count(timeouts.samples)} round trips on ${count(timeouts.paths)} ${timeouts.paths === 1 ? "path" : "paths"} over ${span(timeouts.span_s)}${rate}`;
}

/** Rows for a CSV file. */
export function timeoutRows(timeouts) {
  return [
    ["use", "timeout_s", "false_per_month_estimate", "false_per_month_upper", "detection_mean_s", "binding", "basis", "refused", "needed_s"],
    ...timeouts.uses.map((u) => [u.use, u.timeout_s, u.estimate, u.upper, u.detection_s, u.binding, u.basis, u.refused?.reason, u.refused?.needed_s]),
  ];
}
