// The page: asks for the documents of the view, keeps the last good ones, draws each section.

import { ApiError, address, ask } from "./api.js";
import { byId, h } from "./dom.js";
import { ago, local, span, utc, words } from "./format.js";
import { STALE_AFTER_S, chosen, isOf, readClocks } from "./clocks.js";
import { save } from "./csv.js";
import { chosenPath, delayRows, drawDelays, forgetDelays, pathName, readDelays } from "./delays.js";
import { drawFleet, fleetRows } from "./fleet.js";
import { drawHeadline } from "./headline.js";
import { drawHours, forgetHours, readHours } from "./hours.js";
import { MOST_PAIRS, drawMesh, forgetMesh, hasMesh, meshOf, meshRows } from "./mesh.js";
import { drawOffset, drawRate, forgetNode } from "./node.js";
import { drawPauses, forgetPauses, pauseRows, readPauses, worstPause } from "./pauses.js";
import { drawServers } from "./servers.js";
import { readSkew } from "./skew.js";
import { readSurroundings } from "./surroundings.js";
import { unixSeconds } from "./values.js";
import { drawStability, forgetStability, readStability, stabilityRows } from "./stability.js";
import { drawTimeouts, readTimeouts, timeoutRows, timeoutsNote } from "./timeouts.js";
import { Live } from "./live.js";
import { startTheme } from "./theme.js";
import { change, current, windowSeconds } from "./view.js";
import { events } from "./series.js";

const SERIES = {
  bound: { measurement: "truechimer_bound", fields: "lower_seconds,upper_seconds", points: 600 },
  rate: { measurement: "truechimer_clock", fields: "wall_rate_ppm", points: 400 },
  happened: { measurement: "truechimer_clock_event", fields: "size_seconds", points: 600 },
};

/** Answers that read every sample of the window are asked again after so many times what the last took, the second time at once (the first may be slow). */
const PACED = new Set(["rtt", "skew", "pauses", "timeouts"]);
const PACE = 10;
const LONGEST_GAP_MS = 30_000;
/** How long before a question that cannot be answered (404: never, 422: not yet) is asked again. */
const UNANSWERED_MS = { 404: Infinity, 422: 5000 };
const LEAST_HOURS = "24h";

/** What was answered last: name → {document, error, at (performance.now ms), subject, next (when a paced one is due)}. */
const answers = {};
let view = current();
let asked = new AbortController();

async function fetchAnswer(name, command, options, signal, subject = view.since) {
  const before = answers[name]?.subject === subject ? answers[name] : undefined;
  const begun = performance.now();
  const next = () => before === undefined ? 0 : performance.now() + Math.min((performance.now() - begun) * PACE, LONGEST_GAP_MS);
  try {
    const document = await ask(command, options, signal);
    answers[name] = { document, error: null, at: performance.now(), subject, next: next() };
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    const document = error.document ?? before?.document ?? null;
    answers[name] = { document, error, at: before?.at ?? performance.now(), subject, next: error.document === null ? gap(name, error) : next() };
  }
}

/** When to ask again what got no answer. */
function gap(name, error) {
  return name === "skew" && error.status in UNANSWERED_MS ? performance.now() + UNANSWERED_MS[error.status] : 0;
}

/** Whether to ask now: a paced answer when its time has come, or for another view, or after it failed. */
function due(name, subject) {
  const last = answers[name];
  return !PACED.has(name) || last?.subject !== subject || performance.now() >= last.next;
}

function waited(name) {
  return answers[name] === undefined ? 0 : (performance.now() - answers[name].at) / 1000;
}

function presentSkew() {
  return answers.skew?.document ? readSkew(answers.skew.document) : [];
}

function presentClocks() {
  return answers.clocks?.document ? readClocks(answers.clocks.document) : null;
}

