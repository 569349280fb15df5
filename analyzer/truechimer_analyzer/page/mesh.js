// The mesh: how far apart any two clocks of a cluster can be, and what lies between its nodes, as heatmaps.

import { byId, h, redraw } from "./dom.js";
import { count, duration, percent, signed } from "./format.js";
import { Heatmap, logScale, scaleLegend } from "./heatmap.js";
import { JUDGEMENTS } from "./palette.js";
import { judged, most, pairKey } from "./skew.js";
import { change } from "./view.js";

/** So many nodes a side, and so many pairs of them, at most. */
const MOST_NODES = 200;
export const MOST_PAIRS = (MOST_NODES * (MOST_NODES - 1)) / 2;
const LEAST_LOSS = 0.25;
/** What a heatmap may show: names of the switch, of the scale, and of what is missing. */
export const MAPS = {
  skew: { name: "Skew bound", says: "the most by which two wall clocks can differ", lacks: "No two clocks of this cluster are bounded against each other yet." },
  p50: { name: "RTT p50", says: "median round trip; row probes column", lacks: "No node of this cluster probes another yet." },
  p99: { name: "RTT p99", says: "99th percentile of round trips; row probes column", lacks: "No node of this cluster probes another yet." },
  there: { name: "Loss there", says: "share of probes lost on the way from row to column", lacks: "Nothing tells losses by direction yet: that takes STAMP between agents ([mesh])." },
  back: { name: "Loss back", says: "share of replies lost on the way from column to row", lacks: "Nothing tells losses by direction yet: that takes STAMP between agents ([mesh])." },
};
const WAYS = { there: ["lostForward", "forwardRatio", "forwardUpper", "on the way there"], back: ["lostBackward", "backwardRatio", "backwardUpper", "on the way back"] };
let map;
let present;

/** The best of a pair's paths: the mesh's own, then others that were probed; never the kernel's estimates. */
function rank(path) {
  return ["stamp", "icmp", "tcp"].indexOf(path.via) * 100 + (path.dscp ? 1 : 0);
}

/** The path of each pair by `pairKey`, of those between nodes of the cluster. */
function between(paths, cluster, known) {
  const found = new Map();
  for (const path of paths) {
    if (rank(path) < 0 || (path.cluster !== "" && path.cluster !== cluster)) continue;
    if (path.via !== "stamp" && !known.has(path.peer)) continue;
    const key = pairKey(path.node, path.peer);
    if (!found.has(key) || rank(path) < rank(found.get(key))) found.set(key, path);
  }
  return found;
}

