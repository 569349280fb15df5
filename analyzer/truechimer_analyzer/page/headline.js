// The one sentence at the top: can the clocks be trusted, and if not, whose and why.

import { byId, h } from "./dom.js";
import { ago, duration, words } from "./format.js";
import { JUDGEMENTS } from "./palette.js";
import { STALE_AFTER_S } from "./clocks.js";

/** What is proven of two clocks of each cluster, in a sentence each; of more than three clusters the worst only. */
function apart(skews) {
  const told = skews.filter((skew) => skew.epsilon_s !== null).sort((a, b) => b.epsilon_s - a.epsilon_s).slice(0, skews.length > 3 ? 1 : 3);
  return told.map((skew) => `Any two clocks${skew.name ? ` of ${skew.name}` : ""} agree to ε = ${duration(skew.epsilon_s)}.`);
}

/** Clusters whose measurements contradict each other. */
function torn(skews) {
  return skews.filter((skew) => skew.inconsistent !== null).map((skew) => {
    const { certain } = skew.inconsistent;
    return `The mesh${skew.name ? ` of ${skew.name}` : ""} contradicts itself${certain.length > 0 ? `: ${certain.join(", ")} proven wrong` : ""}.`;
  });
}

function some(nodes, most = 3) {
  const shown = nodes.slice(0, most).map((n) => n.name);
  if (nodes.length > most) shown.push(`${nodes.length - most} more`);
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}` : shown[0];
}

function clocksOf(number, total) {
  if (total === 1) return "this clock";
  return number === total ? `all ${total} clocks` : `${number} of ${total} clocks`;
}

/** {judgement, sentence} for these nodes; ages grow by `waited_s` since the answer came. */
export function answer(clocks, waited_s) {
  const { nodes } = clocks;
  const limit = clocks.maxOffset_s === null ? "the limit" : duration(clocks.maxOffset_s, 2);
  const age = (n) => (n.lastSeen_s === null ? Infinity : n.lastSeen_s + waited_s);
  const youngest = Math.min(...nodes.map(age));
  const total = nodes.length;
  if (youngest > STALE_AFTER_S) {
    const heard = Number.isFinite(youngest) ? `: the last sample came ${ago(youngest)}` : "";
    return { judgement: "unknown", sentence: `Unknown. No node reports${heard}.` };
  }
  const of = (judgement) => nodes.filter((n) => n.judgement === judgement);
  const beyond = of("proven_beyond");
  const unproven = of("unproven");
  if (beyond.length > 0) {
    const subject = clocksOf(beyond.length, total);
    const verb = beyond.length === 1 ? "is" : "are";
    const tail = total > 1 ? `: ${some(beyond)}` : "";
    return { judgement: "proven_beyond", sentence: `No. ${capital(subject)} ${verb} certainly wrong by more than ${limit}${tail}.` };
  }
  if (unproven.length > 0) {
    const subject = clocksOf(unproven.length, total);
    const tail = total > 1 ? `: ${some(unproven)}` : "";
    const verb = unproven.length === 1 ? "is" : "are";
    return { judgement: "unproven", sentence: `Not proven. ${capital(subject)} ${verb} not shown to be within ${limit}${tail}.` };
  }
  const subject = total === 1 ? "This clock is" : `All ${total} clocks are`;
  return { judgement: "proven_within", sentence: `Yes. ${subject} proven within ${limit} of UTC.` };
}

function capital(sentence) {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

function reasons(clocks, worstPause, waited_s, skews) {
  const bounded = clocks.nodes.filter((n) => n.interval !== null);
  const worst = bounded.reduce((a, b) => (reach(b) > reach(a ?? b) ? b : (a ?? b)), undefined);
  const parts = [];
  if (worst) {
    const whose = clocks.nodes.length > 1 ? ` (${worst.name})` : "";
    parts.push(`True time is at most ${duration(reach(worst))} from ${clocks.nodes.length > 1 ? "any bounded" : "the"} wall clock${whose}.`);
  } else if (clocks.nodes.length > 0) {
    const why = clocks.nodes[0].reason || clocks.nodes[0].state;
    parts.push(`No clock has a bound yet (${words(why)}).`);
  }
  parts.push(...torn(skews), ...apart(skews));
  const silent = clocks.nodes.filter((n) => n.lastSeen_s === null || n.lastSeen_s + waited_s > STALE_AFTER_S);
  if (silent.length > 0 && silent.length < clocks.nodes.length) parts.push(`Not heard of lately: ${some(silent)}.`);
  if (worstPause) {
    parts.push(`Longest pause: ${duration(worstPause.duration_s)} on ${worstPause.node}, ${words(worstPause.cause)}.`);
  }
  return parts.join(" ");
}

function reach(node) {
  return Math.max(Math.abs(node.interval[0]), Math.abs(node.interval[1]));
}

/** Draw the headline. */
export function drawHeadline(clocks, worstPause, waited_s, skews = []) {
  const section = byId("answer");
  const empty = clocks.nodes.length === 0;
  byId("start").hidden = !empty;
  if (empty) {
    section.dataset.judgement = "unknown";
    byId("headline").textContent = "No node has reported yet.";
    byId("because").textContent = "The page fills by itself when samples arrive.";
    byId("tally").replaceChildren();
    byId("sink").textContent = `[[sink]]\nkind = "influx"\nurl = "${location.origin}"`;
    document.title = "no data – truechimer";
    return;
  }
  const { judgement, sentence } = answer(clocks, waited_s);
  section.dataset.judgement = judgement;
  byId("headline").textContent = sentence;
  byId("because").textContent = reasons(clocks, worstPause, waited_s, skews);
  const tally = Object.entries(JUDGEMENTS).map(([name, { sign, words: meaning }]) => {
    const n = clocks.nodes.filter((item) => item.judgement === name).length;
    return h("li", { "data-judgement": name, class: n === 0 ? "none" : null },
      h("span", { class: "sign", "aria-hidden": "true" }, sign), h("b", {}, String(n)), ` ${meaning}`);
  });
  byId("tally").replaceChildren(...tally);
  document.title = `${sentence.split(".")[0]} – truechimer`;
}
