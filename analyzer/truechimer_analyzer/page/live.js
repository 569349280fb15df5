// Live: server-sent events ask for a refresh, a slow poll stands in for them, and the state is shown.
// Ages go by performance.now() only: the reader's wall clock may be as wrong as any other.

import { byId } from "./dom.js";
import { ago, span } from "./format.js";
import { STALE_AFTER_S } from "./clocks.js";

const LEAST_GAP_MS = 1000;
const POLL_MS = 10_000;
const LONGEST_RETRY_MS = 15_000;

/** Calls `refresh()` (a promise) when there is news: at most once a second, never two at a time. */
export class Live {
  constructor(refresh) {
    this.refresh = refresh;
    this.running = false;
    this.wanted = false;
    this.lastRun = -Infinity;
    this.retry_ms = 1000;
    this.connected = false;
    this.cutSince = undefined;
    this.stale = undefined;
  }

  /** Start listening, polling and showing the state. */
  start() {
    this.listen();
    setInterval(() => { if (performance.now() - this.lastRun > POLL_MS) this.ask(); }, 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.ask(); });
  }

  listen() {
    const source = new EventSource("api/v1/events");
    source.addEventListener("open", () => { this.connected = true; this.retry_ms = 1000; this.ask(); });
    source.addEventListener("committed", () => this.ask());
    source.addEventListener("error", () => {
      this.connected = false;
      if (source.readyState !== EventSource.CLOSED) return;
      // The browser has given up (an error status, not a broken line): try again ourselves.
      setTimeout(() => this.listen(), this.retry_ms);
      this.retry_ms = Math.min(this.retry_ms * 2, LONGEST_RETRY_MS);
    });
  }

  /** Refresh soon; at once if the last time is long enough ago. */
  ask() {
    if (document.hidden && this.lastRun > -Infinity) return;
    if (this.running) { this.wanted = true; return; }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), Math.max(0, this.lastRun + LEAST_GAP_MS - performance.now()));
  }

  /** Refresh now, whatever was before: the reader changed the view. */
  async run() {
    clearTimeout(this.timer);
    this.lastRun = performance.now();
    this.running = true;
    try {
      await this.refresh();
    } finally {
      this.running = false;
    }
    if (this.wanted) { this.wanted = false; this.ask(); }
  }

  /** Show the state: `youngest_s` is the age of the newest sample (null: none), `answered` whether the analyzer did. */
  show(youngest_s, answered) {
    const element = byId("live");
    const now = performance.now();
    this.cutSince = answered ? undefined : (this.cutSince ?? now);
    let state = "live";
    let said = "live";
    if (!answered) {
      state = "disconnected";
      said = `disconnected for ${span((now - this.cutSince) / 1000)}, retrying`;
    } else if (youngest_s === null) {
      state = "waiting";
      said = "waiting for the first sample";
    } else if (youngest_s > STALE_AFTER_S) {
      state = "stale";
      said = `stale: last sample ${ago(youngest_s)}`;
    } else if (!this.connected) {
      state = "polling";
      said = "polling every 10 s";
    }
    if (element.dataset.live !== state) element.dataset.live = state;
    const line = byId("live-text");
    if (line.textContent !== said) line.textContent = said;
  }
}
