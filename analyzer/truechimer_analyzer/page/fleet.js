// The fleet: one row a node, its interval of wall − UTC drawn to one shared scale.

import { h, redraw, s } from "./dom.js";
import { aheadBehind, ago, duration, evidence, local, ppm, signed, utc, words } from "./format.js";
import { JUDGEMENTS } from "./palette.js";
import { WIDTH, labels, sharedScale, x } from "./scale.js";
import { STALE_AFTER_S, isOf } from "./clocks.js";
import { worstPause } from "./pauses.js";
import { change, fragment } from "./view.js";

const HEIGHT = 26;

/** What a screen reader says for an interval. */
export function spoken(interval) {
  if (interval === null) return "no interval known";
  return `wall clock minus UTC between ${signed(interval[0])} and ${signed(interval[1])}`;
}

function bar(node, scale, limit) {
  const picture = s("svg", { class: "bar-picture", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": spoken(node.interval) });
  for (const tick of scale.ticks) {
    picture.append(s("line", { class: tick === 0 ? "zero" : "tick", x1: x(scale, tick), x2: x(scale, tick), y1: 0, y2: HEIGHT }));
  }
  if (limit !== null && limit <= scale.end) {
    for (const edge of [-limit, limit]) picture.append(s("line", { class: "limit", x1: x(scale, edge), x2: x(scale, edge), y1: 0, y2: HEIGHT }));
  }
  if (node.interval === null) {
    picture.append(s("rect", { class: "unbounded", x: 6, y: 9, width: WIDTH - 12, height: 8, rx: 4 }));
    return picture;
  }
  const [low, high] = node.interval.map((end) => x(scale, end));
  const width = Math.max(3, high - low);
  picture.append(
    s("rect", { class: "interval", x: (low + high - width) / 2, y: 7, width, height: HEIGHT - 14, rx: Math.min(3, width / 2) }),
    s("line", { class: "middle", x1: x(scale, node.middle), x2: x(scale, node.middle), y1: 5, y2: HEIGHT - 5 }),
  );
  return picture;
}

function axis(scale, limit) {
  const notes = [`scale ${scale.kind}`];
  if (limit !== null) notes.push(limit <= scale.end ? "dashed: the limit" : `limit ${duration(limit, 2)} is off scale`);
  return h("div", {}, h("span", { class: "th-main" }, "behind ← wall clock → ahead"), h("span", { class: "th-note" }, notes.join(", ")), labels(scale, scale.kind === "symlog"));
}

function flags(node) {
  if (node.flags.length + node.pending.length === 0) return h("span", { class: "muted" }, "none");
  return [...node.flags.map((flag, index) => details(node, flag, index, false)), ...node.pending.map((flag, index) => details(node, flag, index, true))];
}

function details(node, flag, index, pending) {
  const when = [
    flag.since === null ? null : h("time", { title: local(flag.since) }, `since ${utc(flag.since)}`),
    pending && flag.due !== null ? `, raised at ${utc(flag.due)} if it lasts` : null,
    !pending && flag.clearsAt !== null ? `, over now: taken back at ${utc(flag.clearsAt)}` : null,
  ];
  return h("details", { class: pending ? "flag pending" : "flag", "data-key": `${pending ? "pending" : "flag"} ${node.key} ${flag.name} ${index}` },
    h("summary", {}, words(flag.name), pending ? h("span", { class: "muted" }, " pending") : null),
    h("p", {}, ...when, when.some((part) => part !== null) ? h("br") : null, evidence(flag.evidence) || "no evidence given"));
}

function offset(node) {
  if (node.interval === null) return h("span", { class: "muted" }, node.reason ? `no bound: ${words(node.reason)}` : "no bound");
  return [
    h("span", { class: "figure" }, aheadBehind(node.middle)),
    h("span", { class: "muted figure" }, ` ± ${duration(node.halfWidth)}`),
  ];
}

function frequency(node) {
  const [low, high] = node.frequencyRange;
  const range = low === null || high === null ? "range unknown" : `between ${ppm(low)} and ${ppm(high)} ppm`;
  return h("span", { class: "figure", title: range }, ppm(node.frequency), node.frequency === null ? null : h("span", { class: "muted" }, " ppm"));
}

function pause(worst) {
  if (worst === undefined) return h("span", { class: "muted" }, "not watched");
  if (worst.duration_s === null) return h("span", { class: "muted" }, "none");
  return [h("span", { class: "figure" }, duration(worst.duration_s)), h("span", { class: "muted" }, ` ${words(worst.cause)}`)];
}

function row(node, { scale, limit, selected, worst, waited_s }) {
  const age = node.lastSeen_s === null ? null : node.lastSeen_s + waited_s;
  const { sign, words: meaning } = JUDGEMENTS[node.judgement];
  const goThere = (event) => {
    if (event.target.closest("a, summary, details")) return;
    change({ cluster: node.cluster, node: node.name });
  };
  return h("tr", { "data-judgement": node.judgement, "data-node": node.name, class: selected ? "selected" : null, onclick: goThere },
    h("th", { scope: "row", title: node.name },
      h("a", { href: fragment({ cluster: node.cluster, node: node.name }), "data-key": `node ${node.key}`, "aria-current": selected ? "true" : null }, node.name),
      node.cluster ? h("span", { class: "muted cluster" }, node.cluster) : null),
    h("td", {}, h("span", { class: "badge", title: meaning },
      h("span", { class: "sign", "aria-hidden": "true" }, sign), words(node.state), h("span", { class: "hidden" }, `, ${meaning}`))),
    h("td", { class: "bar-cell" }, bar(node, scale, limit)),
    h("td", { class: "nowrap" }, offset(node)),
    h("td", { class: "nowrap right" }, frequency(node)),
    h("td", { class: "nowrap" }, pause(worst)),
    h("td", { class: "nowrap", "data-stale": age === null || age > STALE_AFTER_S ? "" : null },
      h("span", { class: "figure", "data-age": node.lastSeen_s }, ago(age))),
    h("td", {}, flags(node)),
  );
}

function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined || !event.target.matches("th a")) return;
  const links = [...event.currentTarget.querySelectorAll("th a")];
  links[links.indexOf(event.target) + step]?.focus();
  event.preventDefault();
}

