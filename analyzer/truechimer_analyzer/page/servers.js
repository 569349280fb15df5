// NTP servers of a node as intervals of W − UTC; falsetickers stand apart by colour, stroke and word.

import { h, redraw, s } from "./dom.js";
import { duration, signed, words } from "./format.js";
import { WIDTH, labels, sharedScale, x } from "./scale.js";

const ORDER = ["selected", "contested", "falseticker", "unusable"];
const SIGNS = { selected: "✓", contested: "?", falseticker: "✕", unusable: "–" };

function picture(server, node, scale) {
  const at = (seconds) => x(scale, seconds);
  const drawing = s("svg", { class: "bar-picture", viewBox: `0 0 ${WIDTH} 24`, preserveAspectRatio: "none", role: "img",
    "aria-label": server.interval === null ? "no interval" : `${signed(server.interval[0])} to ${signed(server.interval[1])}` });
  if (node.interval !== null) {
    const [low, high] = node.interval.map(at);
    drawing.append(s("rect", { class: "intersection", x: low, y: 0, width: Math.max(2, high - low), height: 24 }));
  }
  drawing.append(s("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: 24 }));
  if (server.interval !== null) {
    const [low, high] = server.interval.map(at);
    const width = Math.max(6, high - low);
    drawing.append(s("rect", { class: `server ${server.verdict}`, x: (low + high - width) / 2, y: 8, width, height: 8, rx: 2 }));
  }
  return drawing;
}

/** Draw the servers of a node. */
export function drawServers(container, node) {
  if (node.servers.length === 0) {
    redraw(container, h("p", { class: "empty" }, "No NTP server is known to this node. See its agent.toml, or its time daemon’s configuration."));
    return;
  }
  const servers = [...node.servers].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || a.name.localeCompare(b.name));
  const intervals = servers.flatMap((server) => (server.interval === null ? [] : [server.interval]));
  if (node.interval !== null) intervals.push(node.interval);
  const scale = sharedScale(intervals, null);
  redraw(container,
    h("div", { class: "scroll", "data-scroll": "servers", tabindex: "0", role: "region", "aria-label": "Table of NTP servers", "data-key": "servers scroll" },
      h("table", { class: "compact" },
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, "Server"), h("th", { scope: "col" }, "Verdict"), h("th", { scope: "col", class: "bar-cell" }, labels(scale, false)),
          h("th", { scope: "col", class: "right" }, "Delay"))),
        h("tbody", {}, servers.map((server) => h("tr", { "data-verdict": server.verdict },
          h("th", { scope: "row", title: server.name }, server.name, server.stratum === null ? null : h("span", { class: "muted" }, ` stratum ${server.stratum}`)),
          h("td", {}, h("span", { class: `verdict ${server.verdict}` }, h("span", { "aria-hidden": "true" }, `${Object.hasOwn(SIGNS, server.verdict) ? SIGNS[server.verdict] : "–"} `), words(server.verdict)),
            server.reason && server.reason !== "none" && server.reason !== server.verdict ? h("span", { class: "muted reason" }, words(server.reason)) : null),
          h("td", { class: "bar-cell" }, picture(server, node, scale)),
          h("td", { class: "right nowrap figure" }, duration(server.delay_s))))))));
}
