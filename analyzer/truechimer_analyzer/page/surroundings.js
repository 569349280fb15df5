// Beside the pauses: the watched processes, how full their heaps are, and the disks.

import { byId, h, redraw } from "./dom.js";
import { count, duration, percent, span, words } from "./format.js";
import { curvePoints } from "./percentileaxes.js";
import { list, number, object, text } from "./values.js";

function named(item) {
  return {
    cluster: text(item.cluster, ""),
    node: text(item.node),
    source: text(item.source, text(item.disk, "?")),
    state: text(item.state, ""),
    age_s: number(item.last_watched_s),
    observed_s: number(item.observed_s),
  };
}

/** The document's processes, heaps and disks, checked. */
export function readSurroundings(document) {
  return {
    processes: list(document?.processes).map((item) => ({
      ...named(item),
      processes: number(item.processes),
      started: number(item.started),
      ended: number(item.ended),
      run_s: number(item.run_s),
      delay_s: number(item.run_delay_s),
      delayRatio: number(item.run_delay_ratio),
      worstDelay_s: number(item.run_delay_max_s),
      faults: number(item.major_faults),
      throttled_s: number(item.throttled_s),
      stopped_s: number(item.stopped_s),
      frozen_s: number(item.frozen_s),
    })),
    heaps: list(document?.heaps).map((item) => ({
      ...named(item),
      used: number(item.old_used_bytes),
      limit: number(item.old_limit_bytes),
      full: number(item.old_full_ratio),
      fullest: number(item.old_full_ratio_max),
      collecting_s: number(item.collecting_s),
      warning: text(item.warning, ""),
    })),
    disks: list(document?.disks).map((item) => {
      const n = number(object(item.outcomes).done);
      return {
        ...named(item),
        probes: number(item.probes),
        failed: number(object(item.outcomes).failed),
        hung: number(object(item.outcomes).hung) ?? 0,
        n,
        quantiles: ["p50_s", "p99_s", "p999_s", "max_s"].map((field) => number(item[field])),
        curve: curvePoints(list(item.curve).map((p) => [number(p.exceedance), number(p.duration_s)]), n),
      };
    }),
  };
}

/** `unknown for 5 min`, where nobody is watching any more; nothing else. */
export function stateNote({ state, age_s }) {
  if (state === "" || state === "watched") return null;
  return h("span", { class: "unwatched" }, age_s === null ? "never watched" : `${words(state)}: nobody has looked for ${span(age_s)}`);
}

function heading(item) {
  return h("th", { scope: "row", title: item.source }, item.source, stateNote(item));
}

function figure(value) {
  return h("td", { class: "right nowrap figure" }, value);
}

function table(title, key, alone, headings, rows) {
  if (rows.length === 0) return null;
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title, "data-scroll": key, "data-key": `${key} scroll` },
    h("table", { class: "compact" },
      h("thead", {}, h("tr", {}, [alone ? null : "Node", ...headings].map((name, i) => name && h("th", { scope: "col", class: i > 1 ? "right" : null }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row)))));
}

function node(item, alone) {
  return alone ? null : h("td", {}, item.node);
}

function processes(items, alone) {
  return table("Table of watched processes", "processes", alone,
    ["Process", "Now", "Started, ended", "Ran", "Waited for a CPU", "One task at most", "Major faults", "Throttled", "Stopped", "Frozen"],
    items.map((item) => [
      node(item, alone), heading(item),
      h("td", { class: "right figure" }, item.processes === 0 ? h("b", { class: "lost" }, "0") : count(item.processes)),
      figure(`${count(item.started)}, ${count(item.ended)}`),
      figure(duration(item.run_s)),
      h("td", { class: "right nowrap figure" }, duration(item.delay_s), item.delayRatio === null ? null : h("span", { class: "muted" }, ` ${percent(item.delayRatio)} of what it wanted`)),
      figure(duration(item.worstDelay_s)), figure(count(item.faults)),
      figure(duration(item.throttled_s)), figure(duration(item.stopped_s)), figure(duration(item.frozen_s)),
    ]));
}

function warning(item) {
  if (item.warning === "nearly_full") return h("b", { class: "lost" }, "nearly full: a full collection is near");
  if (item.warning === "collecting") return `collecting for ${duration(item.collecting_s)}`;
  return "";
}

function mebibytes(bytes) {
  return bytes === null ? "–" : `${count(bytes / 1048576)} MiB`;
}

function heaps(items, alone) {
  return table("Table of heaps", "heaps", alone, ["Heap of", "Old generation", "Limit", "Full", "Fullest", ""], items.map((item) => [
    node(item, alone), heading(item), figure(mebibytes(item.used)), figure(mebibytes(item.limit)),
    figure(percent(item.full)), figure(percent(item.fullest)), h("td", { class: "right" }, warning(item)),
  ]));
}

function disks(items, alone) {
  return table("Table of disks", "disks", alone, ["Disk, write and fsync", "Probes", "Failed", "p50", "p99", "p99.9", "max"], items.map((item) => [
    node(item, alone), heading(item),
    h("td", { class: "right nowrap figure" }, count(item.probes), h("span", { class: "muted" }, ` in ${span(item.observed_s)}`)),
    h("td", { class: "right figure" }, item.failed > 0 ? h("b", { class: "lost" }, count(item.failed)) : count(item.failed), item.hung > 0 ? h("b", { class: "lost" }, " hung") : null),
    ...item.quantiles.map((value) => figure(duration(value))),
  ]));
}

/** Draw the tables of these. */
export function drawSurroundings({ processes: watched, heaps: full, disks: probed }, alone) {
  redraw(byId("pauses-beside"), processes(watched, alone), heaps(full, alone), disks(probed, alone));
}