async function refresh() {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  const { since } = view;
  const rest = [...PACED].filter((name) => due(name, since)).map((name) => fetchAnswer(name, name, detail(name, since), signal));
  await fetchAnswer("clocks", "clocks", { since }, signal);
  if (signal.aborted) return;
  draw();
  const clocks = presentClocks();
  const node = clocks && chosen(clocks, view);
  const series = node
    ? Object.entries(SERIES).map(([name, options]) => fetchAnswer(name, "series", seriesOptions(options, node, since), signal, `${node.key} ${since}`))
    : [];
  const subject = node && `${node.key} ${since}`;
  if (node && (answers.stability?.subject !== subject || performance.now() >= answers.stability.next)) {
    series.push(fetchAnswer("stability", "stability", seriesOptions({}, node, since), signal, subject));
  }
  await Promise.all([...rest, ...series]);
  if (signal.aborted) return;
  draw();
  const path = presentPath();
  if (path === undefined || (answers.hours?.subject === hoursSubject(path) && performance.now() < answers.hours.next)) return;
  await fetchAnswer("hours", "rtt", hoursOptions(path), signal, hoursSubject(path));
  if (!signal.aborted) draw();
}

function detail(name, since) {
  return { rtt: { since, histogram: "true" }, skew: { since, pairs: MOST_PAIRS }, pauses: { since }, timeouts: { since } }[name];
}

/** The path shown by the hour: the one that the view names, else the first of the delays that are shown. */
function presentPath() {
  if (!answers.rtt?.document) return undefined;
  const clocks = presentClocks();
  const every = readDelays(answers.rtt.document);
  return chosenPath(every, clocks === null ? [] : scoped(every, chosen(clocks, view)), view.path);
}

function hoursOptions(path) {
  const since = windowSeconds(view.since) > windowSeconds(LEAST_HOURS) ? view.since : LEAST_HOURS;
  return { since, by: "hour", cluster: path.cluster, node: path.node, peer: path.peer, via: path.via };
}

function hoursSubject(path) {
  return `${path.cluster} ${path.key} ${view.since}`;
}

function seriesOptions(options, node, since) {
  return { ...options, node: node.name, cluster: node.cluster, since };
}

function trouble(section, ...names) {
  const element = byId(section).querySelector(".trouble");
  const failed = names.map((name) => answers[name]).find((answer) => answer?.error);
  const said = failed ? complaint(failed) : "";
  element.hidden = said === "";
  if (element.textContent !== said) element.textContent = said;
}

function complaint({ error, document, at }) {
  const kept = document !== null && error.document === null ? ` Shown: the answer of ${ago((performance.now() - at) / 1000)}.` : "";
  return `${error.message}${error.hint ? ` – ${error.hint}` : ""}.${kept}`;
}

function links(section, title, urls, csvFile) {
  const present = byId(`${section}-links`);
  const wanted = JSON.stringify(urls);
  if (present.dataset.urls !== wanted) {
    present.dataset.urls = wanted;
    const button = csvFile && h("button", { type: "button", class: "link", onclick: () => save(`truechimer-${section}.csv`, present.rows()) }, "CSV");
    present.replaceChildren(...urls.flatMap(([name, url]) => [h("a", { href: url, "aria-label": `${title}: ${name}` }, name)]), ...(button ? [button] : []));
  }
  present.rows = csvFile;
}

function drawClockSections(clocks, sources) {
  const node = chosen(clocks, view);
  const worst = worstPause(sources ?? []);
  drawHeadline(clocks, worst?.duration_s ? worst : undefined, waited("clocks"), presentSkew());
  byId("fleet").hidden = clocks.nodes.length === 0;
  byId("fleet-note").textContent = clocks.asOf === null ? "" : `as of ${utc(clocks.asOf)}`;
  byId("fleet-note").title = local(clocks.asOf);
  drawFleet(byId("fleet").querySelector(".body"), clocks, { chosenKey: node?.key, sources, waited_s: waited("clocks"), since: view.since });
  links("fleet", "Fleet", [["JSON", address("clocks", { since: view.since })]], () => fleetRows(presentClocks()));
  drawNode(clocks, node);
  return node;
}