/** What the section shows: the cluster's nodes in order, its answer on skew (or undefined), its paths. */
export function meshOf(clusters, paths, clocks, cluster) {
  const members = clocks.nodes.filter((node) => node.cluster === cluster).map((node) => node.name);
  const skew = clusters.find((each) => each.name === cluster);
  const routes = between(paths, cluster, new Set(members));
  const names = new Set([...(skew?.nodes ?? []), ...[...routes.values()].flatMap((path) => [path.node, path.peer])]);
  const ordered = [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return { cluster, skew, routes, names: ordered, limit_s: skew?.limit_s ?? null };
}

function interval(bounds) {
  return bounds === null ? "not bounded" : `between ${signed(bounds[0])} and ${signed(bounds[1])}`;
}

function against(judgement, limit_s) {
  const words = judgement === "unproven" ? "not proven within the limit" : JUDGEMENTS[judgement].words;
  return `${words} of ${duration(limit_s, 2)}`;
}

function liars(k) {
  return k === 1 ? "with any one node lying" : `with any ${k ?? "k"} nodes lying`;
}

function skewCell(mesh, a, b) {
  const pair = mesh.skew?.pairs.get(pairKey(a, b));
  // What contradicts itself proves nothing as a whole: what holds whoever lied then remains.
  const bounds = pair?.plain ?? pair?.k ?? null;
  const value = most(bounds);
  const judgement = judged(bounds, mesh.limit_s);
  return { value, mark: value === null || mesh.limit_s === null ? "" : { proven_within: "", unproven: "?", proven_beyond: "✕" }[judgement] };
}

function saySkew(mesh, a, b) {
  const pair = mesh.skew?.pairs.get(pairKey(a, b));
  const bounds = pair?.plain ?? pair?.k ?? null;
  const why = mesh.skew?.missing.get(pairKey(a, b)) ?? "";
  if (bounds === null) return `${b} − ${a}: not bounded${why && ` (${why})`}`;
  const judgement = mesh.limit_s === null ? "" : `; ${against(judged(bounds, mesh.limit_s), mesh.limit_s)}`;
  const plain = pair.plain === null ? "" : `${interval(pair.plain)}; `;
  return `${b} − ${a}: ${plain}${liars(mesh.skew.k)} ${interval(pair.k)}${judgement}.`;
}

function sayDelay(path, field) {
  const value = path.quantiles[field === "p50" ? "p50_s" : "p99_s"];
  const name = path.dscp ? `${path.via}, DSCP ${path.dscp}` : path.via;
  const found = value === null ? `too few replies for a ${field}` : `${field} ${duration(value)}`;
  return `${path.node} → ${path.peer}: ${found}, longest ${duration(path.quantiles.max_s)}; ${count(path.replies)} replies (${name}).`;
}

function sayLoss(path, way) {
  const [lost, ratio, upper, words] = WAYS[way];
  if (path[lost] === null) return `${path.node} → ${path.peer}: nothing tells the direction of its losses (${path.via}).`;
  const open = (path.undetermined ?? 0) + (path.unknown ?? 0);
  const share = path[ratio] === null ? "" : `, ${percent(path[ratio])}`;
  const limit = path[upper] === null ? "" : `, at most ${percent(path[upper])} (95 %)`;
  return `${path.node} → ${path.peer}: ${count(path[lost])} of ${count(path.sent)} lost ${words}${share}${limit}${open > 0 ? `; direction of ${count(open)} more unknown` : ""}.`;
}

function valueOf(mesh, kind, a, b) {
  if (kind === "skew") return skewCell(mesh, a, b);
  const path = mesh.routes.get(pairKey(a, b));
  if (path === undefined) return { value: null, mark: "" };
  if (kind === "p50" || kind === "p99") return { value: path.quantiles[`${kind}_s`], mark: "" };
  const [lost, ratio] = WAYS[kind];
  if (path[lost] === null) return { value: null, mark: "" };
  // Nothing proven lost here, yet some whose direction nobody can tell.
  return { value: path[ratio], mark: path[lost] === 0 && (path.undetermined ?? 0) > 0 ? "?" : "" };
}

function say(mesh, kind, a, b) {
  if (a === b) return `${a}: the same node`;
  if (kind === "skew") return saySkew(mesh, a, b);
  const path = mesh.routes.get(pairKey(a, b));
  if (path === undefined) return `${a} → ${b}: not probed`;
  return kind === "p50" || kind === "p99" ? sayDelay(path, kind) : sayLoss(path, kind);
}

/** The nodes with the worst figures, at most so many, in the order of names. */
function shownNames(mesh, kind) {
  if (mesh.names.length <= MOST_NODES) return mesh.names;
  const worst = new Map(mesh.names.map((name) => [name, 0]));
  const pairs = kind === "skew" ? mesh.skew?.pairs : mesh.routes;
  for (const key of pairs?.keys() ?? []) {
    const [a, b] = key.split("\n");
    const { value } = valueOf(mesh, kind, a, b);
    for (const name of [a, b]) worst.set(name, Math.max(worst.get(name) ?? 0, value ?? 0));
  }
  const kept = new Set([...mesh.names].sort((a, b) => worst.get(b) - worst.get(a)).slice(0, MOST_NODES));
  return mesh.names.filter((name) => kept.has(name));
}

function legend(mesh, kind, scale, format, cells) {
  const marks = new Set(cells.map((cell) => cell.mark));
  const loss = kind in WAYS;
  redraw(byId("mesh-legend"),
    scale && scaleLegend(format(scale.least), format(scale.greatest)),
    loss && cells.some((cell) => cell.value === 0) && h("li", {}, "lowest of the scale: none seen"),
    marks.has("✕") && h("li", {}, h("b", {}, "✕"), ` ${against("proven_beyond", mesh.limit_s)}`),
    marks.has("?") && h("li", {}, h("b", {}, "?"), loss ? " the direction of some losses is not known yet" : ` ${against("unproven", mesh.limit_s)}`),
    cells.some((cell) => cell.value === null) && h("li", {}, h("span", { class: "struck", "aria-hidden": "true" }), kind === "skew" ? "not bounded" : "nothing measured"));
}

/** Where a value lies between the scale's colours; none lost is a colour of its own. */
function share(kind, scale, value) {
  if (value === 0 || scale === null) return 0;
  return kind in WAYS ? LEAST_LOSS + (1 - LEAST_LOSS) * scale.place(value) : scale.place(value);
}

function drawMap(mesh, view) {
  const kind = view.mesh;
  map ??= new Heatmap(byId("mesh-map"), (i, j) => {
    const [a, b] = [present.names[i], present.names[j]];
    if (a !== b) change({ path: present.mesh.routes.get(pairKey(a, b))?.key ?? `${a}>${b}>` });
  });
  const names = shownNames(mesh, kind);
  const cells = names.flatMap((a) => names.filter((b) => b !== a).map((b) => valueOf(mesh, kind, a, b)));
  present = { names, mesh };
  byId("mesh-says").textContent = `${MAPS[kind].says}${names.length < mesh.names.length ? `; the worst ${names.length} of ${mesh.names.length} nodes` : ""}`;
  const measured = cells.filter((cell) => cell.value !== null);
  if (measured.length === 0) {
    byId("mesh-legend").replaceChildren();
    map.empty(MAPS[kind].lacks);
    return;
  }
  const scale = logScale(measured.map((cell) => cell.value));
  const format = kind in WAYS ? percent : (value) => duration(value, 2);
  legend(mesh, kind, scale, format, cells);
  const worst = measured.reduce((a, b) => (b.value > a.value ? b : a));
  map.draw({
    names,
    cell: (i, j) => {
      const { value, mark } = valueOf(mesh, kind, names[i], names[j]);
      return { share: value === null ? null : share(kind, scale, value), mark };
    },
    say: (i, j) => say(mesh, kind, names[i], names[j]),
    describe: `${MAPS[kind].name}: ${names.length} by ${names.length} nodes of ${mesh.cluster || "the cluster"}, ${MAPS[kind].says}; the worst ${format(worst.value)}`,
    hint: "point at a cell, or use the arrow keys",
    chosen: chosenCell(names, view.path),
  });
}

function chosenCell(names, path) {
  for (const [i, a] of names.entries()) {
    if (!path.startsWith(`${a}>`)) continue;
    const j = names.findIndex((b) => path.startsWith(`${a}>${b}>`));
    if (j !== -1) return [i, j];
  }
  return undefined;
}

function drawSwitch(kind) {
  const element = byId("mesh-switch");
  if (element.dataset.kind === kind) return;
  element.dataset.kind = kind;
  redraw(element, ...Object.entries(MAPS).map(([id, { name }]) =>
    h("button", { type: "button", class: "switch", "data-key": `map ${id}`, "aria-pressed": String(id === kind), onclick: () => change({ mesh: id }) }, name)));
}

function accusation(found) {
  const said = [
    found.certain.length > 0 ? `Proven wrong: ${found.certain.join(", ")}.` : "",
    found.oneOf.length > 0 ? `One of ${found.oneOf.join(", ")} is wrong; which one is not proven.` : "",
    found.suspects.length > 0 && found.certain.length + found.oneOf.length === 0 ? `Suspected, not proven: ${found.suspects.join(", ")}.` : "",
    found.moreThanK ? "More nodes are wrong than were allowed for." : "",
  ].filter(Boolean);
  if (said.length === 0) said.push("Which of them is wrong is not proven.");
  const cycle = found.cycle.length > 0 ? ` ${[...found.cycle, found.cycle[0]].join(" → ")}${found.excess_s === null ? "" : ` by ${duration(Math.abs(found.excess_s))}`}.` : "";
  return h("p", { class: "liars" }, h("b", {}, "The measurements contradict each other. "), said.join(" "), cycle && h("span", { class: "muted" }, ` Around${cycle}`));
}

function fact(name, value, title = "") {
  return h("div", { title }, h("dt", {}, name), h("dd", { class: "figure" }, value));
}

function epsilon(skew, several) {
  const k = skew.k ?? 1;
  const limit = skew.judgement === null || skew.limit_s === null ? null
    : [h("span", { class: "sign", "aria-hidden": "true" }, JUDGEMENTS[skew.judgement].sign), against(skew.judgement, skew.limit_s)];
  return h("div", { class: "epsilon", "data-judgement": skew.judgement ?? "unproven", "data-cluster": skew.name },
    h("p", { class: "epsilon-main" },
      h("span", { class: "epsilon-name" }, `ε${several || skew.name ? ` of ${skew.name || "the cluster"}` : ""}`),
      h("span", { class: "epsilon-figure" }, skew.epsilon_s === null ? "not proven" : duration(skew.epsilon_s)),
      h("span", { class: "muted" }, skew.epsilon_s === null ? (skew.why || "some clocks are not bounded against each other") : "no two wall clocks differ by more, if all that was measured is true")),
    h("dl", { class: "facts" },
      fact(`ε${sub(k)}`, [skew.epsilonK_s === null ? "not proven" : duration(skew.epsilonK_s), h("span", { class: "muted" }, ` ${liars(k)} (k = ${count(k)})`)], skew.whyK || "the worst over every removal of up to k nodes"),
      fact("Commit wait", duration(skew.commitWait_s), "wait so long before a commit is told, and no other node's clock is behind its time stamp"),
      fact("Last write wins", skew.lwwGap_s === null ? "–" : `safe beyond ${duration(skew.lwwGap_s)}`, "of two writes closer together than this, the later may be dropped"),
      skew.worst && fact("Worst pair", skew.worst.join(" – ")),
      limit && fact("Configured maximum", limit),
      skew.leftOut.length > 0 && fact("Left out", skew.leftOut.map((one) => h("span", { class: "left-out", title: one.why }, one.node)))),
    skew.inconsistent && accusation(skew.inconsistent));
}

function sub(k) {
  return String(k).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}

/** Draw the section. `clusters` are of `readSkew`; `lacking` says why there are none ("" when there are). */
export function drawMesh(mesh, clusters, view, lacking) {
  const ordered = clusters.filter((each) => each.nodes.length > 1).sort((a, b) => (b.name === mesh.cluster) - (a.name === mesh.cluster));
  redraw(byId("mesh-answer"), ...ordered.map((each) => epsilon(each, clusters.length > 1)),
    lacking !== "" && h("p", { class: "muted lacking" }, lacking));
  drawSwitch(view.mesh);
  drawMap(mesh, view);
}

/** Whether there is anything between nodes to show. */
export function hasMesh(mesh, clusters) {
  return clusters.some((each) => each.nodes.length > 1) || mesh.routes.size > 0;
}

/** Rows for a CSV file: every pair of the cluster, in the documents' units; blank where nothing is known. */
export function meshRows(mesh) {
  const rows = [["cluster", "a", "b", "skew_lower_s", "skew_upper_s", "skew_lower_k_s", "skew_upper_k_s", "via", "replies", "p50_s", "p99_s", "sent", "lost_forward", "lost_backward", "lost_undetermined"]];
  for (const a of mesh.names) {
    for (const b of mesh.names) {
      const pair = mesh.skew?.pairs.get(pairKey(a, b));
      const path = mesh.routes.get(pairKey(a, b));
      if (a === b || (pair === undefined && path === undefined)) continue;
      rows.push([mesh.cluster, a, b, pair?.plain?.[0], pair?.plain?.[1], pair?.k?.[0], pair?.k?.[1], path?.via, path?.replies, path?.quantiles.p50_s, path?.quantiles.p99_s, path?.sent, path?.lostForward, path?.lostBackward, path?.undetermined]);
    }
  }
  return rows;
}

/** Forget the drawing, so that the next has the present theme's colours. */
export function forgetMesh() {
  delete byId("mesh-switch").dataset.kind;
}
