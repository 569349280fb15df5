// Answers of /api/v1/series as columns for charts.

import { list, number, numbers, object, text } from "./values.js";

/** Points of all series of an answer, in order of time: [{at, tags, values: {field: number|null}}]. */
export function points(document, fields) {
  const all = [];
  for (const one of list(document?.series)) {
    const tags = object(one.tags);
    const columns = object(one.fields);
    const given = fields.map((field) => [field, numbers(columns[field])]);
    for (const [index, time] of numbers(one.time_s).entries()) {
      if (time === null) continue;
      all.push({ at: time, tags, values: Object.fromEntries(given.map(([field, column]) => [field, number(column[index])])) });
    }
  }
  return all.sort((a, b) => a.at - b.at);
}

/** Columns [times, ...fields] with a hole where nothing was heard for far longer than usual. */
export function columns(items, fields) {
  const steps = items.slice(1).map((item, i) => item.at - items[i].at).filter((step) => step > 0).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 10;
  const out = [[], ...fields.map(() => [])];
  let last = null;
  for (const item of items) {
    if (last !== null && item.at <= last) continue;
    if (last !== null && item.at - last > Math.max(usual * 5, 45)) {
      out[0].push((last + item.at) / 2);
      for (let i = 1; i < out.length; i++) out[i].push(null);
    }
    out[0].push(item.at);
    for (const [i, field] of fields.entries()) out[i + 1].push(item.values[field]);
    last = item.at;
  }
  return out;
}

/** Clock events of an answer: [{at, kind, size_s}]. */
export function events(document) {
  return points(document, ["size_seconds"]).map((p) => ({ at: p.at, kind: text(p.tags.kind, "event"), size_s: p.values.size_seconds }));
}