/** Draw the table; `sources` are the checked pauses, or null. */
export function drawFleet(body, clocks, { chosenKey, sources, waited_s, since }) {
  const limit = clocks.maxOffset_s;
  const scale = sharedScale(clocks.nodes.flatMap((n) => (n.interval === null ? [] : [n.interval])), limit);
  const rows = clocks.nodes.map((node) =>
    row(node, { scale, limit, waited_s, selected: node.key === chosenKey, worst: worstPause((sources ?? []).filter((source) => isOf(source, node))) }));
  redraw(body,
    h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Table of nodes", "data-scroll": "fleet", "data-key": "fleet scroll", onkeydown: walk },
      h("table", {},
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, "Node"),
          h("th", { scope: "col" }, "State"),
          h("th", { scope: "col", class: "bar-cell" }, axis(scale, limit)),
          h("th", { scope: "col" }, "Wall − UTC"),
          h("th", { scope: "col", class: "right" }, "Frequency"),
          h("th", { scope: "col" }, `Worst pause, ${since}`),
          h("th", { scope: "col" }, "Last seen"),
          h("th", { scope: "col" }, "Flags"))),
        h("tbody", {}, rows))));
}

/** The table's rows for a CSV file, in the documents' sign (UTC − W) and units. */
export function fleetRows(clocks) {
  const header = ["cluster", "node", "state", "judgement", "lower_s", "upper_s", "offset_s", "frequency_ppm", "last_seen_s", "flags"];
  return [header, ...clocks.nodes.map((n) => [
    n.cluster, n.name, n.state, n.judgement,
    n.interval && 0 - n.interval[1], n.interval && 0 - n.interval[0], n.middle === null ? null : 0 - n.middle,
    n.frequency, n.lastSeen_s, n.flags.map((f) => f.name).join(" "),
  ])];
}