function drawNode(clocks, node) {
  byId("node").hidden = clocks.nodes.length === 0;
  byId("node-title").textContent = node ? `Node ${node.name}` : `Node ${view.node}`;
  const body = byId("node").querySelector(".body");
  body.hidden = node === undefined;
  if (node === undefined) {
    byId("node-note").textContent = "is not known in this window. Choose one in the table above, or a longer window.";
    byId("node-links").replaceChildren();
    delete byId("node-links").dataset.urls;
    return;
  }
  const status = [node.status, node.reason && node.reason !== "none" ? node.reason : ""].filter(Boolean).map(words).join(", ");
  byId("node-note").textContent = [node.cluster && `cluster ${node.cluster}`, `state ${words(node.state)}`, status].filter(Boolean).join(" · ");
  const subject = `${node.key} ${view.since}`;
  const of = (name) => (answers[name]?.subject === subject ? answers[name].document : null);
  drawServers(byId("servers"), node);
  if (answers.bound?.subject === subject) drawOffset({ document: of("bound"), events: events(of("happened")), asOf: clocks.asOf, node: node.key });
  if (answers.rate?.subject === subject) drawRate({ document: of("rate"), asOf: clocks.asOf, node: node.key });
  if (answers.stability?.subject === subject) drawStability(readStability(of("stability"), node), node.name);
  trouble("node", "bound", "rate", "happened", "stability");
  links("stability", "Stability", [["JSON", address("stability", seriesOptions({}, node, view.since))]], () => stabilityRows(readStability(of("stability"), node)));
  const bound = seriesOptions(SERIES.bound, node, view.since);
  links("node", "Wall clock minus UTC", [
    ["JSON", address("series", bound)], ["CSV", address("series", { ...bound, format: "csv" })],
    ["rate CSV", address("series", { ...seriesOptions(SERIES.rate, node, view.since), format: "csv" })],
  ], undefined);
}

function scoped(items, node) {
  return view.scope === "fleet" || node === undefined ? items : items.filter((item) => isOf(item, node));
}

function scopeNote(section, node, note) {
  const element = byId(`${section}-note`);
  const wanted = `${view.scope} ${node?.name}`;
  if (element.dataset.scope !== wanted) {
    element.dataset.scope = wanted;
    element.replaceChildren(
      h("button", { type: "button", class: "switch", "aria-pressed": String(view.scope === "node"), onclick: () => change({ scope: "node" }) }, node?.name ?? "this node"),
      h("button", { type: "button", class: "switch", "aria-pressed": String(view.scope === "fleet"), onclick: () => change({ scope: "fleet" }) }, "whole fleet"),
      h("span", { class: "after" }));
  }
  element.querySelector(".after").textContent = note;
}

/** Why there is no answer on skew, where that is no trouble: it is not known here, or not possible yet. */
function lackingSkew() {
  const { error, document } = answers.skew ?? {};
  if (!error || !(error.status in UNANSWERED_MS) || document !== null) return "";
  if (error.status === 404) return "This analyzer does not answer how far apart clocks can be.";
  return complaint(answers.skew);
}

function drawMeshSection(clocks, node) {
  const skews = presentSkew();
  const cluster = node?.cluster ?? clocks.nodes[0].cluster;
  const mesh = meshOf(skews, answers.rtt?.document ? readDelays(answers.rtt.document) : [], clocks, cluster);
  const lacking = lackingSkew();
  const failed = answers.skew?.error && lacking === "";
  byId("mesh").hidden = !hasMesh(mesh, skews) && !failed;
  if (byId("mesh").hidden) return;
  trouble("mesh", ...(lacking === "" ? ["skew"] : []));
  byId("mesh-note").textContent = cluster && `cluster ${cluster}`;
  drawMesh(mesh, skews, view, lacking);
  links("mesh", "Mesh", [["skew JSON", address("skew", detail("skew", view.since))], ["RTT JSON", address("rtt", detail("rtt", view.since))]], () => meshRows(mesh));
}

