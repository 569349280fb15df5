// The `clocks` document as the page uses it: checked, in wall − UTC, worst first.

import { list, number, object, text, unixSeconds } from "./values.js";
import { JUDGEMENTS } from "./palette.js";

const WORST_FIRST = ["proven_beyond", "unproven", "proven_within"];
/** Nodes not heard for this long are called stale by the page, whatever their last state was. */
export const STALE_AFTER_S = 60;

/** [lower, upper] of UTC − W as [low, high] of W − UTC; null when either end is unknown. */
function wallMinusUtc(item) {
  const lower = number(item.lower_s);
  const upper = number(item.upper_s);
  return lower === null || upper === null || lower > upper ? null : [0 - upper, 0 - lower];
}

function server(item) {
  return {
    name: text(item.server),
    verdict: text(item.verdict, "unusable"),
    reason: text(item.reason, ""),
    interval: wallMinusUtc(item),
    delay_s: number(item.delay_s),
    stratum: number(item.stratum),
  };
}

function flag(item) {
  return {
    name: text(item.flag),
    since: unixSeconds(item.since),
    due: unixSeconds(item.due),
    clearsAt: unixSeconds(item.clears_at),
    evidence: object(item.evidence),
  };
}

function node(item) {
  const interval = wallMinusUtc(item);
  const offset = number(item.offset_s);
  return {
    cluster: text(item.cluster, ""),
    name: text(item.node),
    key: `${text(item.cluster, "")}/${text(item.node)}`,
    state: text(item.state, "unknown"),
    judgement: typeof item.judgement === "string" && Object.hasOwn(JUDGEMENTS, item.judgement) ? item.judgement : "unproven",
    status: text(item.status, ""),
    reason: text(item.reason, ""),
    interval,
    middle: offset !== null ? 0 - offset : interval && (interval[0] + interval[1]) / 2,
    halfWidth: interval && (interval[1] - interval[0]) / 2,
    frequency: number(item.frequency_ppm),
    frequencyRange: [number(item.frequency_lower_ppm), number(item.frequency_upper_ppm)],
    flags: list(item.flags).map(flag),
    pending: list(item.pending).map(flag),
    servers: list(item.servers).map(server),
    lastSeen_s: number(item.last_seen_s),
  };
}

/** {asOf, window_s, limits, nodes}: nodes worst first. */
export function readClocks(document) {
  const nodes = list(document.nodes).map(node);
  nodes.sort(
    (a, b) =>
      WORST_FIRST.indexOf(a.judgement) - WORST_FIRST.indexOf(b.judgement) ||
      (a.state === "ok") - (b.state === "ok") ||
      a.key.localeCompare(b.key, "en", { numeric: true }),
  );
  const limits = object(document.limits);
  return {
    asOf: unixSeconds(document.as_of),
    window_s: number(document.window_s),
    maxOffset_s: number(limits.max_offset_s ?? document.max_offset_s),
    nodes,
  };
}

/** Whether something that names a node (and perhaps its cluster) is of this node. */
export function isOf(item, node) {
  return item.node === node.name && (item.cluster === "" || item.cluster === node.cluster);
}

/** The node that the view names, else the first. */
export function chosen(clocks, view) {
  const matches = (n) => n.name === view.node && (view.cluster === "" || n.cluster === view.cluster);
  return clocks.nodes.find(matches) ?? (view.node === "" ? clocks.nodes[0] : undefined);
}

