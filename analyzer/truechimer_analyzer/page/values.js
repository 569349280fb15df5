// Documents come from a network: take out of them only what has the expected type.

/** The number, or null when it is not a finite one. */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** The array's objects, or none. */
export function list(value) {
  return Array.isArray(value) ? value.filter((item) => item !== null && typeof item === "object") : [];
}

/** The array's values as finite numbers or null. */
export function numbers(value) {
  return Array.isArray(value) ? value.map(number) : [];
}

/** The string, or a stand-in. */
export function text(value, otherwise = "?") {
  return typeof value === "string" && value !== "" ? value : otherwise;
}

/** The object, or an empty one. */
export function object(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

/** The names that an array holds, whether as strings or as objects with one of the keys. */
export function names(value, ...keys) {
  if (!Array.isArray(value)) return [];
  return value
    .map((item) => (typeof item === "string" ? item : keys.map((key) => object(item)[key]).find((n) => typeof n === "string")))
    .filter((item) => item !== undefined);
}

/** ISO 8601 to Unix seconds, or null. */
export function unixSeconds(value) {
  const ms = typeof value === "string" ? Date.parse(value.replace(/(\.\d{3})\d+/, "$1")) : NaN;
  return Number.isFinite(ms) ? ms / 1000 : null;
}
