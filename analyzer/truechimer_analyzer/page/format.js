// Numbers and times as people read them.

const UNKNOWN = "–";
const UNITS = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];

/** The unit in which a duration of this size reads best: [factor, name]. */
export function unitFor(seconds) {
  const size = Math.abs(seconds);
  return UNITS.find(([factor]) => size >= factor * 0.9995) ?? UNITS[UNITS.length - 1];
}

function significant(value, digits) {
  if (value === 0) return "0";
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, digits - 1)).replace("-", "−");
}

/** A duration with its unit: 64 µs, 1.20 s, 2 h 5 min. */
export function duration(seconds, digits = 3) {
  if (seconds === null) return UNKNOWN;
  if (seconds === 0) return "0 s";
  const size = Math.abs(seconds);
  if (size >= 86400 * 36525) return `${seconds < 0 ? "−" : ""}over 100 years`;
  if (size >= 86400 * 2) return `${significant(seconds / 86400, 2)} days`;
  if (size >= 7200) return `${significant(seconds / 3600, 2)} h`;
  if (size >= 180) return `${significant(seconds / 60, 2)} min`;
  const [factor, name] = unitFor(seconds);
  return `${significant(seconds / factor, digits)} ${name}`;
}

/** A span of whole time: 45 s, 12 min, 3.5 h. */
export function span(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds < 180) return `${Math.round(seconds)} s`;
  return duration(seconds, 2);
}

/** How long ago, by an age in seconds. */
export function ago(seconds) {
  if (seconds === null) return UNKNOWN;
  return seconds < 1 ? "just now" : `${span(Math.floor(seconds))} ago`;
}

/** An offset with its sign: +64 µs. */
export function signed(seconds, digits = 3) {
  if (seconds === null) return UNKNOWN;
  const body = duration(Math.abs(seconds), digits);
  return seconds === 0 ? body : `${seconds > 0 ? "+" : "−"}${body}`;
}

/** The label of a tick around UTC: +2.5 ms. */
export function tickLabel(seconds) {
  if (seconds === 0) return "UTC";
  if (Math.abs(seconds) >= 1e6) return `${seconds > 0 ? "+" : "−"}${Math.abs(seconds).toExponential(0)} s`;
  const [factor, unit] = unitFor(seconds);
  return `${seconds > 0 ? "+" : "−"}${Number((Math.abs(seconds) / factor).toPrecision(3))} ${unit}`;
}

/** `wall − UTC` in words: 64 µs ahead. */
export function aheadBehind(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds === 0) return "0 s";
  return `${duration(Math.abs(seconds))} ${seconds > 0 ? "ahead" : "behind"}`;
}

/** Parts per million, signed. */
export function ppm(value) {
  if (value === null) return UNKNOWN;
  const size = Math.abs(value);
  const body = size > 0 && size < 0.1 ? String(Number(size.toPrecision(1))) : significant(size, 3);
  return value < 0 ? `−${body}` : `+${body}`;
}

/** A count with thousands separated. */
export function count(value) {
  return value === null ? UNKNOWN : Math.round(value).toLocaleString("en-GB").replaceAll(",", "\u202f");
}

/** A small number: 0.4, 22, 1 300. */
export function plain(value) {
  if (value === null) return UNKNOWN;
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(1).replace("-", "−");
  return Math.abs(value) >= 100 ? count(value) : significant(value, 3);
}

/** A share in percent. */
export function percent(ratio) {
  if (ratio === null) return UNKNOWN;
  if (ratio > 0 && ratio < 1e-5) return "< 0.001 %";
  return `${Number((ratio * 100).toPrecision(2))} %`;
}

/** Unix seconds as UTC: 20:01:05. */
export function utcTime(unix) {
  return new Date(unix * 1000).toISOString().slice(11, 19);
}

/** Unix seconds as UTC with date: 2026-11-22 20:01:05 UTC. */
export function utc(unix) {
  if (unix === null) return UNKNOWN;
  return `${new Date(unix * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Unix seconds in the reader's own time zone. */
export function local(unix) {
  if (unix === null) return "";
  return `${new Date(unix * 1000).toLocaleString("en-GB", { hour12: false, timeZoneName: "short" })} local`;
}

/** A code as words: run_queue → run queue. */
export function words(code) {
  return code.replaceAll("_", " ");
}

// Told by other parts of the page, or too long for a line.
const LONG = new Set(["intervals", "steps", "causes"]);

function fact(key, value) {
  const name = words(key.replace(/(_seconds|_s|_ppm|_ratio)$/, ""));
  if (typeof value === "number" && /(_s|_seconds)$/.test(key)) return `${name} ${signed(value).replace("+", "")}`;
  if (typeof value === "number" && key.endsWith("_ppm")) return `${name} ${ppm(value)} ppm`;
  if (typeof value === "number" && key.endsWith("_ratio")) return `${name} ${percent(value)}`;
  if (typeof value === "number") return `${name} ${plain(value)}`;
  if (key === "camps" && Array.isArray(value)) return `${name} ${value.map(camp).join(" | ")}`;
  if (Array.isArray(value)) return `${name} ${value.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ")}`;
  if (typeof value === "object") return `${name} (${Object.entries(value).filter(known).map(([inner, one]) => (typeof one === "object" ? `${inner} ${JSON.stringify(one)}` : fact(inner, one))).join(", ")})`;
  return `${name} ${value}`;
}

function camp(one) {
  return Array.isArray(one?.servers) ? one.servers.join(" + ") : "?";
}

function known([, value]) {
  return value !== null && value !== undefined && !(Array.isArray(value) && value.length === 0);
}

/** Evidence in one line, each piece by its key's unit: size_s → "size −0.5 s". */
export function evidence(facts) {
  return Object.entries(facts)
    .filter(known)
    .filter(([key]) => !LONG.has(key))
    .map(([key, value]) => fact(key, value))
    .join(", ");
}
