// The `skew` document as the page uses it: what is proven of any two wall clocks of a cluster.

import { list, names, number, object, text, unixSeconds } from "./values.js";
import { JUDGEMENTS } from "./palette.js";

function bounds(item, lower, upper) {
  const low = number(item[lower]);
  const high = number(item[upper]);
  return low === null || high === null || low > high ? null : [low, high];
}

const turned = (interval) => interval && [0 - interval[1], 0 - interval[0]];

/** The key of an ordered pair of nodes. */
export function pairKey(a, b) {
  return `${a}\n${b}`;
}

/** The pairs both ways, by `pairKey`: {plain, k}: intervals of wall_b − wall_a, if all is true and with k nodes lying. */
function pairsOf(items) {
  const pairs = new Map();
  for (const item of items) {
    const a = text(item.a);
    const b = text(item.b);
    const plain = bounds(item, "lower_s", "upper_s");
    const k = bounds(item, "lower_k_s", "upper_k_s");
    pairs.set(pairKey(a, b), { plain, k });
    pairs.set(pairKey(b, a), { plain: turned(plain), k: turned(k) });
  }
  return pairs;
}

function contradiction(item) {
  const given = object(item);
  const found = { certain: names(given.certain, "node"), oneOf: names(given.one_of, "node"), suspects: names(given.suspects, "node"), moreThanK: given.more_than_k === true, cycle: names(given.cycle, "node"), excess_s: number(given.excess_s) };
  return found.certain.length + found.oneOf.length + found.cycle.length > 0 ? found : null;
}

function membersOf(item) {
  const named = [...list(item.nodes), ...list(item.left_out)].map((one) => text(one.node));
  return [...new Set([...named, ...[...list(item.pairs), ...list(item.unproven)].flatMap((pair) => [text(pair.a), text(pair.b)])])];
}

function cluster(item) {
  const limit = object(item.max_offset);
  const worst = names(item.worst_pair, "node");
  return {
    name: text(item.cluster, ""),
    asOf: unixSeconds(item.at),
    epsilon_s: number(item.epsilon_s),
    epsilonK_s: number(item.epsilon_k_s),
    k: number(item.k),
    worst: worst.length === 2 ? worst : null,
    commitWait_s: number(item.commit_wait_s),
    lwwGap_s: number(item.lww_gap_s),
    why: text(item.why_unproven, ""),
    whyK: text(item.why_k_unproven, ""),
    pairs: pairsOf(list(item.pairs)),
    missing: new Map(list(item.unproven).flatMap((pair) => [[pairKey(pair.a, pair.b), text(pair.missing, "")], [pairKey(pair.b, pair.a), text(pair.missing, "")]])),
    nodes: membersOf(item),
    leftOut: list(item.left_out).map((one) => ({ node: text(one.node), why: text(one.missing, text(one.why, "")) })),
    inconsistent: contradiction(item.inconsistent),
    limit_s: number(limit.configured_s),
    judgement: typeof limit.judgement === "string" && Object.hasOwn(JUDGEMENTS, limit.judgement) ? limit.judgement : null,
  };
}

/** The document's clusters, checked. */
export function readSkew(document) {
  return list(document?.clusters).map(cluster);
}

/** How far apart two clocks can be at most, by an interval of their difference; null where nothing bounds them. */
export function most(interval) {
  return interval && Math.max(Math.abs(interval[0]), Math.abs(interval[1]));
}

/** An interval against a limit: "proven_within", "proven_beyond" or "unproven". */
export function judged(interval, limit_s) {
  if (interval === null || limit_s === null) return "unproven";
  if (most(interval) <= limit_s) return "proven_within";
  return interval[0] > limit_s || interval[1] < -limit_s ? "proven_beyond" : "unproven";
}