function draw() {
  const clocks = presentClocks();
  const sources = answers.pauses?.document ? readPauses(answers.pauses.document) : null;
  trouble("fleet", "clocks");
  const silent = clocks === null || clocks.nodes.length === 0;
  for (const section of ["node", "pauses", "delays", "timeouts"]) byId(section).hidden = silent;
  if (silent) byId("mesh").hidden = true;
  if (clocks === null) {
    if (answers.clocks?.error) {
      byId("answer").dataset.judgement = "unknown";
      byId("headline").textContent = "Unknown. The analyzer does not answer.";
      byId("because").textContent = complaint(answers.clocks);
    }
    return;
  }
  const node = drawClockSections(clocks, sources);
  if (!silent && (answers.skew || answers.rtt)) drawMeshSection(clocks, node);
  if (answers.pauses) {
    trouble("pauses", "pauses");
    const shown = scoped(sources ?? [], node);
    scopeNote("pauses", node, "");
    const beside = readSurroundings(answers.pauses.document);
    for (const [name, items] of Object.entries(beside)) beside[name] = scoped(items, node);
    const asOf = unixSeconds(answers.pauses.document?.as_of) ?? clocks.asOf;
    const from = asOf === null ? null : asOf - windowSeconds(view.since);
    drawPauses(shown, beside, { from, asOf, alone: view.scope !== "fleet", label: view.scope === "fleet" ? "the fleet" : (node?.name ?? "") });
    links("pauses", "Pauses", [["JSON", address("pauses", detail("pauses", view.since))]], () => pauseRows(shown));
  }
  if (answers.rtt) {
    trouble("delays", "rtt", "hours");
    const shown = scoped(readDelays(answers.rtt.document), node);
    scopeNote("delays", node, "");
    const path = presentPath();
    drawDelays(shown, view.scope !== "fleet", path?.key);
    byId("hours").hidden = path === undefined;
    if (path !== undefined && answers.hours?.subject === hoursSubject(path)) drawHours(readHours(answers.hours.document, path), pathName(path));
    links("delays", "Delays", [["JSON", address("rtt", detail("rtt", view.since))], ...(path ? [["hours JSON", address("rtt", hoursOptions(path))]] : [])], () => delayRows(shown));
  }
  if (answers.timeouts) {
    const timeouts = readTimeouts(answers.timeouts.document);
    // A refusal that comes with its document is told row by row.
    if (answers.timeouts.error?.document && timeouts.uses.length > 0) byId("timeouts").querySelector(".trouble").hidden = true;
    else trouble("timeouts", "timeouts");
    byId("timeouts-note").textContent = timeoutsNote(timeouts);
    drawTimeouts(byId("timeouts").querySelector(".body"), timeouts);
    links("timeouts", "Timeouts", [["JSON", address("timeouts", { since: view.since })]], () => timeoutRows(timeouts));
  }
}

function tick() {
  const wait = waited("clocks");
  for (const element of document.querySelectorAll("[data-age]")) {
    const age = Number(element.dataset.age) + wait;
    const said = ago(age);
    if (element.textContent !== said) element.textContent = said;
    element.closest("td").toggleAttribute("data-stale", age > STALE_AFTER_S);
  }
  const ages = (presentClocks()?.nodes ?? []).map((n) => n.lastSeen_s).filter((age) => age !== null);
  if (answers.clocks) live.show(ages.length > 0 ? Math.min(...ages) + wait : null, answers.clocks.error === null);
}

function forget() {
  forgetNode();
  forgetPauses();
  forgetDelays();
  forgetStability();
  forgetMesh();
  forgetHours();
}

const live = new Live(refresh);

function viewChanged() {
  view = current();
  const select = byId("since");
  if (![...select.options].some((option) => option.value === view.since)) {
    select.append(h("option", { value: view.since }, span(windowSeconds(view.since))));
  }
  select.value = view.since;
  forget();
  draw();
  live.run();
}

startTheme(() => { forget(); draw(); });
byId("since").value = view.since;
byId("since").addEventListener("change", (event) => change({ since: event.target.value }));
window.addEventListener("hashchange", viewChanged);
setInterval(tick, 1000);
viewChanged();
live.start();
