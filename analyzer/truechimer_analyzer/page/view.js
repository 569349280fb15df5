// What the page shows is in its address (after #), so that a link shows the same to somebody else.

const DEFAULTS = { cluster: "", node: "", since: "1h", scope: "node", mesh: "skew", path: "" };
const MAPS = new Set(["skew", "p50", "p99", "there", "back"]);

/** The view that the address names. */
export function current() {
  const given = new URLSearchParams(location.hash.slice(1));
  const view = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (given.has(key)) view[key] = given.get(key);
  if (!/^\d{1,4}[smhd]$/.test(view.since)) view.since = DEFAULTS.since;
  if (view.scope !== "fleet") view.scope = "node";
  if (!MAPS.has(view.mesh)) view.mesh = DEFAULTS.mesh;
  return view;
}

/** The address's fragment of this view with changes. */
export function fragment(changes) {
  const view = { ...current(), ...changes };
  const kept = Object.entries(view).filter(([key, value]) => value !== DEFAULTS[key]);
  return `#${new URLSearchParams(kept)}`;
}

/** Show something else. */
export function change(changes) {
  location.hash = fragment(changes);
}

/** Length of a window such as 6h, in seconds. */
export function windowSeconds(since) {
  return Number.parseInt(since, 10) * { s: 1, m: 60, h: 3600, d: 86400 }[since.at(-1)];
}
